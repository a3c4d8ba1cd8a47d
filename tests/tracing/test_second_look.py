"""Two machines, one ClickHouse: spans of one trace that both carry in the same moment are all in the trace's row a few seconds later."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from noria.core import clock, ids
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.stores.journal import JournalWriter
from noria.stores.spans import ClickHouseSpans
from noria.tracing import mending, reading, second_look, service
from noria.tracing.records import TraceFilter
from noria.tracing.tailer import Tailer
from tests.stores.process import eventually
from tests.tracing.conftest import TICK
from tests.tracing.test_tailer import CARRY

DIE_BEFORE_THE_SECOND_LOOK = """
import os
from noria.core.settings import load
from noria.stores.connect import Stores
from noria.tracing.tailer import Tailer

Tailer(Stores(load())).run_once()
os.kill(os.getpid(), 9)
"""


class Meeting(ClickHouseSpans):
    """The real client; before its first insert into `traces` it waits until the other has read what it makes its row of."""

    def __init__(self, stores: Stores, barrier: threading.Barrier) -> None:
        super().__init__(stores.settings)
        self._barrier: threading.Barrier | None = barrier

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, token: str) -> None:
        if self._barrier is not None and table in {"traces", "contents"}:
            barrier, self._barrier = self._barrier, None
            barrier.wait(30)
        super().insert(table, columns, rows, token=token)


class Machine:
    """A data folder with a journal and a tailer."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.stores = Stores(replace(stores.settings, data=folder))
        self.stores.database.create_all()
        self.writer = JournalWriter(self.stores.settings.folder.journal / "server")
        self.tailer = Tailer(self.stores)

    def wrote(self, *records: Span | dict[str, Any]) -> None:
        self.writer.append([one if isinstance(one, dict) else {"type": "span", **one.to_dict()} for one in records])

    def meets(self, barrier: threading.Barrier) -> None:
        self.stores.spans = Meeting(self.stores, barrier)

    def close(self) -> None:
        self.writer.close()
        self.stores.close()


@pytest.fixture
def machines(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Machine, Machine]]:
    """Two that share the span store; in this process they look again as soon as they may, in others after the time that is real."""
    monkeypatch.setattr(second_look, "SECONDS", 0.0)
    both = Machine(stores, tmp_path / "one"), Machine(stores, tmp_path / "two")
    yield both
    for one in both:
        one.close()


def trace(project: str, spans: int = 2) -> list[Span]:
    """A root that a user asked, and model calls of 10 tokens below it."""
    start, number = clock.now_ns(), ids.new_trace_id()
    root = Span(
        project_id=project,
        trace_id=number,
        span_id=ids.new_span_id(),
        name="run",
        kind="agent",
        start_ns=start,
        end_ns=start + 100 * TICK,
        subject_id="kim",
        input_messages=[{"role": "user", "content": "refund please"}],
    )
    called: dict[str, Any] = {"parent_id": root.span_id, "name": "chat", "kind": "llm", "input_tokens": 10}
    called["subject_id"] = ""
    answer = [{"role": "assistant", "content": "granted"}]
    return [
        root,
        *(
            replace(root, **called, span_id=ids.new_span_id(), start_ns=start + n * TICK, output_messages=answer)
            for n in range(1, spans)
        ),
    ]


def carry_at_once(*machines: Machine) -> None:
    """Each has read what is there before any has written."""
    barrier = threading.Barrier(len(machines))
    failed: list[BaseException] = []

    def run(one: Machine) -> None:
        try:
            one.tailer.run_once()
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failed.append(error)

    for one in machines:
        one.meets(barrier)
    threads = [threading.Thread(target=run, args=(one,)) for one in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def look(*machines: Machine) -> int:
    """Let each look again; how many traces were mended."""
    mended = []

    def looked() -> bool:
        mended.append(sum(one.tailer.look_again() for one in machines))
        return not any(list(one.stores.settings.folder.journal.glob("second-look.*")) for one in machines)

    eventually("all has been looked at", looked)
    return sum(mended)


def rows(stores: Stores, project: str) -> list[tuple[int, int, str]]:
    """Spans, tokens and user of each row of the list."""
    listed = service.list_traces(stores, project).items
    return [(row.spans, row.input_tokens, row.subject_id) for row in listed]


@pytest.mark.parametrize("order", [1, -1])
def test_both_miss_the_others_spans_and_mend_it(
    stores: Stores, project: str, machines: tuple[Machine, Machine], order: int
) -> None:
    root, *calls = trace(project, spans=4)
    for machine, spans in zip(machines[::order], ([root], calls), strict=True):
        machine.wrote(*spans)
    carry_at_once(*machines)
    assert (4, 30, "kim") not in rows(stores, project), "they did not meet: the test shows nothing"
    assert look(*machines) >= 1
    eventually("one row, of all spans", lambda: rows(stores, project) == [(4, 30, "kim")], seconds=90)
    for said in ("refund", "granted"):
        assert len(service.list_traces(stores, project, TraceFilter(q=said)).items) == 1, said
    later = replace(calls[0], span_id=ids.new_span_id())
    machines[0].wrote(later)
    machines[0].tailer.run_once()
    assert rows(stores, project) == [(5, 40, "kim")]
    assert look(*machines) == 0, "a trace that is whole is left alone"


def test_a_clock_that_runs_ahead_does_not_hide_spans(
    stores: Stores, project: str, machines: tuple[Machine, Machine]
) -> None:
    root, call = trace(project)
    machines[0].wrote(root)
    machines[0].tailer.run_once()
    by = 3600 * 10**9
    listed = reading.ask(stores, "SELECT * FROM traces WHERE project_id = {project:String}", {"project": project})
    columns = list(listed[0])
    hour = [[value + by if name == "version" else value for name, value in row.items()] for row in listed]
    stores.spans.insert("traces", columns, hour, token=ids.new_id())  # as a machine an hour ahead would have
    machines[1].wrote(call)
    machines[1].tailer.run_once()
    assert rows(stores, project) == [(1, 0, "kim")]
    look(*machines)
    assert rows(stores, project) == [(2, 10, "kim")]


def test_messages_that_came_to_the_other_machine(
    stores: Stores, project: str, machines: tuple[Machine, Machine]
) -> None:
    _, call = trace(project)
    call = replace(call, parent_id="", input_messages=[], output_messages=[])
    machines[0].wrote(call)
    told = {name: getattr(call, name) for name in ("project_id", "trace_id", "span_id")}
    said = [{"role": "user", "content": "hello there"}]
    told |= {"type": "content", "time_ns": call.start_ns, "input_messages": said, "output_messages": []}
    machines[1].wrote(told)
    carry_at_once(*machines)

    def kept() -> list[str]:
        sql = "SELECT input_messages FROM spans FINAL WHERE project_id = {project:String}"
        return [row["input_messages"] for row in reading.ask(stores, sql, {"project": project})]

    assert kept() == ["[]"], "they did not meet: the test shows nothing"
    look(*machines)
    assert [json.loads(one) for one in kept()] == [said]
    assert len(service.list_traces(stores, project, TraceFilter(q="hello there")).items) == 1


def test_whoever_dies_before_the_second_look_looks_when_it_is_back(
    stores: Stores, project: str, machines: tuple[Machine, Machine], python: Callable[..., Popen[bytes]]
) -> None:
    one, two = machines
    root, call = trace(project)
    one.wrote(root)
    one.tailer.run_once()
    [stale] = reading.ask(stores, "SELECT * FROM traces WHERE project_id = {project:String}", {"project": project})
    look(one)
    two.wrote(call)
    at = f"import os; os.environ['NORIA_DATA'] = {str(two.stores.settings.data)!r}"
    with python(at + DIE_BEFORE_THE_SECOND_LOOK) as died:
        assert died.wait(60) == -9
    # The first machine's row, as if it had read before the other wrote and written after it: it hides the other's.
    values = [clock.now_ns() if name == "version" else value for name, value in stale.items()]
    stores.spans.insert("traces", list(stale), [values], token=ids.new_id())
    assert rows(stores, project) == [(1, 0, "kim")]
    again = Machine(stores, two.stores.settings.data)
    assert look(again) == 1
    assert rows(stores, project) == [(2, 10, "kim")]
    again.close()


def test_two_processes_and_many_traces(
    stores: Stores, project: str, machines: tuple[Machine, Machine], python: Callable[..., Popen[bytes]]
) -> None:
    where = [f"import os; os.environ['NORIA_DATA'] = {str(one.stores.settings.data)!r}" for one in machines]
    whole = [(4, 30, "kim")] * 100

    def listed() -> list[tuple[int, int, str]]:
        count = "SELECT spans, input_tokens, subject_id FROM traces FINAL WHERE project_id = {project:String}"
        found = reading.ask(stores, count, {"project": project})
        return [(row["spans"], row["input_tokens"], row["subject_id"]) for row in found]

    with python(where[0] + CARRY) as first, python(where[1] + CARRY) as second:
        try:
            for carrier in (first, second):
                assert carrier.stdout is not None
                assert carrier.stdout.readline() == b"started\n"
            for _ in range(20):
                made = [trace(project, spans=4) for _ in range(5)]
                for number, one in enumerate(machines):
                    one.wrote(*(span for spans in made for span in spans[number::2]))
            eventually("each trace has one row of all its spans", lambda: listed() == whole, seconds=60)
        finally:
            first.kill()
            second.kill()


def test_one_tailer_notes_nothing_for_its_own_store(stores: Stores, project: str, tmp_path: Path) -> None:
    alone = second_look.SecondLook(Stores(replace(stores.settings, data=tmp_path, spans_url="")))
    alone.note([{"type": "span", **span.to_dict()} for span in trace(project)])
    assert alone.turn() == 0 and list(tmp_path.rglob("second-look*")) == []


def test_torn_notes_are_passed_over(stores: Stores, project: str, machines: tuple[Machine, Machine]) -> None:
    one = machines[0]
    root, call = trace(project)
    one.wrote(root)
    one.tailer.run_once()
    notes = one.stores.settings.folder.journal / "second-look.new"
    notes.write_bytes(notes.read_bytes() + b'["torn')
    again = Machine(stores, one.stores.settings.data)
    again.wrote(call)
    again.tailer.run_once()
    assert notes.read_bytes().count(b"\n") == len(notes.read_bytes().splitlines()) == 1
    assert mending.different(stores.spans, {(project, root.trace_id)}) == set()
    again.close()


def test_a_place_of_another_trace_is_not_taken(stores: Stores, project: str, machines: tuple[Machine, Machine]) -> None:
    """Clients with clocks of whole milliseconds: what is dropped of one trace stands where another one stays."""
    first, second = trace(project, spans=2), trace(project, spans=2)
    start = first[1].start_ns
    second = [replace(span, start_ns=start + number * TICK) for number, span in enumerate(second)]
    machines[0].wrote(first[0], second[0])
    machines[1].wrote(first[1], second[1])
    carry_at_once(*machines)
    look(*machines)
    eventually("a row each", lambda: rows(stores, project) == [(2, 10, "kim")] * 2)
