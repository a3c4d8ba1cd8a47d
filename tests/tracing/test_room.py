"""Room on the disk: what is told when spans take too much of it, and what goes only when the setting says so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from noria.core import clock
from noria.core.settings import Settings
from noria.governance import tables
from noria.stores.connect import Stores
from noria.tracing import reading, retention, room
from noria.tracing.room import Room
from tests.tracing.conftest import Traffic
from tests.tracing.otlp_kit import Otlp

MB = 1024 * 1024


def made(**given: Any) -> Room:
    values: dict[str, Any] = {
        "spans": 0,
        "journals": 0,
        "budget": 0,
        "free": 100 * MB,
        "reserve": 10 * MB,
        "drops": False,
    }
    return Room(**{**values, **given})


def test_what_is_told() -> None:
    assert made(spans=10**15).level == "ok" and made().words() == ""
    over = made(spans=20 * MB, journals=MB, budget=20 * MB)
    assert (over.level, over.too_much) == ("budget", MB)
    assert "nothing is dropped" in over.words() and "the oldest weeks go" in replace(over, drops=True).words()
    full = made(spans=20 * MB, budget=20 * MB, free=9 * MB)
    assert (full.level, full.too_much) == ("reserve", MB) and "disk_reserve_mb" in full.words()


def weeks_of(stores: Stores, project: str) -> int:
    sql = "SELECT uniqExact(intDiv(start_ns, 604800000000000)) AS n FROM spans WHERE project_id = {project:String}"
    return int(reading.ask(stores, sql, {"project": project})[0]["n"])


@pytest.fixture
def years(stores: Stores, project: str, traffic: Traffic) -> Iterator[Traffic]:
    """Ten weeks of one project, far older than what other tests have in the shared store."""
    with stores.database.begin() as connection:
        row = {"id": project, "name": project, "limits": {}, "created_at": clock.now()}
        connection.execute(insert(tables.projects).values(row))
    start = int((clock.now() - timedelta(weeks=2000)).timestamp()) * 10**9
    for week in range(10):
        traffic.span(start_ns=start + week * 7 * 86_400 * 10**9)
    traffic.carry()
    yield traffic
    retention.drop(stores.spans, [part for part in retention.parts(stores.spans) if part.project_id == project])


def test_nothing_goes_unless_the_setting_says_so(stores: Stores, project: str, years: Traffic) -> None:
    tight = Stores(replace(stores.settings, span_disk_mb=1, disk_reserve_mb=0))
    junk = stores.settings.folder.journal / "server" / "large.damaged"
    junk.parent.mkdir(exist_ok=True)
    junk.write_bytes(b"\0" * 2 * MB)
    assert room.keep(tight, "ok") == "budget"
    assert weeks_of(stores, project) == 10
    assert room.last_seen(tight.settings).level == "budget"
    junk.unlink()


def test_the_oldest_weeks_go_first_and_the_audit_says_so(stores: Stores, project: str, years: Traffic) -> None:
    parts = [part for part in retention.parts(stores.spans) if part.project_id == project]
    oldest = sorted({part.week for part in parts})[:3]
    wanted = sum(part.bytes for part in parts if part.week in oldest) - 1
    gone = room.make_room(stores, wanted)
    assert {part.week for part in gone} == set(oldest)
    assert weeks_of(stores, project) == 7
    with stores.database.read() as connection:
        entry = connection.execute(select(tables.audit).where(tables.audit.c.project_id == project)).one()
    assert (entry.verb, entry.reason) == ("project.spans_dropped", "span_disk_mb")
    assert entry.details == {"weeks": oldest, "spans": 3}


def test_an_admin_asks_how_much_room_there_is(otlp: Otlp) -> None:
    answer = otlp.client.get("/api/storage", headers={"authorization": f"Bearer {otlp.admin}"})
    assert answer.json()["level"] == "ok" and answer.json()["weeks"] == []
    refused = otlp.client.get("/api/storage", headers={"authorization": f"Bearer {otlp.key}"})
    assert refused.status_code == 403


def test_what_was_seen_last_may_be_missing_or_broken(settings: Settings) -> None:
    assert room.last_seen(settings).spans == 0
    settings.folder.run.mkdir()
    for text in ("", "[]", json.dumps({"spans": "x"})):
        settings.folder.room.write_text(text)
        assert room.last_seen(settings).spans == 0
