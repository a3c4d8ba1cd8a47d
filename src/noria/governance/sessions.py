"""Logging in, and who is asking: a browser's session cookie or a bearer key becomes a Caller.

A session is 256 random bits in an HttpOnly cookie and their digest in the database, beside the CSRF token that forms send
back. Failed logins are counted for the address that was tried, whether it has an account or not, so that neither the
words, the time nor the limit tell which addresses exist.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool

from noria.core import clock
from noria.core.errors import Forbidden, Limited, NotFound, Unauthenticated
from noria.governance import audit, keys, roles
from noria.governance.passwords import verify
from noria.governance.people import normal_email, set_password
from noria.governance.tables import failed_logins, memberships, people, sessions
from noria.governance.tables import keys as key_table
from noria.stores.connect import Stores
from noria.web.auth import Caller

COOKIE = "noria_session"
_FREE_FAILURES = 5
_LONGEST_WAIT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Login:
    """A fresh session: `token` goes into the cookie, `csrf` to scripts and forms."""

    token: str
    csrf: str
    caller: Caller
    expires_at: datetime


async def authenticate(request: Request) -> Caller | None:
    """Who is asking, from a key in the headers or else the session cookie; None for nobody we know."""
    stores: Stores = request.app.state.stores
    key = key_in(request.headers)
    if key is not None:
        return await run_in_threadpool(of_key, stores, key) if key else None
    token = request.cookies.get(COOKIE, "")
    return await run_in_threadpool(of_session, stores, token) if token else None


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key that headers carry: as a bearer, as the password of Basic (Langfuse's clients), in x-api-key or api_key (Phoenix's).

    "" when they try and fail to; None when they do not try.
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    if scheme:
        return ""
    return next((headers[name].strip() for name in ("x-api-key", "api_key", "api-key") if name in headers), None)


def of_key(stores: Stores, key: str) -> Caller | None:
    """The caller that a key stands for; None when it is unknown, revoked or expired, or its person has left."""
    if not key.startswith(keys.PREFIX):
        return None
    joined = key_table.outerjoin(people, people.c.id == key_table.c.person_id).outerjoin(
        memberships,
        (memberships.c.person_id == key_table.c.person_id) & (memberships.c.project_id == key_table.c.project_id),
    )
    query = (
        select(key_table, people.c.name.label("person"), memberships.c.role.label("person_role"))
        .select_from(joined)
        .where(key_table.c.digest == keys.digest(key), key_table.c.revoked_at.is_(None))
    )
    with stores.database.read() as connection:
        row = connection.execute(query).first()
    if row is None or (row.expires_at is not None and row.expires_at <= clock.now()):
        return None
    if row.person_id is None:
        return Caller("key", row.id, row.name, row.project_id, row.role, roles.of_scope(row.scope, row.role))
    if row.person_role is None:
        return None
    role = roles.lower(row.role, row.person_role)
    return Caller("key", row.person_id, row.person, row.project_id, role, roles.of_role(role))


def of_session(stores: Stores, token: str) -> Caller | None:
    """The person whose session this is; None when it is unknown or over."""
    joined = sessions.join(people, people.c.id == sessions.c.person_id).join(
        memberships,
        (memberships.c.person_id == sessions.c.person_id) & (memberships.c.project_id == sessions.c.project_id),
    )
    query = (
        select(sessions, people.c.name, memberships.c.role)
        .select_from(joined)
        .where(sessions.c.digest == _digest(token))
    )
    with stores.database.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.expires_at <= clock.now():
        return None
    return Caller("person", row.person_id, row.name, row.project_id, row.role, roles.of_role(row.role), row.csrf)


def login(stores: Stores, email: str, password: str) -> Login:
    """Start a session. Raises Unauthenticated (never saying what was wrong) or Limited after repeated failures."""
    account = _digest(normal_email(email))
    with stores.database.read() as connection:
        _check_limit(connection, account)
        person = connection.execute(select(people).where(people.c.email == normal_email(email))).first()
    right = verify(person.password_hash if person else None, password)  # slow on purpose, so outside a transaction
    with stores.database.begin() as connection:
        member = _membership(connection, person.id) if person and right else None
        if person is not None and member is not None:
            connection.execute(delete(failed_logins).where(failed_logins.c.account == account))
            return _start(stores, connection, person.id, person.name, member)
        _count_failure(connection, account)
    raise Unauthenticated("The address or the password is not right.", hint="Try again, or ask an admin.")


def switch_project(stores: Stores, caller: Caller, token: str, project_id: str) -> None:
    """Go on in another project in which one has a role. Raises NotFound for any other, and Forbidden for a key."""
    if of_session(stores, token) != caller:
        raise Forbidden("A key stays in its project.", hint="Make a key in the other one.")
    with stores.database.begin() as connection:
        here = (memberships.c.person_id == caller.id) & (memberships.c.project_id == project_id)
        if connection.execute(select(memberships.c.role).where(here)).first() is None:
            raise NotFound("There is no such project of yours.")
        changed = update(sessions).where(sessions.c.digest == _digest(token))
        connection.execute(changed.values(project_id=project_id))
        audit.record(
            connection,
            project_id=project_id,
            actor_id=caller.id,
            verb="session.switch",
            target_kind="person",
            target_id=caller.id,
        )


def change_password(stores: Stores, caller: Caller, *, old: str, new: str) -> None:
    """Replace one's own password, ending one's sessions. Raises Forbidden when `old` is wrong, BadInput for `new`."""
    with stores.database.read() as connection:
        account = connection.execute(select(people).where(people.c.id == caller.id)).first()
    if account is None:
        raise Forbidden("A key that belongs to nobody has no password.", hint="Sign in as a person.")
    number = _digest(account.email)
    with stores.database.read() as connection:
        _check_limit(connection, number)
    right = verify(account.password_hash, old)
    with stores.database.begin() as connection:
        if right:
            set_password(
                connection, project_id=caller.project_id, person_id=caller.id, password=new, actor_id=caller.id
            )
            return
        _count_failure(connection, number)
    raise Forbidden("The old password is not right; nothing was changed.", hint="Try again, or ask an admin.")


def logout(stores: Stores, token: str) -> None:
    """End a session; nothing happens when there is none."""
    with stores.database.begin() as connection:
        connection.execute(delete(sessions).where(sessions.c.digest == _digest(token)))


def _start(stores: Stores, connection: Connection, person_id: str, name: str, member: tuple[str, str]) -> Login:
    project_id, role = member
    now, token, csrf = clock.now(), secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    expires = now + timedelta(hours=stores.settings.session_hours)
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    connection.execute(
        insert(sessions).values(
            digest=_digest(token),
            person_id=person_id,
            project_id=project_id,
            csrf=csrf,
            created_at=now,
            expires_at=expires,
        )
    )
    audit.record(
        connection,
        project_id=project_id,
        actor_id=person_id,
        verb="session.start",
        target_kind="person",
        target_id=person_id,
    )
    return Login(token, csrf, Caller("person", person_id, name, project_id, role, roles.of_role(role), csrf), expires)


def _membership(connection: Connection, person_id: str) -> tuple[str, str] | None:
    query = select(memberships).where(memberships.c.person_id == person_id).order_by(memberships.c.project_id)
    row = connection.execute(query).first()
    return (row.project_id, row.role) if row else None


def _check_limit(connection: Connection, account: str) -> None:
    row = connection.execute(select(failed_logins).where(failed_logins.c.account == account)).first()
    if row is None or row.failures < _FREE_FAILURES:
        return
    wait = min(_LONGEST_WAIT, timedelta(seconds=2 ** min(row.failures - _FREE_FAILURES + 2, 10)))
    left = (row.last_at + wait - clock.now()).total_seconds()
    if left > 0:
        raise Limited(
            f"Too many failed logins for this address. Wait {int(left) + 1} seconds.",
            hint="An admin can set a new password meanwhile: noria people reset-password.",
        )


def _count_failure(connection: Connection, account: str) -> None:
    now = clock.now()
    connection.execute(delete(failed_logins).where(failed_logins.c.last_at < now - timedelta(days=1)))
    done = connection.execute(
        update(failed_logins)
        .where(failed_logins.c.account == account)
        .values(failures=failed_logins.c.failures + 1, last_at=now)
    )
    if done.rowcount == 0:
        with suppress(IntegrityError), connection.begin_nested():  # another failure was first: one of them is enough
            connection.execute(insert(failed_logins).values(account=account, failures=1, last_at=now))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
