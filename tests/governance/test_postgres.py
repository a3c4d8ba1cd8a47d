"""The same verbs on PostgreSQL."""

import dataclasses

import pytest
from sqlalchemy.schema import CreateSchema

from noria.core import ids
from noria.core.errors import Conflict, Unauthenticated
from noria.core.settings import Settings
from noria.governance import audit, people, projects, service, sessions, tables, writing
from noria.stores.connect import Stores
from noria.stores.sql import Database


def test_access_on_postgres(postgres_server: str, settings: Settings) -> None:
    schema = "governance_" + ids.new_id().replace("-", "")
    whole = Database(postgres_server)
    with whole.begin() as connection:
        connection.execute(CreateSchema(schema))
    whole.close()
    separator = "&" if "?" in postgres_server else "?"
    url = f"{postgres_server}{separator}options=-csearch_path%3D{schema}"
    stores = Stores(dataclasses.replace(settings, database_url=url))
    try:
        stores.database.create_all()
        first = service.bootstrap(stores)
        assert first is not None and tables.audit.name == "audit"
        with pytest.raises(Unauthenticated):
            sessions.login(stores, first.email, "not the password")
        login = sessions.login(stores, first.email, first.password)
        assert sessions.of_session(stores, login.token) == login.caller
        with stores.database.begin() as connection:
            common = {"project_id": first.project_id, "name": "N", "role": "viewer", "actor_id": login.caller.id}
            people.add_person(connection, email="a@example.org", **common)
            with pytest.raises(Conflict):
                people.add_person(connection, email="a@example.org", **common)
            row, _ = service.mint_key(
                connection, project_id=first.project_id, name="k", scope="call", ttl_hours=1, actor_id=""
            )
            service.limit_key(
                connection, project_id=first.project_id, key_id=row.id, limits={"concurrent": 2}, actor_id=""
            )
            assert [(k.id, k.limits.concurrent) for k in service.gateway_keys(connection)] == [(row.id, 2)]
            projects.limit_project(
                connection, project_id=first.project_id, limits={"day_micros": 5}, actor_id=login.caller.id
            )
            assert projects.all_limits(connection)[first.project_id].day_micros == 5
            page = audit.entries(connection, first.project_id, limit=4)
            assert [entry.verb for entry in page.items[:2]] == ["project.limits", "key.limits"]
            assert page.next and page.items[2].details["scope"] == "call" and page.items[3].actor == "admin"
        _several_projects(stores, first.project_id, first.email, login)
    finally:
        stores.close()


def _several_projects(stores: Stores, home: str, email: str, login: sessions.Login) -> None:
    with stores.database.begin() as connection:
        other = projects.create_project(connection, "other").id
        people.join_project(connection, project_id=other, email=email, role="admin", actor_id="")
        let = writing.granted(connection, login.caller, ["other"])
        row, key = service.mint_key(
            connection, project_id=home, name="s", scope="write_traces", projects=let, actor_id=login.caller.id
        )
        assert (row.projects, [guest.id for guest in writing.guests(connection, other)]) == (("other",), [row.id])
    caller = sessions.of_key(stores, key)
    assert caller is not None
    sessions.switch_project(stores, login.caller, login.token, other)
    with stores.database.begin() as connection:
        assert set(writing.writable(connection, caller).values()) == {home, other}
        writing.withdraw(connection, project_id=other, key_id=row.id, actor_id="")
        assert set(writing.writable(connection, caller).values()) == {home}
