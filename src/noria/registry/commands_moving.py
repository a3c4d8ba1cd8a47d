"""`noria import …`: the configuration of another gateway taken over, with a line about everything in it.

Like the other commands of registry it works on the records directly. The plan is always shown before anything is done.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from noria.core.errors import BadInput
from noria.governance import people
from noria.registry.commands import data_option, project
from noria.registry.moving import litellm, tensorzero
from noria.registry.moving.doing import Doing
from noria.registry.moving.plan import SIGNS, Plan

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_dry = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
_yes = click.option("--yes", is_flag=True, help="Do not ask before doing it.")
_approver = click.option(
    "--approve-as",
    metavar="EMAIL",
    default="",
    help="The person who approves fallbacks and canaries; without one they wait for an approval.",
)


@click.group("import")
def import_() -> None:
    """Take over the configuration of another gateway.

    What is there already stays as it is, so the same import can be run again. Keys are read from the file or from the
    environment variables that it names, are sealed at once and are never shown.
    """


@import_.command("litellm")
@_file
@_dry
@_yes
@_approver
@data_option
def import_litellm(file: Path, dry_run: bool, yes: bool, approve_as: str, data: Path | None) -> None:
    """Take over LiteLLM's config.yaml: models, keys, fallbacks, limits, timeouts, retries."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{file.name} is no text in UTF-8.", hint="Give LiteLLM's config.yaml.") from None
    _import(litellm.read(text, _environment()), dry_run=dry_run, yes=yes, approve_as=approve_as, data=data)


@import_.command("tensorzero")
@_file
@_dry
@_yes
@_approver
@data_option
def import_tensorzero(file: Path, dry_run: bool, yes: bool, approve_as: str, data: Path | None) -> None:
    """Take over TensorZero's tensorzero.toml: functions, variants, models, templates that only put values in."""
    _import(tensorzero.read(file, _environment()), dry_run=dry_run, yes=yes, approve_as=approve_as, data=data)


def _environment() -> Mapping[str, str]:
    return dict(os.environ)


def _import(plan: Plan, *, dry_run: bool, yes: bool, approve_as: str, data: Path | None) -> None:
    click.echo(
        f"The plan, from {plan.source} ({SIGNS['taken']} taken over, {SIGNS['changed']} means something else here,"
    )
    click.echo(f"{SIGNS['left']} not taken over):")
    for line in plan.lines:
        click.echo(f"  {line.text()}")
    if not plan.endpoints:
        raise BadInput("Nothing of this can be taken over.", hint="The lines above say why.")
    if dry_run:
        click.echo("Nothing was done.")
        return
    if not yes:
        click.confirm("Do it?", abort=True)
    with project(data) as (stores, project_id):
        approver_id = ""
        if approve_as:
            with stores.database.read() as connection:
                approver_id = people.find_person(connection, project_id, approve_as).id
        Doing(stores, project_id, plan, approver_id, lambda text: click.echo(f"  {text}")).run()
    click.echo("Done. Keys for your applications: `noria keys create`. What costs what: `noria prices`.")
