"""The same on PostgreSQL: run, browse, filter, compare."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from noria.core.settings import Settings
from noria.evaluation import results, service
from noria.governance import service as governance
from noria.governance.tables import people
from noria.stores.connect import Stores
from noria.stores.sql import Database, metadata
from tests.evaluation.conftest import Conversation, Laboratory
from tests.evaluation.gateway import Said, StandInGateway


@pytest.fixture
def on_postgres(
    stores: Stores, settings: Settings, postgres_server: str, gateway: StandInGateway
) -> Iterator[Laboratory]:
    """A laboratory whose records lie in a schema of this test alone (`stores` has declared the tables)."""
    schema = f"evaluation_{os.getpid()}_{time.monotonic_ns()}"
    whole = Database(postgres_server)
    with whole.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    whole.close()
    separator = "&" if "?" in postgres_server else "?"
    opened = Stores(replace(settings, database_url=f"{postgres_server}{separator}options=-csearch_path%3D{schema}"))
    metadata.create_all(opened.database.engine)
    first = governance.bootstrap(opened)
    assert first is not None
    gateway.stores = opened
    with opened.database.read() as connection:
        actor_id = connection.execute(select(people.c.id)).scalar_one()
    yield Laboratory(opened, first, actor_id)
    opened.close()


def test_on_postgres(
    on_postgres: Laboratory, gateway: StandInGateway, calls: Callable[[int], list[Conversation]]
) -> None:
    rows = calls(20)
    version = on_postgres.version("calls", train=calls(30)[20:], test=rows)
    answers = dict(rows)
    gateway.answer = lambda asked: Said("no\x00thing" if asked.model == "weak@1" else answers[asked.text])
    weak, strong = (on_postgres.evaluation(version, target) for target in ("weak@1", "strong@1"))
    assert on_postgres.run(weak)["invalid"] == 20
    assert on_postgres.run(strong)["invalid"] == 0
    stores, project_id = on_postgres.stores, on_postgres.project_id
    assert results.row_counts(stores, weak) == {"": 20, "wrong": 20, "invalid": 20, "failed": 0}
    assert len(results.browse(stores, weak, only="invalid", limit=5).items) == 5
    assert service.compare(stores, project_id, weak.id, strong.id)["verdict"] == "better"
    assert service.compare(stores, project_id, weak.id, strong.id)["n"] == 20
    assert len(results.differing(stores, weak, strong).items) == 20
    assert {one.target for one in service.list_evaluations(stores, project_id).items} == {
        "weak@1",
        "strong@1",
        "baseline:majority",
        "baseline:nearest",
    }
