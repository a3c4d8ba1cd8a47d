"""Accounts of people and their roles in projects. Each verb is one transaction's worth and writes its audit entry."""

import re
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, Forbidden, NotFound
from noria.governance import audit, roles
from noria.governance.passwords import hash_password, new_password
from noria.governance.records import Person
from noria.governance.tables import memberships, people, sessions

_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,189}")


def add_person(
    connection: Connection,
    *,
    project_id: str,
    email: str,
    name: str,
    role: str,
    password: str | None = None,
    actor_id: str,
) -> tuple[Person, str]:
    """Create an account with a role in the project; returns it with the password (made up when none is given).

    Raises BadInput for an address, role or password that cannot be used, Conflict when the address has an account.
    """
    roles.check_role(role)
    address = normal_email(email)
    if not _EMAIL.fullmatch(address):
        raise BadInput("That is not an e-mail address.", hint="Like name@example.org.")
    chosen = password or new_password()
    person = Person(ids.new_id(), address, name.strip()[:120] or address.split("@")[0], role, clock.now())
    hashed = hash_password(chosen)
    try:
        with connection.begin_nested():
            connection.execute(
                insert(people).values(
                    id=person.id, email=address, name=person.name, password_hash=hashed, created_at=person.created_at
                )
            )
    except IntegrityError as error:
        raise Conflict("There is an account with this address.", hint="Change its role instead.") from error
    connection.execute(insert(memberships).values(project_id=project_id, person_id=person.id, role=role))
    _audit(connection, project_id, actor_id, "person.add", person.id, details={"role": role})
    return person, chosen


def has_account(connection: Connection, email: str) -> bool:
    """Whether somebody has an account with this address, in whichever project."""
    return connection.execute(select(people.c.id).where(people.c.email == normal_email(email))).first() is not None


def join_project(connection: Connection, *, project_id: str, email: str, role: str, actor_id: str) -> Person:
    """Give somebody who has an account a role in one more project. Raises NotFound without an account, Conflict with a role there.

    For the owner of the installation: an admin of one project has no say over people of another.
    """
    roles.check_role(role)
    person_id = connection.execute(select(people.c.id).where(people.c.email == normal_email(email))).scalar()
    if person_id is None:
        raise NotFound("Nobody has an account with this address.", hint="noria people add makes one.")
    here = (memberships.c.project_id == project_id) & (memberships.c.person_id == person_id)
    if connection.execute(select(memberships.c.role).where(here)).first() is not None:
        raise Conflict("There is an account with this address.", hint="Change its role instead.")
    connection.execute(insert(memberships).values(project_id=project_id, person_id=person_id, role=role))
    _audit(connection, project_id, actor_id, "person.join", person_id, details={"role": role})
    return get_person(connection, project_id, person_id)


def list_people(connection: Connection, project_id: str) -> list[Person]:
    """Everybody with a role in the project, by name."""
    query = _select().where(memberships.c.project_id == project_id).order_by(func.lower(people.c.name), people.c.id)
    return [Person(**row) for row in connection.execute(query).mappings()]


def get_person(connection: Connection, project_id: str, person_id: str) -> Person:
    """Raises NotFound."""
    query = _select().where(memberships.c.project_id == project_id, people.c.id == person_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such person in this project.")
    return Person(**row)


def find_person(connection: Connection, project_id: str, email: str) -> Person:
    """By address. Raises NotFound."""
    query = _select().where(memberships.c.project_id == project_id, people.c.email == normal_email(email))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such person in this project.")
    return Person(**row)


def set_role(connection: Connection, *, project_id: str, person_id: str, role: str, actor_id: str) -> Person:
    """Give a person another role. Raises Conflict when the project would be left without an admin."""
    person = get_person(connection, project_id, person_id)
    roles.check_role(role)
    if person.role == "admin" and role != "admin":
        _keep_an_admin(connection, project_id)
    here = (memberships.c.project_id == project_id) & (memberships.c.person_id == person_id)
    connection.execute(update(memberships).where(here).values(role=role))
    _audit(connection, project_id, actor_id, "person.role", person_id, details={"from": person.role, "to": role})
    return get_person(connection, project_id, person_id)


def remove_person(connection: Connection, *, project_id: str, person_id: str, actor_id: str, reason: str = "") -> None:
    """Take a person's access to the project away, at once: sessions end, and keys that act as them stop."""
    person = get_person(connection, project_id, person_id)
    if person.role == "admin":
        _keep_an_admin(connection, project_id)
    here = (memberships.c.project_id == project_id) & (memberships.c.person_id == person_id)
    connection.execute(delete(memberships).where(here))
    connection.execute(delete(sessions).where(sessions.c.person_id == person_id, sessions.c.project_id == project_id))
    _audit(connection, project_id, actor_id, "person.remove", person_id, details={"role": person.role}, reason=reason)


def set_password(
    connection: Connection, *, project_id: str, person_id: str, password: str | None = None, actor_id: str
) -> str:
    """Replace a password (made up when none is given), end the person's sessions, and return the password.

    Raises Forbidden when an admin would get into another project by it: that of somebody who has a role there as well.
    """
    get_person(connection, project_id, person_id)
    if actor_id not in {"", person_id}:
        _only_ours(connection, project_id, person_id)
    chosen = password or new_password()
    connection.execute(update(people).where(people.c.id == person_id).values(password_hash=hash_password(chosen)))
    connection.execute(delete(sessions).where(sessions.c.person_id == person_id))
    _audit(connection, project_id, actor_id, "person.password", person_id)
    return chosen


def normal_email(email: str) -> str:
    """The form in which addresses are kept and compared."""
    return email.strip().lower()


def _select() -> Select[Any]:
    return select(people.c.id, people.c.email, people.c.name, memberships.c.role, people.c.created_at).select_from(
        people.join(memberships, memberships.c.person_id == people.c.id)
    )


def _only_ours(connection: Connection, project_id: str, person_id: str) -> None:
    elsewhere = (memberships.c.person_id == person_id) & (memberships.c.project_id != project_id)
    if connection.execute(select(memberships.c.project_id).where(elsewhere)).first() is not None:
        raise Forbidden(
            "This person works in other projects too, so no project's admin sets their password; nothing was changed.",
            hint="The owner of the installation does: noria people reset-password.",
        )


def _keep_an_admin(connection: Connection, project_id: str) -> None:
    admins = select(func.count()).select_from(memberships)
    count = connection.execute(
        admins.where(memberships.c.project_id == project_id, memberships.c.role == "admin")
    ).scalar_one()
    if count <= 1:
        raise Conflict("This is the project's last admin.", hint="Make somebody else an admin first.")


def _audit(connection: Connection, project_id: str, actor_id: str, verb: str, person_id: str, **extra: Any) -> None:
    audit.record(
        connection,
        project_id=project_id,
        actor_id=actor_id,
        verb=verb,
        target_kind="person",
        target_id=person_id,
        **extra,
    )
