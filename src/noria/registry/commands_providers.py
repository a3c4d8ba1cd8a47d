"""Commands of providers: list and add them, and change their keys. A key is read from a file, never from the command line.

They work on the records directly, so they also work while the server is down; gateways see the change at once.
"""

import sys
from pathlib import Path
from typing import Any

import click

from noria.core.errors import BadInput
from noria.registry import publish, service
from noria.registry.commands import data_option, project
from noria.registry.kinds import KINDS
from noria.registry.presets import PRESETS

_key_file = click.option(
    "--key-file", type=click.Path(dir_okay=False, path_type=Path), help="File that holds the key; -: standard input."
)
_reason = click.option("--reason", default="", help="Why; kept in the audit.")


@click.group()
def providers() -> None:
    """Places that run models, and their keys."""


@providers.command("list")
@data_option
def list_providers(data: Path | None) -> None:
    """List providers with their addresses and what may be shown of their keys."""
    with project(data) as (stores, project_id):
        for one in service.list_providers(stores, project_id):
            click.echo(f"{one.name:<20} {one.kind:<10} {one.base_url or 'on this machine'}")
            for key in one.keys:
                click.echo(f"{'':<20} {key.hint:<10} weight {key.weight}  {key.id}  {key.name}".rstrip())


@providers.command()
def presets() -> None:
    """List providers that are known by name, with where their keys are made."""
    for one in PRESETS.values():
        where = one.base_url or one.example or KINDS[one.kind].base_url
        click.echo(f"{one.name:<12} {where:<56} {one.key_at}".rstrip())


@providers.command()
@data_option
@click.argument("name")
@click.option("--preset", default="", help="Name of a preset to start from (noria providers presets).")
@click.option("--kind", type=click.Choice(sorted(KINDS)), help="Kind; needed without a preset.")
@click.option("--url", default="", help="Address, up to and including the version.")
@click.option("--region", default="", help="Region, for AWS Bedrock.")
@click.option("--api-version", default="", help="Version of the API, for Azure OpenAI and Anthropic.")
@_key_file
def add(data: Path | None, name: str, **given: Any) -> None:
    """Add a provider."""
    options = {option: given[option] for option in ("region", "api_version") if given[option]}
    key = _key(given["key_file"]) if given["key_file"] else ""
    with project(data) as (stores, project_id):
        made = service.add_provider(
            stores,
            project_id=project_id,
            name=name,
            kind=given["kind"] or "",
            preset=given["preset"],
            base_url=given["url"],
            options=options,
            api_key=key,
            actor_id="",
        )
        publish.publish(stores)
        click.echo(f"{made.name} is at {made.base_url or 'this machine'}.")


@providers.command("add-key")
@data_option
@click.argument("provider")
@_key_file
@click.option("--name", default="", help="For people, to tell keys apart.")
@click.option("--weight", default=1, show_default=True, help="Share of the calls; 0: kept, but not used.")
@_reason
def add_key(data: Path | None, *, provider: str, key_file: Path | None, name: str, weight: int, reason: str) -> None:
    """Give a provider one more key."""
    key = _key(key_file)
    with project(data) as (stores, project_id):
        where: dict[str, Any] = {"project_id": project_id, "provider": provider, "actor_id": ""}
        made = service.add_key(stores, api_key=key, name=name, weight=weight, reason=reason, **where)
        publish.publish(stores)
        click.echo(f"{provider} has the key {made.hint} ({made.id}).")


@providers.command("rotate-key")
@data_option
@click.argument("provider")
@click.argument("key_id")
@_key_file
@_reason
def rotate_key(data: Path | None, *, provider: str, key_id: str, key_file: Path | None, reason: str) -> None:
    """Put another key in the place of one."""
    key = _key(key_file)
    with project(data) as (stores, project_id):
        where: dict[str, Any] = {"project_id": project_id, "provider": provider, "actor_id": ""}
        made = service.rotate_key(stores, key_id=key_id, api_key=key, reason=reason, **where)
        publish.publish(stores)
        click.echo(f"{provider} has the key {made.hint} now.")


@providers.command("remove-key")
@data_option
@click.argument("provider")
@click.argument("key_id")
@_reason
def remove_key(data: Path | None, provider: str, key_id: str, reason: str) -> None:
    """Take a key away."""
    with project(data) as (stores, project_id):
        service.remove_key(stores, project_id=project_id, provider=provider, key_id=key_id, reason=reason, actor_id="")
        publish.publish(stores)
        click.echo("The key is taken away.")


def _key(path: Path | None) -> str:
    if path is None:
        raise BadInput("Say where the key is.", hint="--key-file PATH, or --key-file - and the key on standard input.")
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read.", hint="A text file that holds the key and nothing else.") from error
