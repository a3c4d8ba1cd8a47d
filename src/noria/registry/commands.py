"""Commands of registry: what serves which endpoint, and the two verbs that one wants at hand in an emergency.

They work on the records directly, so they also work while the server is down; gateways see the change at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from noria.core.errors import BadInput
from noria.core.settings import load
from noria.governance.service import default_project
from noria.registry import service
from noria.registry.naming import number_of
from noria.registry.readiness import PATIENCE
from noria.stores.connect import Stores

data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data)."
)
_reason = click.option("--reason", required=True, help="Why; kept in the audit and in the endpoint's history.")


@contextmanager
def project(data: Path | None) -> Iterator[tuple[Stores, str]]:
    stores = Stores(load(data=data))
    try:
        with stores.database.read() as connection:
            project_id = default_project(connection)
        yield stores, project_id
    finally:
        stores.close()


@click.command()
@data_option
def endpoints(data: Path | None) -> None:
    """List endpoints and what serves them."""
    with project(data) as (stores, project_id):
        for one in service.list_endpoints(stores, project_id, limit=500).items:
            canary = f", release {one.canary} for {one.canary_share:.0%}" if one.canary else ""
            serving = f"release {one.primary}{canary}" if one.primary else "nothing serves yet"
            click.echo(f"{one.name:<24} {serving} ({one.releases} releases)")


@click.group()
def release() -> None:
    """Change what serves an endpoint."""


@release.command()
@data_option
@click.argument("endpoint")
@_reason
def rollback(data: Path | None, endpoint: str, reason: str) -> None:
    """Take the canary away; without one, return to the primary before this one."""
    with project(data) as (stores, project_id):
        after = service.rollback(stores, project_id=project_id, endpoint=endpoint, reason=reason, actor_id="")
        click.echo(f"Release {after.primary} serves {endpoint}.")


@release.command()
@data_option
@click.argument("release_name", metavar="ENDPOINT@NUMBER")
@_reason
def promote(data: Path | None, release_name: str, reason: str) -> None:
    """Let an approved release serve everybody."""
    endpoint, _, version = release_name.rpartition("@")
    number = number_of(version)
    if not endpoint or number is None:
        raise BadInput(f"{release_name!r} names no release.", hint="Like assistant@2.")
    with project(data) as (stores, project_id):
        after = service.promote(
            stores,
            project_id=project_id,
            endpoint=endpoint,
            number=number,
            reason=reason,
            actor_id="",
            wait=PATIENCE,
        )
        click.echo(f"Release {after.primary} serves {endpoint}.")
