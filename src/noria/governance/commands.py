"""`noria people …` and `noria keys …`: accounts and keys from the shell of the machine, directly on the database.

Whoever can read the data folder is the installation's owner, so these ask for no login; the audit names no actor for them
unless a key is made to act as a person. They work while Noria runs, and when it does not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from noria.core.errors import BadInput, NoriaError
from noria.core.settings import load
from noria.governance import allowances, roles, service, writing
from noria.governance import people as accounts
from noria.governance import projects as shared
from noria.governance.limits import NO_LIMITS
from noria.governance.records import KeyRow
from noria.stores.connect import Stores

_LIMITS = {
    "requests_per_minute": "Requests a minute; 0: not limited.",
    "tokens_per_minute": "Tokens a minute, in and out; 0: not limited.",
    "concurrent": "Requests at the same time; 0: not limited.",
    "day_dollars": "Dollars a day (UTC); 0: not limited.",
    "month_dollars": "Dollars a month (UTC); 0: not limited.",
}


def _limits(command: Callable[..., None]) -> Callable[..., None]:
    """The five options for limits; the command takes them as **limits."""
    for name, text in reversed(_LIMITS.items()):
        command = click.option(f"--{name.replace('_', '-')}", help=text)(command)
    return command


_data = click.option("--data", type=click.Path(path_type=Path), help="Data folder (default: ./noria-data).")


@click.group()
def people() -> None:
    """Accounts of people."""


@people.command("list")
@_data
def list_people(data: Path | None) -> None:
    """Everybody with a role in the project."""
    with _project(data) as (connection, project_id):
        for person in accounts.list_people(connection, project_id):
            click.echo(f"{person.email:40} {person.role:10} {person.name}")


@people.command("add")
@click.argument("email")
@click.option("--name", default="", help="What others see; default: the address up to the @.")
@click.option(
    "--role", type=click.Choice(roles.ROLES), default="viewer", show_default=True, help="What the person may do."
)
@_data
def add_person(email: str, name: str, role: str, data: Path | None) -> None:
    """Create an account and print its password once. Whoever has an account in another project gets a role in this one."""
    with _project(data) as (connection, project_id):
        if accounts.has_account(connection, email):
            person = accounts.join_project(connection, project_id=project_id, email=email, role=role, actor_id="")
            click.echo(f"{person.email} is now {person.role} in this project too, with the account they have.")
            return
        person, password = accounts.add_person(
            connection, project_id=project_id, email=email, name=name, role=role, actor_id=""
        )
    click.echo(f"Added {person.email} as {person.role}. Password, shown this once: {password}")


@people.command("reset-password")
@click.argument("email")
@_data
def reset_password(email: str, data: Path | None) -> None:
    """Set a new password, print it once, and end the person's sessions."""
    with _project(data) as (connection, project_id):
        person = accounts.find_person(connection, project_id, email)
        password = accounts.set_password(connection, project_id=project_id, person_id=person.id, actor_id="")
    click.echo(f"New password of {person.email}, shown this once: {password}")


@people.command("remove")
@click.argument("email")
@click.option("--reason", default="", help="Kept in the audit.")
@_data
def remove_person(email: str, reason: str, data: Path | None) -> None:
    """Take a person's access away at once."""
    with _project(data) as (connection, project_id):
        person = accounts.find_person(connection, project_id, email)
        accounts.remove_person(connection, project_id=project_id, person_id=person.id, actor_id="", reason=reason)
    click.echo(f"{person.email} has no access any more.")


@click.group()
def keys() -> None:
    """API keys."""


@keys.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that work no more.")
@_data
def list_keys(everything: bool, data: Path | None) -> None:
    """Keys of the project, newest first, then those of other projects that write to it."""
    with _project(data) as (connection, project_id):
        for key in service.list_keys(connection, project_id, revoked=everything):
            may = " ".join(part for part in (key.scope, key.role, key.release) if part)
            limited = f"  ({allowances.sentence(key.limits)})" if key.limits != NO_LIMITS else ""
            also = f"  (also writes to {', '.join(key.projects)})" if key.projects else ""
            click.echo(f"{key.id}  {key.hint:6} {service.key_state(key):8} {may:24} {key.name}{limited}{also}")
        for guest in writing.guests(connection, project_id):
            click.echo(
                f"{guest.id}  {guest.hint:6} {'active':8} {'write_traces':24} {guest.name}  (of {guest.project})"
            )


@keys.command("create")
@click.argument("name")
@click.option("--scope", type=click.Choice(roles.SCOPES), default="call", show_default=True, help="What it may do.")
@click.option("--role", type=click.Choice(roles.ROLES), help="Of a manage key.")
@click.option("--release", default="", help="Of a candidate key, like assistant@2.")
@click.option("--as", "email", default="", help="With --scope manage: the person it acts as.")
@click.option("--hours", type=float, help="How long it works; default: until it is revoked.")
@click.option(
    "--writes-to", multiple=True, help="With --scope write_traces: another project it may write to; may be repeated."
)
@_limits
@_data
def create_key(
    name: str,
    scope: str,
    *,
    role: str | None,
    release: str,
    email: str,
    hours: float | None,
    writes_to: tuple[str, ...],
    data: Path | None,
    **limits: str | None,
) -> None:
    """Make a key and print it once."""
    if email and scope != "manage":
        raise click.ClickException("--as is for --scope manage: other keys act as themselves.")
    with _project(data) as (connection, project_id):
        actor_id = accounts.find_person(connection, project_id, email).id if email else ""
        _, key = service.mint_key(
            connection,
            project_id=project_id,
            name=name,
            scope=scope,
            role=(role or "viewer") if scope == "manage" else role or "",
            release=release,
            ttl_hours=hours,
            limits=allowances.from_fields(limits),
            projects=writing.found(connection, project_id, writes_to),
            actor_id=actor_id,
        )
    click.echo(f"{key}\nShown this once. Revoke it with: noria keys revoke {key[-4:]}")


@keys.command("revoke")
@click.argument("key_id")
@click.option("--reason", default="", help="Kept in the audit.")
@_data
def revoke_key(key_id: str, reason: str, data: Path | None) -> None:
    """Stop a key, named by its id or its last four characters."""
    with _project(data) as (connection, project_id):
        key = _find_key(connection, project_id, key_id)
        service.revoke_key(connection, project_id=project_id, key_id=key.id, actor_id="", reason=reason)
    click.echo(f"Revoked {key.name} ({key.hint}).")


@keys.command("withdraw")
@click.argument("key_id")
@click.option("--reason", default="", help="Kept in the audit.")
@_data
def withdraw_key(key_id: str, reason: str, data: Path | None) -> None:
    """End that a key of another project (its id) writes to this one; in its own it works on."""
    with _project(data) as (connection, project_id):
        writing.withdraw(connection, project_id=project_id, key_id=key_id, actor_id="", reason=reason)
    click.echo("The key writes here no more.")


@keys.command("limit")
@click.argument("key_id")
@_limits
@click.option("--reason", default="", help="Kept in the audit.")
@_data
def limit_key(key_id: str, reason: str, data: Path | None, **limits: str | None) -> None:
    """Change what a key may use; limits that are not named stay. In force within a second."""
    with _project(data) as (connection, project_id):
        key = _find_key(connection, project_id, key_id)
        changes = allowances.from_fields(limits)
        if changes:
            where: dict[str, Any] = {"project_id": project_id, "key_id": key.id, "actor_id": ""}
            key = service.limit_key(connection, **where, limits=changes, reason=reason)
    click.echo(f"{key.name} ({key.hint}): {allowances.sentence(key.limits) or 'not limited'}.")


@click.group()
def project() -> None:
    """Projects: making them, what all that is called in one may use together, and how long its spans stay."""


@project.command("list")
@_data
def list_projects(data: Path | None) -> None:
    """All projects of the installation, the first one first."""
    with _project(data) as (connection, _):
        for found in shared.list_projects(connection):
            click.echo(f"{found.id}  {found.name}")


@project.command("create")
@click.argument("name")
@click.option("--admin", "email", required=True, help="Address of an account that becomes its first admin.")
@_data
def create_project(name: str, email: str, data: Path | None) -> None:
    """Make an empty project. Commands work in it with NORIA_PROJECT=NAME, its admin goes there on the page of settings."""
    with _project(data) as (connection, _):
        made = shared.create_project(connection, name)
        accounts.join_project(connection, project_id=made.id, email=email, role="admin", actor_id="")
    click.echo(f"Made the project {made.name} ({made.id}).")


@project.command("limits")
@_limits
@click.option("--reason", default="", help="Kept in the audit.")
@_data
def limit_project(reason: str, data: Path | None, **limits: str | None) -> None:
    """Show the project's limits, or change those that are named. In force within a second."""
    with _project(data) as (connection, project_id):
        found = shared.get_project(connection, project_id)
        changes = allowances.from_fields(limits)
        if changes:
            found = shared.limit_project(connection, project_id=project_id, limits=changes, reason=reason, actor_id="")
    click.echo(f"Project {found.name}: {allowances.sentence(found.limits) or 'not limited'}.")


@project.command("keep-spans")
@click.argument("days", required=False)
@click.option("--reason", default="", help="Kept in the audit.")
@_data
def keep_spans(days: str | None, reason: str, data: Path | None) -> None:
    """Show how long the project's spans stay, or change it to DAYS ("default": the installation's setting).

    Fewer days drop older spans within the hour, for good.
    """
    with _project(data) as (connection, project_id):
        found = shared.get_project(connection, project_id)
        if days is not None:
            wanted = None if days == "default" else shared.days(days)
            found = shared.keep_project_spans(
                connection, project_id=project_id, days=wanted, reason=reason, actor_id=""
            )
    own = found.keep_span_days
    told = f"{own:,} days" if own else f"{load(data=data).keep_span_days:,} days, the installation's setting"
    click.echo(f"Project {found.name}: spans are kept for {told}.")


def _find_key(connection: Connection, project_id: str, key_id: str) -> KeyRow:
    """By its id or its last four characters. Raises BadInput."""
    found = [k for k in service.list_keys(connection, project_id) if key_id in {k.id, k.hint[1:]}]
    if len(found) != 1:
        raise BadInput(
            "There is no such key." if not found else "More than one key ends like that; nothing was changed.",
            hint="noria keys list --all shows ids.",
        )
    return found[0]


@contextmanager
def _project(data: Path | None) -> Iterator[tuple[Connection, str]]:
    """One transaction on the records of the data folder, and the id of its project; errors become one clear line."""
    settings = load(data=data)
    if not settings.database_url and not settings.folder.records.exists():
        raise click.ClickException(f"There is no Noria in {settings.data}. Start it once (noria up) or give --data.")
    stores = Stores(settings)
    try:
        with stores.database.begin() as connection:
            yield connection, service.default_project(connection, stores.settings.project)
    except NoriaError as error:
        raise click.ClickException(f"{error.message} {error.hint}".strip()) from error
    except DatabaseError as error:
        raise click.ClickException(
            "The database cannot be used, nothing was changed. Start Noria once (noria up), which brings it up to date."
        ) from error
    finally:
        stores.close()
