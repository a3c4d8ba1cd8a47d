"""People, keys, sessions and audit at the service's own level."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from noria.core import clock
from noria.core.errors import BadInput, Conflict, Limited, NotFound, Unauthenticated
from noria.governance import audit, keys, people, service, sessions
from noria.governance.records import FirstLogin
from noria.governance.tables import failed_logins
from noria.governance.tables import keys as key_table
from noria.governance.tables import sessions as session_table
from noria.stores import changes
from noria.stores.connect import Stores


def test_first_start_makes_one_admin_and_only_once(stores: Stores, first: FirstLogin) -> None:
    assert service.bootstrap(stores) is None
    caller = sessions.of_key(stores, first.key)
    assert caller is not None and caller.role == "admin" and "admin" in caller.permissions
    login = sessions.login(stores, " Admin@LOCALHOST ", first.password)
    assert login.caller.id == caller.id, "a person's key acts as the person"
    assert sessions.of_session(stores, login.token) == login.caller
    sessions.logout(stores, login.token)
    assert sessions.of_session(stores, login.token) is None


def test_nothing_secret_is_kept(stores: Stores, first: FirstLogin) -> None:
    sessions.login(stores, first.email, first.password)
    kept = stores.settings.folder.records.read_bytes()
    for wal in stores.settings.folder.records.parent.glob("records.db-*"):
        kept += wal.read_bytes()
    assert first.password.encode() not in kept
    assert first.key.encode() not in kept
    assert b"$argon2id$" in kept


def test_bad_login_says_the_same_for_unknown_people_and_wrong_passwords(stores: Stores, first: FirstLogin) -> None:
    with pytest.raises(Unauthenticated) as wrong:
        sessions.login(stores, first.email, "not the password")
    with pytest.raises(Unauthenticated) as unknown:
        sessions.login(stores, "nobody@example.org", "not the password")
    assert wrong.value.message == unknown.value.message


@pytest.mark.parametrize("email", ["admin@localhost", "nobody@example.org"])
def test_repeated_failures_are_slowed_whoever_it_is(stores: Stores, first: FirstLogin, email: str) -> None:
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            sessions.login(stores, email, "not the password")
    with pytest.raises(Limited):
        sessions.login(stores, email, first.password)
    with stores.database.begin() as connection:
        connection.execute(update(failed_logins).values(last_at=clock.now() - timedelta(hours=1)))
    if email == first.email:
        assert sessions.login(stores, email, first.password).token
        with stores.database.read() as connection:
            assert connection.execute(select(failed_logins)).first() is None


def test_sessions_end(stores: Stores, first: FirstLogin) -> None:
    login = sessions.login(stores, first.email, first.password)
    with stores.database.begin() as connection:
        connection.execute(update(session_table).values(expires_at=clock.now()))
    assert sessions.of_session(stores, login.token) is None


def test_a_new_password_ends_sessions(stores: Stores, first: FirstLogin) -> None:
    login = sessions.login(stores, first.email, first.password)
    with stores.database.begin() as connection:
        chosen = people.set_password(
            connection, project_id=first.project_id, person_id=login.caller.id, actor_id=login.caller.id
        )
    assert sessions.of_session(stores, login.token) is None
    assert sessions.login(stores, first.email, chosen)


def test_a_key_can_never_do_more_than_its_person(stores: Stores, first: FirstLogin) -> None:
    with stores.database.begin() as connection:
        editor, _ = people.add_person(
            connection, project_id=first.project_id, email="e@example.org", name="E", role="editor", actor_id=""
        )
        _, high = service.mint_key(
            connection, project_id=first.project_id, name="k", scope="manage", role="admin", actor_id=editor.id
        )
    caller = sessions.of_key(stores, high)
    assert caller is not None and caller.role == "editor" and caller.id == editor.id
    with stores.database.begin() as connection:
        people.remove_person(connection, project_id=first.project_id, person_id=editor.id, actor_id="")
    assert sessions.of_key(stores, high) is None


def test_scopes_and_revocation(stores: Stores, first: FirstLogin) -> None:
    project = first.project_id
    with stores.database.begin() as connection:
        before = changes.current(connection)
        row, key = service.mint_key(connection, project_id=project, name="app", scope="call", actor_id="")
        candidate, _ = service.mint_key(
            connection, project_id=project, name="c", scope="candidate", release="a@2", live=False, actor_id=""
        )
        assert changes.current(connection) > before
        listed = {k.id: k for k in service.gateway_keys(connection)}
        assert listed[row.id].digest == keys.digest(key) and listed[row.id].expires_at == 0.0
        assert listed[candidate.id].release == "a@2" and not listed[candidate.id].live
    caller = sessions.of_key(stores, key)
    assert caller is not None and caller.kind == "key" and caller.permissions == {"feedback", "read_prompts"}
    with stores.database.begin() as connection:
        before = changes.current(connection)
        assert service.revoke_key(connection, project_id=project, key_id=row.id, actor_id="").revoked_at
        assert changes.current(connection) > before
        assert row.id not in {k.id for k in service.gateway_keys(connection)}
        with pytest.raises(NotFound):
            service.revoke_key(connection, project_id="another", key_id=candidate.id, actor_id="")
    assert sessions.of_key(stores, key) is None


def test_expired_keys_stop(stores: Stores, first: FirstLogin) -> None:
    with stores.database.begin() as connection:
        row, key = service.mint_key(
            connection, project_id=first.project_id, name="short", scope="call", ttl_hours=1, actor_id=""
        )
        connection.execute(update(key_table).where(key_table.c.id == row.id).values(expires_at=clock.now()))
        assert service.gateway_keys(connection) == []
    assert sessions.of_key(stores, key) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "all"},
        {"scope": "manage"},
        {"scope": "manage", "role": "owner"},
        {"scope": "call", "role": "admin"},
        {"scope": "candidate"},
        {"scope": "call", "release": "a@1"},
        {"scope": "call", "ttl_hours": 0},
        {"scope": "call", "name": " "},
    ],
)
def test_keys_that_make_no_sense_are_refused(stores: Stores, first: FirstLogin, wrong: dict[str, str]) -> None:
    arguments: dict[str, Any] = {"name": "n", "project_id": first.project_id, "actor_id": "", **wrong}
    with stores.database.begin() as connection, pytest.raises(BadInput):
        service.mint_key(connection, **arguments)


def test_people_that_make_no_sense_are_refused(stores: Stores, first: FirstLogin) -> None:
    common = {"project_id": first.project_id, "name": "N", "actor_id": ""}
    with stores.database.begin() as connection:
        with pytest.raises(BadInput):
            people.add_person(connection, email="nothing", role="viewer", **common)
        with pytest.raises(BadInput):
            people.add_person(connection, email="a@example.org", role="owner", **common)
        with pytest.raises(BadInput):
            people.add_person(connection, email="a@example.org", role="viewer", password="short", **common)
        with pytest.raises(Conflict):
            people.add_person(connection, email="ADMIN@localhost", role="viewer", **common)
        admin = people.find_person(connection, first.project_id, first.email)
        with pytest.raises(Conflict):
            people.set_role(
                connection, project_id=first.project_id, person_id=admin.id, role="viewer", actor_id=admin.id
            )
        with pytest.raises(Conflict):
            people.remove_person(connection, project_id=first.project_id, person_id=admin.id, actor_id=admin.id)


def test_audit_is_paged_newest_first_and_kept_to_its_project(stores: Stores, first: FirstLogin) -> None:
    with stores.database.begin() as connection:
        for number in range(5):
            audit.record(
                connection,
                project_id=first.project_id,
                actor_id="",
                verb="release.promote",
                target_kind="release",
                target_id=f"r{number}",
                reason="because",
                details={"share": number},
            )
        page = audit.entries(connection, first.project_id, verb="release", limit=3)
        rest = audit.entries(connection, first.project_id, verb="release", limit=3, cursor=page.next)
        assert len(page.items) == 3 and len(rest.items) == 2 and rest.next is None
        assert {e.target_id for e in (*page.items, *rest.items)} == {f"r{n}" for n in range(5)}
        assert audit.entries(connection, "another").items == []
        with pytest.raises(BadInput):
            audit.entries(connection, first.project_id, cursor="nonsense")


def test_what_guessing_a_password_costs() -> None:
    """In a process of its own: tests hash cheaply."""
    code = "from noria.governance.passwords import hash_password as h; print(h('a long enough password'))"
    kept = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert kept.startswith("$argon2id$v=19$m=19456,t=6,p=1$")
