"""`noria record …`: a team's own traffic made into test fixtures, without keys and personal data.

The commands work on the machine of the gateway: they write the order that it watches, and read what it has sealed into the
data folder. Starting and saving are in the audit.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from noria.core import ids
from noria.core.errors import BadInput, NotFound
from noria.core.folder import Folder
from noria.core.settings import load
from noria.governance import audit
from noria.governance.sealing import Sealer
from noria.governance.service import default_project
from noria.registry import provider_keys, service
from noria.registry.fixtures import fixtures
from noria.registry.naming import check_reason
from noria.registry.recording import MOST_REQUESTS, Order, read, read_order, remove, write_order
from noria.stores.connect import Stores

_data = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data)."
)


@click.group()
def record() -> None:
    """Make test fixtures of your own traffic.

    While a recording runs, the gateway keeps what the providers of one endpoint are asked and answer, sealed. Saving it
    takes keys and personal data out and writes fixtures; then the recording is deleted.
    """


@record.command()
@_data
@click.argument("endpoint")
@click.option(
    "--requests", default=20, show_default=True, type=click.IntRange(1, MOST_REQUESTS), help="At most so many."
)
@click.option("--minutes", default=60, show_default=True, type=click.IntRange(1, 1440), help="At most so long.")
@click.option("--reason", required=True, help="Why; kept in the audit.")
def start(data: Path | None, endpoint: str, requests: int, minutes: int, reason: str) -> None:
    """Record the next requests of ENDPOINT; a recording that was not saved is deleted."""
    why = check_reason(reason)
    with _project(data) as (stores, project_id):
        folder = stores.settings.folder
        with stores.database.begin() as connection:
            into = service.find_endpoint(connection, project_id, endpoint)
            order = Order(ids.new_id(), project_id, endpoint, requests, time.time() + minutes * 60)
            details = {"requests": requests, "minutes": minutes, "recording": order.id}
            _audit(connection, project_id, "endpoint.record", into.id, reason=why, details=details)
            remove(folder.recordings)
            write_order(folder.recording, order)
        click.echo(f"The next {requests} requests of {endpoint} are recorded, for {minutes} minutes at most.")
        click.echo("`noria record status` says how far it is, `noria record save` makes fixtures of it.")


@record.command()
@_data
def status(data: Path | None) -> None:
    """Say what is being recorded and how much of it is there."""
    folder = load(data=data).folder
    order = _order(folder)
    left = max(0, round((order.until - time.time()) / 60))
    done = sum(1 for path in _places(folder, order) if path.stat().st_size)
    click.echo(f"{order.endpoint}: {done} of {order.requests} recorded, {left} minutes left.")


@record.command()
@_data
def stop(data: Path | None) -> None:
    """End the recording and delete what was recorded."""
    folder = load(data=data).folder
    write_order(folder.recording, None)
    click.echo(f"{'Deleted.' if remove(folder.recordings) else 'There was no recording.'}")


@record.command()
@_data
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the fixtures."
)
@click.option(
    "--name", default="", help="What the files are called, before their number; default: the endpoint's name."
)
@click.option("--keep", is_flag=True, help="Do not delete the recording afterwards.")
def save(data: Path | None, output: Path, name: str, keep: bool) -> None:
    """Write fixtures of what was recorded: one folder for each dialect, a request and an answer or stream for each call."""
    with _project(data) as (stores, project_id):
        folder = stores.settings.folder
        order = _order(folder)
        sealer = Sealer(folder.secret)
        keys = provider_keys.all_keys(stores, project_id)
        saved = refused = 0
        for path in _places(folder, order):
            if (exchange := read(path, sealer)) is None:
                continue
            called = f"{name or order.endpoint}_{path.stem}"
            try:
                files, removed = fixtures(exchange, called, keys)
            except BadInput as error:
                refused += 1
                click.echo(f"- {called} is not written: {error.message}")
                continue
            for relative, text in files.items():
                target = output / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            saved += 1
            what = ", ".join(f"{count} {kind}" for kind, count in sorted(removed.items())) or "nothing"
            click.echo(f"+ {', '.join(files)} (removed: {what})")
        details = {"recording": order.id, "saved": saved, "refused": refused}
        with stores.database.begin() as connection:
            into = service.find_endpoint(connection, project_id, order.endpoint)
            _audit(connection, project_id, "endpoint.record_save", into.id, details=details)
        if not keep:
            write_order(folder.recording, None)
            remove(folder.recordings)
    click.echo(f"{saved} saved{f', {refused} refused' if refused else ''}. Patterns find no names and no addresses of")
    click.echo("streets: read the files before you commit them.")


def _order(folder: Folder) -> Order:
    order = read_order(folder.recording.read_bytes()) if folder.recording.exists() else None
    if order is None:
        raise NotFound("Nothing is being recorded.", hint="noria record start ENDPOINT --reason …")
    return order


def _places(folder: Folder, order: Order) -> list[Path]:
    return sorted((folder.recordings / order.id).glob("*.sealed"))


def _audit(connection: Connection, project_id: str, verb: str, endpoint_id: str, **values: Any) -> None:
    audit.record(
        connection,
        project_id=project_id,
        actor_id="",
        verb=verb,
        target_kind="endpoint",
        target_id=endpoint_id,
        **values,
    )


@contextmanager
def _project(data: Path | None) -> Iterator[tuple[Stores, str]]:
    stores = Stores(load(data=data))
    try:
        with stores.database.read() as connection:
            project_id = default_project(connection, stores.settings.project)
        yield stores, project_id
    finally:
        stores.close()
