"""Commands of evaluation: `noria evaluations list | show`. They read the records of the data folder directly."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from noria.core.settings import load
from noria.evaluation import service
from noria.evaluation.records import Evaluation
from noria.governance.service import default_project
from noria.stores.connect import Stores

_data = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data)."
)


@click.group()
def evaluations() -> None:
    """Look at evaluations."""


@evaluations.command("list")
@_data
@click.option("--dataset", help='Only those on this dataset version, like "calls:2".')
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="At most this many.")
def list_evaluations(data: Path | None, dataset: str | None, limit: int) -> None:
    """Evaluations, newest first: target, rows, main metric with its interval."""
    with _opened(data) as (stores, project_id):
        page = service.list_evaluations(stores, project_id, dataset=dataset, limit=limit)
    for one in page.items:
        click.echo(line(one))
    if not page.items:
        click.echo("No evaluations yet. Start one: POST /api/evaluations, or on the page Evaluations.")


@evaluations.command()
@_data
@click.argument("evaluation_id")
def show(data: Path | None, evaluation_id: str) -> None:
    """One evaluation with its report, as JSON."""
    with _opened(data) as (stores, project_id):
        one = service.get(stores, project_id, evaluation_id)
    click.echo(json.dumps(asdict(one), default=str, indent=2, ensure_ascii=False))


def line(one: Evaluation) -> str:
    """An evaluation on one line."""
    head = f"{one.id}  {one.created_at:%Y-%m-%d %H:%M}  {one.target:<24} {one.dataset} {one.split}"
    if one.report is None:
        return f"{head}  {one.state}"
    name = one.report["main_metric"]
    main = one.report["metrics"][name]
    return f"{head}  {name} {main['value']:.3f} ({main['low']:.3f} to {main['high']:.3f}), n = {one.report['n']}"


@contextmanager
def _opened(data: Path | None) -> Iterator[tuple[Stores, str]]:
    stores = Stores(load(data=data))
    try:
        with stores.database.read() as connection:
            project_id = default_project(connection, stores.settings.project)
        yield stores, project_id
    finally:
        stores.close()
