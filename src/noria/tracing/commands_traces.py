"""`noria traces 'status:error model:gpt-4o*'`: find traces from the command line, and take them away.

The span store is asked directly, so it must run (`noria up`); nothing is changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import orjson

from noria.core import money
from noria.core.settings import load
from noria.governance.service import default_project
from noria.stores.connect import Stores
from noria.tracing import export as exporting
from noria.tracing import service
from noria.tracing.records import TraceFilter, TraceRow

_data = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data)."
)
_query = click.argument("query", nargs=-1)
_TERMS = {"ignore_unknown_options": True}  # -status:error is a term


class _Traces(click.Group):
    """What names no command is a filter."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if known else ["find", *args])


@click.group(cls=_Traces)
def traces() -> None:
    """Find traces: noria traces 'status:error model:gpt-4o* cost>0.01 "refund"'."""


@traces.command(context_settings=_TERMS)
@_data
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_query
def find(data: Path | None, limit: int, as_json: bool, query: tuple[str, ...]) -> None:
    """The newest traces that are like QUERY (docs/filters.md); "find" may be left out."""
    with _project(data) as (stores, project_id):
        found = service.list_traces(stores, project_id, TraceFilter(q=" ".join(query)), limit=limit)
    for row in found.items:
        click.echo(orjson.dumps(row).decode() if as_json else _line(row))
    if not as_json:
        click.echo(f"{len(found.items)} traces{', and there are more' if found.next else ''}.", err=True)


@traces.command(context_settings=_TERMS)
@_data
@click.option("--format", "form", type=click.Choice(["jsonl", "parquet"]), default="jsonl", help="What to write.")
@click.option("--out", type=click.File("wb"), default="-", help="File to write (default: standard output).")
@click.option("--cursor", help="Go on after this cursor of an export that was cut off (jsonl).")
@_query
def export(
    data: Path | None, form: exporting.Format, out: click.File, cursor: str | None, query: tuple[str, ...]
) -> None:
    """Write every span of the traces that are like QUERY, newest trace first."""
    with _project(data) as (stores, project_id):
        which = service.conditions_of(TraceFilter(q=" ".join(query)))
        for piece in exporting.stream(stores, project_id, which, form, cursor):
            out.write(piece)  # type: ignore[attr-defined]


def _line(row: TraceRow) -> str:
    served = f"{row.endpoint}@{row.release}" if row.endpoint else row.name
    figures = f"{row.duration_ms / 1000:.2f}s {row.input_tokens}/{row.output_tokens} ${money.dollars(row.cost_micros)}"
    said = " ".join(_shown(row.input or row.name).split())[:60]
    state = row.error_type or row.status if row.status == "error" else "ok"
    return f"{row.start:%Y-%m-%d %H:%M:%S} {row.trace_id} {state} {_shown(served)} {_shown(row.model)} {figures} {said}"


def _shown(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


@contextmanager
def _project(data: Path | None) -> Iterator[tuple[Stores, str]]:
    stores = Stores(load(data=data))
    try:
        with stores.database.read() as connection:
            project_id = default_project(connection, stores.settings.project)
        yield stores, project_id
    finally:
        stores.close()
