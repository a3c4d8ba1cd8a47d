"""Exactly once: the tailer killed at its worst moment, the store killed under it, two tailers on one folder."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from noria.core import clock, ids
from noria.core.records import Span
from noria.core.settings import Settings
from noria.stores.connect import Stores
from noria.stores.journal import JournalWriter, segments
from noria.stores.shipping import JournalReader
from noria.tracing import reading, service
from noria.tracing.tailer import Tailer
from tests.stores.process import StoreProcess, eventually
from tests.tracing.conftest import Traffic

DIE_BEFORE_THE_POSITION = """
import os
from noria.core.settings import load
from noria.stores.connect import Stores
from noria.stores.shipping import Batch, JournalReader
from noria.tracing.tailer import Tailer

class Dying(JournalReader):
    def done(self, batch: Batch) -> None:
        os.kill(os.getpid(), 9)

stores = Stores(load())
tailer = Tailer(stores, Dying(stores.settings.folder.journal))
tailer.run_once()
"""

CARRY = """
import threading
from noria.core.settings import load
from noria.stores.connect import Stores
from noria.tracing.tailer import Tailer
print("started", flush=True)
Tailer(Stores(load())).run(threading.Event())
"""

WRITE = """
import sys
from pathlib import Path
from noria.core import clock, ids
from noria.stores.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[1]), segment_bytes=200_000)
while True:
    trace = ids.new_trace_id()
    now = clock.now_ns()
    writer.append([{"type": "span", "trace_id": trace, "span_id": ids.new_span_id(), "project_id": sys.argv[2],
        "name": "chat", "kind": "llm", "start_ns": now, "end_ns": now + 1, "endpoint": "assistant"}])
    print(trace, flush=True)
"""


def counted(stores: Stores, project: str) -> Counter[str]:
    """How often each trace was inserted, before any merge could hide a double."""
    rows = reading.ask(stores, "SELECT trace_id FROM spans WHERE project_id = {project:String}", {"project": project})
    return Counter(row["trace_id"] for row in rows)


def test_a_tailer_killed_between_insert_and_position_repeats_nothing(
    stores: Stores, project: str, traffic: Traffic, python: Callable[..., Popen[bytes]]
) -> None:
    first = [traffic.span().trace_id for _ in range(3)]
    with python(DIE_BEFORE_THE_POSITION) as killed:
        assert killed.wait(30) == -9
    assert counted(stores, project) == Counter(first)
    second = [traffic.span().trace_id for _ in range(3)]
    judged = service.give_feedback(stores, project_id=project, author_id="", source="user", trace_id=first[0], value=1)
    assert Tailer(stores).run_once() == 7
    assert counted(stores, project) == Counter(first + second)
    [score] = service.get_trace(stores, project, first[0]).scores
    assert score.score_id == judged.score_id


def test_writers_and_tailers_may_be_killed_at_any_time(
    stores: Stores, project: str, tmp_path: Path, python: Callable[..., Popen[bytes]]
) -> None:
    folder = stores.settings.folder.journal / "gateway"
    taken: list[str] = []
    for _ in range(4):
        with python(WRITE, folder, project) as writer, python(CARRY) as carrier:
            assert writer.stdout is not None
            assert carrier.stdout is not None
            carrier.stdout.readline()
            for _ in range(150):
                taken.append(writer.stdout.readline().decode().strip())
            carrier.kill()
            for _ in range(50):
                taken.append(writer.stdout.readline().decode().strip())
            writer.kill()
            taken += [line.decode() for line in writer.stdout.read().split(b"\n")[:-1]]
    tailer = Tailer(stores)
    eventually("the last tailer's lock is free and all is shipped", lambda: tailer.run_once() == 0)
    found = counted(stores, project)
    assert set(found.values()) == {1}
    assert set(taken) <= set(found)
    assert len(found) <= len(taken) + 4  # a writer may die between keeping a span and saying so
    assert segments(folder) == []


def test_a_span_is_readable_within_a_second(stores: Stores, project: str, traffic: Traffic) -> None:
    traffic.carry()
    tailer = Tailer(stores)
    tailer.start()
    try:
        delays = []
        for _ in range(5):
            written = clock.now_ns()
            span = traffic.span()
            traces = {span.trace_id}
            eventually("the span is there", lambda: traces <= set(counted(stores, project)), 10)  # noqa: B023
            delays.append((clock.now_ns() - written) / 1e9)
        assert sorted(delays)[2] < 1
    finally:
        tailer.stop()


def test_the_tailer_waits_while_the_store_is_away(settings: Settings) -> None:
    stores = Stores(settings)
    stores.database.create_all()
    project = ids.new_id()
    writer = JournalWriter(settings.folder.journal / "gateway")
    tailer = Tailer(stores)
    tailer.start()
    process = StoreProcess(settings)
    traces = []

    def write() -> None:
        now = clock.now_ns()
        traces.append(ids.new_trace_id())
        span = Span(traces[-1], ids.new_span_id(), project, "chat", "llm", now, now + 1)
        writer.append([{"type": "span", **span.to_dict()}])

    def all_there() -> bool:
        found = counted(stores, project)
        assert max(found.values(), default=1) == 1
        return set(found) == set(traces)

    try:
        write()
        process.start()
        eventually("the first span is there", all_there)
        process.kill()
        write()
        write()
        process.start()
        eventually("those written while the store was dead are there", all_there)
    finally:
        tailer.stop()
        writer.close()
        stores.close()
        process.stop()


def test_a_second_tailer_waits_for_the_first(stores: Stores, project: str, traffic: Traffic) -> None:
    first, second = Tailer(stores), Tailer(stores)
    first.start()
    span = traffic.span()
    eventually("the first carries", lambda: counted(stores, project)[span.trace_id] == 1)
    second.start()
    later = [traffic.span().trace_id for _ in range(20)]
    eventually("one carries", lambda: set(later) <= set(counted(stores, project)))
    first.stop()
    last = traffic.span()
    eventually("the second has taken over", lambda: counted(stores, project)[last.trace_id] == 1)
    second.stop()
    assert set(counted(stores, project).values()) == {1}


def test_what_is_journalled_before_the_end_is_carried(stores: Stores, project: str, traffic: Traffic) -> None:
    tailer = Tailer(stores)
    stop = threading.Event()
    stop.set()
    span = traffic.span()
    tailer.run(stop)
    assert counted(stores, project) == {span.trace_id: 1}


def test_a_record_of_another_kind_does_not_stop_the_others(stores: Stores, project: str, traffic: Traffic) -> None:
    traffic.writer.append([{"type": "span", "name": "half"}, {"type": "score", "number": "many"}])
    odd = traffic.span(input_tokens=2**70, status_code=-5, tags=[1, None], attributes={"number": 1e400})
    assert traffic.carry() == 3
    assert counted(stores, project) == {odd.trace_id: 1}
    rejected = stores.settings.folder.journal / "gateway" / "rejected.jsonl"
    assert len(rejected.read_bytes().splitlines()) == 2


def test_old_days_are_dropped(stores: Stores, project: str, traffic: Traffic) -> None:
    day = 86_400 * 1_000_000_000
    old = traffic.span(start_ns=clock.now_ns() - 100 * day)
    kept = traffic.span(start_ns=clock.now_ns() - 80 * day)
    tailer = Tailer(stores)
    tailer.start()
    eventually("the old day is gone", lambda: counted(stores, project) == {kept.trace_id: 1})
    tailer.stop()
    assert old.trace_id not in {row.trace_id for row in service.list_traces(stores, project).items}


def test_a_token_that_the_store_knows_without_having_the_rows_loses_nothing(
    stores: Stores, project: str, traffic: Traffic
) -> None:
    traffic.carry()
    wanted = [traffic.span().trace_id for _ in range(3)]
    batch = next(JournalReader(stores.settings.folder.journal).batches())  # planned, and nobody says that it is done
    assert batch.writer.name == "gateway"
    for table in ("spans", "traces"):  # as after an insert that failed between the tokens and the rows
        stores.spans.insert(table, ("project_id", "trace_id"), [["another", "x"]], token=f"{table}/{batch.token}")
    assert Tailer(stores).run_once() == 3
    assert counted(stores, project) == Counter(wanted)
    assert {row.trace_id for row in service.list_traces(stores, project, limit=10, cursor=None).items} == set(wanted)
