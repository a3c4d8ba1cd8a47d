"""The span store's steps: done once and noted, told before they are done, refused when a newer Noria has been there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from noria.core.errors import Conflict
from noria.core.settings import Settings
from noria.stores import ports
from noria.stores.spans import ClickHouseSpans
from noria.tracing import migrations
from noria.tracing.migrations import Step
from tests.stores.process import StoreProcess


@pytest.fixture
def spans(settings: Settings, store_process: StoreProcess) -> Iterator[ClickHouseSpans]:
    """A database of its own in the shared store: other tests keep their tables."""
    shared = ClickHouseSpans(replace(settings, spans_url=store_process.dsn()))
    shared.command("CREATE DATABASE IF NOT EXISTS steps ENGINE = Atomic")
    shared.close()
    opened = ClickHouseSpans(replace(settings, spans_url=f"{store_process.dsn()}/steps"))
    yield opened
    opened.command("DROP DATABASE steps SYNC")
    opened.close()


def noted(spans: ports.Spans) -> list[int]:
    return [row["number"] for row in spans.query("SELECT number FROM schema_steps ORDER BY number")]


def test_steps_are_done_once_and_noted(spans: ClickHouseSpans) -> None:
    assert migrations.pending(spans) == list(migrations.STEPS)
    migrations.prepare(spans)
    migrations.prepare(spans)
    assert noted(spans) == [step.number for step in migrations.STEPS]
    assert migrations.pending(spans) == []
    again = Step(99, "one more", ("ALTER TABLE spans ADD COLUMN IF NOT EXISTS colour String",))
    assert migrations.pending(spans, (*migrations.STEPS, again)) == [again]
    assert migrations.lines([again])[1] == again.statements[0]


def test_a_store_of_a_newer_noria_is_refused(spans: ClickHouseSpans) -> None:
    migrations.prepare(spans)
    spans.insert("schema_steps", ("number", "name", "time_ns"), [[99, "of tomorrow", 1]], token="99")
    with pytest.raises(Conflict, match="newer version of Noria") as refused:
        migrations.prepare(spans)
    assert refused.value.code == "newer_store"
