"""`noria import langfuse FILE…` and its sisters: traces of another tool, from the files that it exports.

The import runs in this process, so it works whether or not Noria is running: what is read lies in the journal, and the worker carries it into
the span store when there is one.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from noria.core import clock
from noria.governance import audit
from noria.registry.commands import data_option, project
from noria.tracing.imports.taking import TOOLS, File, Import, Tally

_TITLES = {
    "langfuse": "Take over traces, observations and scores that Langfuse has exported.",
    "mlflow": "Take over traces and assessments of MLflow Tracing.",
    "phoenix": "Take over spans and annotations of Phoenix.",
    "langsmith": "Take over runs and feedback of LangSmith.",
    "otlp": "Take over spans in OTLP's JSON, as OpenTelemetry's Collector writes them to files.",
    "auto": "Take over traces; which tool has exported them is told by their first rows.",
}


@click.group("import")
def import_() -> None:
    """Take over what another tool has: a gateway's configuration, or traces.

    The same import can be run again: what is there already stays as it is, or becomes the same once more.
    """


def _command(tool: str) -> click.Command:
    @import_.command(tool, help=_TITLES[tool])
    @click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--dry-run", is_flag=True, help="Read everything and say what would come of it; keep nothing.")
    @data_option
    def command(files: tuple[Path, ...], dry_run: bool, data: Path | None) -> None:
        _import(tool, files, dry_run=dry_run, data=data)

    made: click.Command = command
    return made


for _tool in (*TOOLS, "auto"):
    _command(_tool)


def _import(tool: str, files: tuple[Path, ...], *, dry_run: bool, data: Path | None) -> None:
    with project(data) as (stores, project_id):
        run = Import(stores, project_id, tool=tool, files=[File(path, path.name) for path in files], dry_run=dry_run)
        tally = run.run(_progress())
        if not dry_run:
            with stores.database.begin() as connection:
                audit.record(
                    connection,
                    project_id=project_id,
                    actor_id="",
                    verb="traces.import",
                    target_kind="project",
                    target_id=project_id,
                    details={"tool": tally.tool, "files": len(files), "spans": tally.spans, "scores": tally.scores},
                )
        _tell(tally, dry_run=dry_run)


def _progress() -> Callable[[int, int, str], None]:
    shown = sys.stderr.isatty()

    def progress(done: int, total: int, note: str) -> None:
        if shown:
            click.echo(f"\r\x1b[K{done * 100 // max(total, 1)} %  {note}", nl=done >= total, err=True)

    return progress


def _tell(tally: Tally, *, dry_run: bool) -> None:
    verb = "Would import" if dry_run else "Imported"
    click.echo(
        f"{verb} {tally.spans:,} spans ({tally.roots:,} at the top of a trace) and {tally.scores:,} scores from"
        f" {tally.rows:,} rows of {tally.tool}."
    )
    if tally.spans:
        click.echo(f"They began between {_date(tally.first_ns)} and {_date(tally.last_ns)}.")
    if tally.old:
        click.echo(
            f"{tally.old:,} of them are older than {tally.keep_days:,} days, which is how long this project keeps spans: they are"
            f" dropped again within hours. Keep spans for longer first if you want them: noria project keep-spans DAYS."
        )
    if tally.refused:
        click.echo(f"{tally.refused:,} were not taken:")
        for reason, count in sorted(tally.reasons.items(), key=lambda item: -item[1]):
            click.echo(f"  {count:,}: {reason}")
        for place in tally.places:
            click.echo(f"  {place['file']}, {place['place']:,}: {place['reason']}")
    if tally.spans and not dry_run:
        click.echo("Everything is on disk; it shows in the pages a moment after Noria runs (noria up).")


def _date(nanoseconds: int) -> str:
    seconds = nanoseconds / 1e9 if nanoseconds else clock.now().timestamp()
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
