"""How long spans stay: by project, a week at a time; and who may say so."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from noria.core import clock, ids
from noria.core.errors import BadInput
from noria.governance import audit, projects, tables
from noria.stores.connect import Stores
from noria.tracing import reading, retention, service
from tests.tracing.conftest import Traffic

WEEK = timedelta(weeks=1)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)  # a Thursday


def spans_of(stores: Stores, project: str) -> int:
    sql = "SELECT count() AS n FROM spans WHERE project_id = {project:String}"
    return int(reading.ask(stores, sql, {"project": project})[0]["n"])


def test_a_week_goes_when_all_of_it_is_too_old() -> None:
    kept = retention.kept(NOW, 90, {"short": 3, "long": 365})
    assert kept.week_of("other") == "20260824"
    assert kept.week_of("short") == "20261123"  # its days end on a Monday: the week before goes
    assert kept.week_of("long") == "20251124"


def test_each_project_keeps_its_own_days(stores: Stores, project: str, traffic: Traffic) -> None:
    other, now = ids.new_id(), clock.now_ns()
    for weeks in range(12):
        for whose in (project, other):
            span = traffic.span(project_id=whose, start_ns=now - weeks * 7 * 86_400 * 10**9)
    service.give_feedback(stores, project_id=project, author_id="", source="user", trace_id=span.trace_id, value=1)
    traffic.carry()
    days = retention.kept(clock.now() + 20 * WEEK, 365, {project: 7 * 25, other: 7 * 21})
    retention.drop_old(stores.spans, days)
    assert spans_of(stores, project) in {5, 6}
    assert spans_of(stores, other) in {1, 2}
    weeks_left = {part.week for part in retention.parts(stores.spans) if part.project_id == project}
    assert len(weeks_left) == spans_of(stores, project)
    scores = "SELECT count() AS n FROM scores WHERE project_id = {project:String}"
    assert reading.ask(stores, scores, {"project": project})[0]["n"] == 1
    retention.drop_old(stores.spans, retention.kept(clock.now() + 20 * WEEK, 3650, {project: 1, other: 1}))
    assert spans_of(stores, project) == 0
    assert reading.ask(stores, scores, {"project": project})[0]["n"] == 0


def test_the_tailer_keeps_to_the_projects_days(stores: Stores, project: str, traffic: Traffic) -> None:
    with stores.database.begin() as connection:
        row = {"id": project, "name": project, "limits": {}, "created_at": clock.now()}
        connection.execute(insert(tables.projects).values(row))
        projects.keep_project_spans(connection, project_id=project, days=10, reason="little room", actor_id="")
        [entry] = audit.entries(connection, project, verb="project.keep_spans").items
        assert (entry.details, entry.reason) == ({"from": None, "to": 10}, "little room")
        for wrong in (0, 40_000):
            with pytest.raises(BadInput):
                projects.keep_project_spans(connection, project_id=project, days=wrong, actor_id="")
    now = clock.now_ns()
    for days in (0, 30):
        traffic.span(start_ns=now - days * 86_400 * 10**9)
    traffic.carry()
    assert spans_of(stores, project) == 2
    traffic.tailer._drop_old()
    assert spans_of(stores, project) == 1
