"""`noria datasets …`: import files, collect traces and list datasets from the shell of the machine, directly on the data folder.

The import runs in this process, so it works whether or not Noria is running.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from noria.core import ids
from noria.core.errors import BadInput, NoriaError
from noria.core.settings import load
from noria.jobs.context import JobContext
from noria.stores.connect import Stores

_data = click.option("--data", type=click.Path(path_type=Path), help="Data folder (default: ./noria-data).")


@click.group()
def datasets() -> None:
    """Datasets: import files, list what there is."""


@datasets.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="The dataset; made when there is none of this name.")
@click.option("--text", default="", help="CSV and Parquet: the column that the model is given.")
@click.option("--label", default="", help="CSV and Parquet: the column that it must answer.")
@click.option("--split", "splits", multiple=True, metavar="FILE=SPLIT", help="Otherwise by the file's name.")
@_data
def import_command(
    files: tuple[Path, ...], name: str, *, text: str, label: str, splits: tuple[str, ...], data: Path | None
) -> None:
    """Import FILES (JSONL, CSV, Parquet) as a new version of a dataset."""
    from noria.datasets import jobs

    named = _splits(splits, files)
    with _project(data) as (stores, project_id):
        entries = [
            {"digest": stores.files.put(path), "name": path.name, "split": named.get(path.name, "")} for path in files
        ]
        mapping = {key: value for key, value in {"text": text, "label": label}.items() if value}
        args = {"name": name, "files": entries, "mapping": mapping}
        context = JobContext(ids.new_id(), project_id, "", args, stores, _show, lambda *_: None)
        done = jobs.import_files(context)
        context.work.rmdir()
    report = done["report"]
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    click.echo(f"{clear}Imported {done['rows']:,} rows as {done['dataset']}:{done['number']}.")
    for entry in report["files"]:
        click.echo(
            f"  {entry['name']}: {entry['rows']:,} rows into {entry['split']} ({entry['format']}, {entry['encoding']})"
        )
        for note in entry["notes"]:
            click.echo(f"    {note}")
    for entry in report["refused_lines"][:10]:
        click.echo(f"  refused: {entry['file']}, line {entry['line']}: {entry['reason']}")
    if report["refused"] > 10:
        click.echo(f"  {report['refused']:,} lines were refused in all; they are kept with the version's report.")


@datasets.command("from-traces", context_settings={"ignore_unknown_options": True})  # -status:error is a term
@click.argument("name")
@click.argument("query", nargs=-1)
@click.option(
    "--trace", "trace_ids", multiple=True, metavar="ID", help="A trace, in the place of QUERY; may be repeated."
)
@click.option("--span", "span_id", default="", metavar="ID", help="With one --trace: this span of it.")
@click.option("--split", default="train", show_default=True, help="Split of the new rows.")
@_data
def from_traces_command(
    name: str, query: tuple[str, ...], *, trace_ids: tuple[str, ...], span_id: str, split: str, data: Path | None
) -> None:
    """Add rows to the dataset NAME from the traces that are like QUERY (docs/filters.md); Noria must run."""
    from noria.datasets import from_traces

    if bool(query) == bool(trace_ids) or (span_id and len(trace_ids) != 1):
        raise click.UsageError("Give a QUERY, or --trace (with --span: one).")
    which = from_traces.Selection(tuple(one.lower() for one in trace_ids), span_id.lower(), " ".join(query))
    with _project(data) as (stores, project_id):
        version = from_traces.add(stores, project_id=project_id, name=name, which=which, split=split, actor_id="")
    report = version.report
    click.echo(
        f"Added {report['added']:,} rows of {report['asked']:,} traces: {version.name} has {version.rows:,} rows."
    )
    for reason, count in report["left_out"].items():
        click.echo(f"  left out: {count:,}. {from_traces.REASONS[reason]}")


@datasets.command("list")
@_data
def list_command(data: Path | None) -> None:
    """Datasets by name, with the rows of their latest version."""
    from noria.datasets import service

    with _project(data) as (stores, project_id):
        page = service.list_datasets(stores, project_id, limit=500)
    for dataset in page.items:
        parts = ", ".join(f"{split} {count:,}" for split, count in sorted(dataset.splits.items()))
        click.echo(f"{dataset.name + ':' + str(dataset.latest):32} {dataset.rows:>10,}  {parts}")
    if not page.items:
        click.echo("There are no datasets yet. Import one: noria datasets import FILE… --name NAME")


def _show(_done: int, _total: int, note: str) -> None:
    if note and sys.stdout.isatty():
        click.echo(f"\r{note}", nl=False)


def _splits(given: tuple[str, ...], files: tuple[Path, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        file, equals, split = text.rpartition("=")
        if not equals or Path(file).name not in {path.name for path in files}:
            raise BadInput(f"--split {text!r} does not name one of the files.", hint="For example --split a.csv=test.")
        found[Path(file).name] = split
    return found


@contextmanager
def _project(data: Path | None) -> Iterator[tuple[Stores, str]]:
    """Stores of the data folder, and the id of its project; errors become one clear line."""
    from noria.governance.service import default_project

    settings = load(data=data)
    if not settings.database_url and not settings.folder.records.exists():
        raise click.ClickException(f"There is no Noria in {settings.data}. Start it once (noria up) or give --data.")
    stores = Stores(settings)
    try:
        with stores.database.read() as connection:
            project_id = default_project(connection, stores.settings.project)
        yield stores, project_id
    except NoriaError as error:
        raise click.ClickException(f"{error.message} {error.hint}".strip()) from error
    finally:
        stores.close()
