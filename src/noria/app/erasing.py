"""The job that erases a person, and its command: here because both ask all slices.

In: the id of an erasure, or a subject. What is done stands in noria.governance.erasure.
"""

import time
from pathlib import Path
from typing import Any, Final

import click

from noria.app.slices import SLICES
from noria.core.errors import NoriaError
from noria.core.settings import load
from noria.governance import erasure, service
from noria.jobs import service as jobs
from noria.jobs.context import JobContext
from noria.stores.connect import Stores

_TURN: Final = 0.5


def run(context: JobContext) -> dict[str, Any]:
    """The job app.erase."""
    steps = context.work / "steps"
    known = steps.read_text().splitlines() if steps.exists() else []
    said = ""

    def progress(words: str) -> None:
        nonlocal said
        said = words or said
        if said and said not in known:  # a run that comes further than all before it is not counted as one more death
            known.append(said)
            steps.write_text("\n".join(known))
        context.progress(len(known), 0, said)

    return erasure.perform(context.stores, SLICES, str(context.args["erasure_id"]), progress)


@click.command()
@click.argument("subject")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--reason", default="", help="Kept in the audit; do not name the person in it.")
@click.option("--wait", is_flag=True, help="Stay until it is gone from the files too.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data).")
def erase(subject: str, dry_run: bool, reason: str, wait: bool, data: Path | None) -> None:
    """Erase a person: all traces that name SUBJECT as their user, and what was made of them. Noria must be running."""
    settings = load(data=data)
    if not settings.database_url and not settings.folder.records.exists():
        raise click.ClickException(f"There is no Noria in {settings.data}. Start it once (noria up) or give --data.")
    stores = Stores(settings)
    try:
        with stores.database.read() as connection:
            project_id = service.default_project(connection, stores.settings.project)
        if dry_run:
            _tell("Would go:", erasure.preview(stores, SLICES, project_id, subject))
            return
        made = erasure.request(stores, SLICES, project_id=project_id, subject_id=subject, actor_id="", reason=reason)
        click.echo(f"Erasure {made.id}: nothing of the subject can be seen any more; its files are being written anew.")
        if wait:
            _wait(stores, project_id, made)
    except NoriaError as error:
        raise click.ClickException(f"{error.message} {error.hint}".strip()) from error
    finally:
        stores.close()


def _wait(stores: Stores, project_id: str, made: erasure.Erasure) -> None:
    while not (job := jobs.get(stores, project_id, made.job_id)).ended:
        time.sleep(_TURN)
    if job.state != "done":
        words = job.error or {"message": "The job was cancelled.", "hint": "Request the erasure again."}
        raise click.ClickException(f"{words['message']} {words['hint']}".strip())
    _tell("Gone:", erasure.get(stores, project_id, made.id).counts)


def _tell(head: str, counts: dict[str, int]) -> None:
    click.echo(head)
    for name, count in counts.items():
        click.echo(f"  {count:>9,} {name}")
