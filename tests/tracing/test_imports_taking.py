"""How an import goes: once however often, told what was refused, on after a kill, and never all in memory."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from noria.core.errors import BadInput
from noria.tracing import scores, service
from noria.tracing.imports.items import nanoseconds, span_id, trace_id
from noria.tracing.imports.rows import Rows
from noria.tracing.imports.taking import Import
from tests.tracing.import_kit import TRACE, UUID, Desk, langfuse_trace, quiet


def test_importing_again_adds_nothing(desk: Desk) -> None:
    file = desk.file("trace.json", [langfuse_trace()])
    first, second = desk.take("langfuse", file), desk.take("langfuse", file)
    assert (first.spans, first.scores) == (second.spans, second.scores) == (3, 2)
    assert (desk.count("spans"), desk.count("scores")) == (3, 2)
    assert len(service.list_traces(desk.stores, desk.project).items) == 1
    assert len(scores.list_scores(desk.stores, desk.project).items) == 2


def test_bad_rows_are_told_and_the_others_are_kept(desk: Desk) -> None:
    good, bad = langfuse_trace(), langfuse_trace()["observations"][0]
    tally = desk.take(
        "langfuse",
        desk.lines(
            "mixed.jsonl",
            good,
            b'{"id": ',
            {"nobody": "knows"},
            {**bad, "id": "late", "startTime": "soon"},
            [1],
            {**bad, "id": "x1"},
        ),
    )
    assert (tally.rows, tally.spans, tally.refused) == (6, 4, 4)
    assert [place["place"] for place in tally.places] == [2, 3, 4, 5]
    assert "not JSON" in tally.places[0]["reason"]
    assert "no trace, observation or score" in tally.places[1]["reason"]
    assert "start time" in tally.places[2]["reason"]
    assert desk.count("spans") == 4


def test_spans_that_retention_will_drop_are_counted(desk: Desk) -> None:
    old = {**langfuse_trace(), "id": "t-old", "timestamp": "2019-05-01T00:00:00Z", "observations": [], "scores": []}
    tally = desk.take("langfuse", desk.file("old.json", [old, langfuse_trace()]), dry_run=True)
    assert (tally.spans, tally.old) == (4, 1)
    assert tally.first_ns == nanoseconds("2019-05-01T00:00:00Z")
    assert desk.count("spans") == 0, "a dry run keeps nothing"


class Killed(Exception):
    """The process ends here."""


def test_an_import_that_is_killed_goes_on_and_gives_all_once(desk: Desk) -> None:
    rows = [{**langfuse_trace(), "id": f"t-{number}", "scores": []} for number in range(600)]
    file, state = desk.lines("many.jsonl", *rows, b"{broken", *rows[:1]), desk.folder / "state.json"

    def kill(_done: int, _total: int, _note: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        Import(desk.stores, desk.project, tool="langfuse", files=[file]).run(kill, state)
    desk.tailer.run_once()
    half = desk.count("spans")
    assert 0 < half < 1800
    tally = Import(desk.stores, desk.project, tool="langfuse", files=[file]).run(quiet, state)
    desk.tailer.run_once()
    assert desk.count("spans") == 1800
    assert (tally.spans, tally.rows, tally.refused) == (1803, 602, 1), "what came before the kill is in the tally"


def test_a_long_array_is_not_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_bytes(orjson.dumps([{"id": str(number), "text": "x" * 1000} for number in range(10_000)]))
    rows = Rows(path)
    found = iter(rows)
    first = next(found)
    assert first.value is not None
    assert rows.read < rows.size / 4
    assert 1 + sum(1 for _ in found) == 10_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"hello there", "neither JSON"), (b'{"a": 1}', "not recognised")],
)
def test_a_file_of_nothing_known_is_refused(desk: Desk, content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        desk.take("auto", desk.file("what", content))


def test_ids_and_times_of_all_kinds() -> None:
    assert trace_id(UUID) == TRACE == trace_id(f"0x{TRACE}") == trace_id(f"tr-{TRACE}")
    assert trace_id("mine") == trace_id("mine") != trace_id("yours")
    assert span_id("ABCDEF0123456789", TRACE) == "abcdef0123456789"
    assert len(span_id(UUID, TRACE)) == 16 and span_id(UUID, TRACE) != span_id(UUID, "f" * 32)
    wanted = 1_790_000_000_123_000_000
    for value in (
        wanted,
        wanted // 1000,
        wanted // 10**6,
        "1790000000.123",
        "2026-09-21T14:13:20.123Z",
        "2026-09-21 14:13:20.123",
    ):
        assert abs(nanoseconds(value) - wanted) < 1000, value
    assert nanoseconds("2026-09-21T14:13:20.123456789Z") == 1_790_000_000_123_456_789


IMPORT = """
import sys
from pathlib import Path
from noria.core.settings import load
from noria.stores.connect import Stores
from noria.tracing.imports.taking import File, Import
path, state, project = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
run = Import(Stores(load()), project, tool="langfuse", files=[File(path, path.name)])
def told(*_):
    print("more", flush=True)
    sys.stdin.read(1)  # goes on when it is told to
run.run(told, state)
"""


def test_kill_9_in_the_middle_loses_and_doubles_nothing(desk: Desk) -> None:
    rows = [{**langfuse_trace(), "id": f"k-{number}", "scores": []} for number in range(700)]
    file, state = desk.lines("many.jsonl", *rows), desk.folder / "state.json"
    environment = {**os.environ, **desk.stores.settings.environment()}
    command = [sys.executable, "-c", IMPORT, str(file.path), str(state), desk.project]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        process.stdin.write(b".")
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
    desk.tailer.run_once()
    assert 0 < desk.count("spans") < 2100
    state.unlink()  # also without knowing how far it was
    Import(desk.stores, desk.project, tool="langfuse", files=[file]).run(quiet)
    desk.tailer.run_once()
    assert desk.count("spans") == 2100
    assert len(service.list_traces(desk.stores, desk.project, limit=500).items) == 500
    assert len(desk.spans(trace_id("k-699"))) == 3
