"""Migrations on both SQL engines: they make the declared tables, keep data, can be tried, and know a newer database."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, text

from noria.app import schema
from noria.core.errors import Conflict
from noria.core.settings import Settings
from noria.stores.sql import Database, metadata, sqlite_url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Database]:
    """An empty database."""
    if request.param == "sqlite":
        opened = Database(sqlite_url(settings.folder.records))
    else:
        server = request.getfixturevalue("postgres_server")
        name = f"schema_{time.monotonic_ns()}"
        admin = Database(server)
        with admin.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        admin.close()
        separator = "&" if "?" in server else "?"
        opened = Database(f"{server}{separator}options=-csearch_path%3D{name}")
    yield opened
    opened.close()


def test_migrations_make_exactly_the_declared_tables(database: Database) -> None:
    assert schema.current(database) == ""
    assert schema.migrate(database)
    assert schema.is_current(database)
    with database.engine.connect() as connection, connection.begin():
        assert schema.differences(connection) == []
    assert schema.migrate(database) == []


def test_a_dry_run_shows_the_statements_and_changes_nothing(database: Database) -> None:
    statements = schema.migrate(database, dry_run=True)
    assert any("CREATE TABLE jobs" in statement for statement in statements)
    with database.read() as connection:
        assert not inspect(connection).has_table("jobs")
    assert schema.current(database) == ""


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    schema.migrate(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer version"):
        schema.is_current(database)


def test_migrations_can_be_taken_back(database: Database) -> None:
    from alembic import command

    schema.migrate(database)
    with database.engine.connect() as connection, connection.begin():
        command.downgrade(schema.config(connection), "base")
    schema.declare()
    with database.read() as connection:
        assert set(inspect(connection).get_table_names()) & set(metadata.tables) == set()
