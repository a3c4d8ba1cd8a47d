"""Commands of registry: what serves which endpoint and under which policy, and the verbs that move traffic.

They work on the records directly, so they also work while the server is down; gateways see the change at once.
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson

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
            project_id = default_project(connection, stores.settings.project)
        yield stores, project_id
    finally:
        stores.close()


@click.group(invoke_without_command=True)
@data_option
@click.pass_context
def endpoints(context: click.Context, data: Path | None) -> None:
    """List endpoints and what serves them."""
    if context.invoked_subcommand is not None:
        return
    with project(data) as (stores, project_id):
        for one in service.list_endpoints(stores, project_id, limit=500).items:
            canary = f", release {one.canary} for {one.canary_share:.0%}" if one.canary else ""
            shadow = f", release {one.shadow} as shadow of {one.shadow_share:.0%}" if one.shadow else ""
            serving = f"release {one.primary}{canary}{shadow}" if one.primary else "nothing serves yet"
            click.echo(f"{one.name:<24} {serving} ({one.releases} releases)")


@endpoints.command()
@data_option
@click.argument("endpoint", metavar="NAME")
@click.option(
    "--set",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replace the policy by the one in this file, TOML or JSON (docs/policy.md).",
)
@click.option("--restore", type=click.IntRange(0), help="Make this earlier version the newest again; 0: the empty one.")
@click.option("--history", is_flag=True, help="List the versions instead.")
@click.option("--reason", default="", help="Why; a change wants one. Kept in the audit.")
def policy(
    data: Path | None, endpoint: str, *, file: Path | None, restore: int | None, history: bool, reason: str
) -> None:
    """Show an endpoint's policy as JSON, or change it. In force within a second."""
    if file is not None and restore is not None:
        raise click.UsageError("--set and --restore are two changes; make one.")
    with project(data) as (stores, project_id):
        where: dict[str, Any] = {"project_id": project_id, "endpoint": endpoint, "reason": reason, "actor_id": ""}
        if history:
            for one in service.policy_history(stores, project_id, endpoint, limit=500).items:
                who = one.author or "command line"
                click.echo(f"{one.version:>4}  {one.created_at:%Y-%m-%d %H:%M}  {who:<20} {one.reason}")
            return
        if file is not None:
            found = service.put_policy(stores, policy=_document(file), **where)
        elif restore is not None:
            found = service.restore_policy(stores, version=restore, **where)
        else:
            found = service.get_policy(stores, project_id, endpoint)
        click.echo(orjson.dumps({"version": found.version, **found.policy}, option=orjson.OPT_INDENT_2).decode())


def _document(file: Path) -> dict[str, Any]:
    """The object in a TOML or JSON file. Raises BadInput."""
    try:
        text = file.read_text(encoding="utf-8")
        read: Any = tomllib.loads(text) if file.suffix == ".toml" else orjson.loads(text)
    except (ValueError, OSError) as error:  # both decoders raise kinds of ValueError
        raise BadInput(
            f"{file.name} cannot be read: {error}", hint="TOML (.toml) or JSON; nothing was changed."
        ) from error
    if not isinstance(read, dict):
        raise BadInput(f"{file.name} holds no policy.", hint='An object with parts, like {"limits": {…}}.')
    return read


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
    endpoint, number = _named(release_name)
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


@release.command()
@data_option
@click.argument("release_name", metavar="ENDPOINT@NUMBER")
@click.option("--share", type=float, default=1.0, show_default=True, help="How many of the sessions it hears, 0 to 1.")
@_reason
def shadow(data: Path | None, release_name: str, share: float, reason: str) -> None:
    """Let an approved release hear a share of the sessions; its answers are recorded and thrown away."""
    endpoint, number = _named(release_name)
    with project(data) as (stores, project_id):
        after = service.shadow(
            stores,
            project_id=project_id,
            endpoint=endpoint,
            number=number,
            share=share,
            reason=reason,
            actor_id="",
            wait=PATIENCE,
        )
        click.echo(f"Release {after.shadow} hears {after.shadow_share:.0%} of the sessions of {endpoint}.")


@release.command()
@data_option
@click.argument("endpoint")
@_reason
def unshadow(data: Path | None, endpoint: str, reason: str) -> None:
    """Take the shadow away; its release is approved again."""
    with project(data) as (stores, project_id):
        service.unshadow(stores, project_id=project_id, endpoint=endpoint, reason=reason, actor_id="")
        click.echo(f"{endpoint} has no shadow any more.")


def _named(release_name: str) -> tuple[str, int]:
    """("assistant", 2) of "assistant@2". Raises BadInput."""
    endpoint, _, version = release_name.rpartition("@")
    number = number_of(version)
    if not endpoint or number is None:
        raise BadInput(f"{release_name!r} names no release.", hint="Like assistant@2.")
    return endpoint, number
