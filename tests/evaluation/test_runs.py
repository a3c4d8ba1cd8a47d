"""Runs through a real HTTP gateway: what is asked, what is kept, and what happens when things go wrong."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from noria.core.errors import BadInput, Forbidden, NoriaError, Unavailable
from noria.evaluation import asking, results, service, tables
from noria.evaluation.records import Evaluation
from noria.evaluation.rows import Row, detect
from noria.evaluation.rows import select as select_rows
from noria.governance import service as governance
from noria.governance.tables import keys as key_table
from noria.jobs import service as jobs
from noria.stores import lifeline
from noria.stores.connect import Stores
from tests.evaluation.conftest import Conversation, Laboratory, call
from tests.evaluation.gateway import Asked, Said, StandInGateway

Calls = Callable[[int], list[Conversation]]
ROOT = Path(__file__).parents[2]


def knows(rows: list[Conversation]) -> Callable[[Asked], Said]:
    """A model that has learned the answers by heart."""
    answers = dict(rows)
    return lambda asked: Said(answers[asked.text])


def stored(laboratory: Laboratory, evaluation: Evaluation) -> list[dict[str, object]]:
    return results.browse(laboratory.stores, evaluation, limit=500).items


def test_a_run_asks_every_row_and_reports(laboratory: Laboratory, gateway: StandInGateway, calls: Calls) -> None:
    rows = calls(12)
    gateway.answer = knows([*rows[:9], *((said, call("SearchHotel", city="서울")) for said, _ in rows[9:])])
    evaluation = laboratory.evaluation(laboratory.version("calls", train=calls(30)[12:], test=rows))
    report = laboratory.run(evaluation)
    assert report["task"] == "calls"
    assert report["main_metric"] == "field_f1"
    assert report["n"] == 12
    assert report["metrics"]["valid"]["value"] == 1.0
    assert report["metrics"]["exact_match"]["value"] == 0.75
    assert report["metrics"]["field_precision"]["low"] <= report["metrics"]["field_precision"]["value"]
    assert report["latency"]["p50_ms"] > 0
    assert report["tokens"]["prompt_mean"] == 20
    assert report["invalid"] == report["failed"] == 0
    assert report["cpu_seconds"] > 0
    kept = stored(laboratory, evaluation)
    assert [one["row_id"] for one in kept] == [f"test-{i}" for i in range(12)]
    assert kept[1]["input"] == [{"role": "user", "content": rows[1][0]}]
    assert kept[1]["expected"] == kept[1]["output"] == rows[1][1]
    assert kept[1]["trace_id"] == "trace-test-1"
    asked = gateway.asked[0]
    assert asked.model == "assistant@1"
    assert asked.body["max_tokens"] == 96
    assert len(asked.body["messages"]) == 1
    assert laboratory.progress[-1][:2] == (12, 12)


def test_baselines_are_started_beside_a_model_once(
    laboratory: Laboratory, gateway: StandInGateway, calls: Calls
) -> None:
    version = laboratory.version("calls", train=calls(30), test=calls(10))
    gateway.answer = knows(calls(10))
    for _ in range(2):
        laboratory.run(laboratory.evaluation(version))
    targets = [one.target for one in service.list_evaluations(laboratory.stores, laboratory.project_id).items]
    assert sorted(targets) == ["assistant@1", "assistant@1", "baseline:majority", "baseline:nearest"]


def test_requests_are_bounded_and_really_concurrent(
    laboratory: Laboratory, gateway: StandInGateway, calls: Calls
) -> None:
    together = threading.Barrier(3, timeout=10)

    def answer(_: Asked) -> Said:
        together.wait()
        return Said("{}")

    gateway.answer = answer
    laboratory.run(laboratory.evaluation(laboratory.version("c", test=calls(9)), options={"concurrency": 3}))
    assert gateway.most_at_once == 3


def test_the_key_is_for_this_release_alone_and_ends_with_the_run(
    laboratory: Laboratory, gateway: StandInGateway, calls: Calls
) -> None:
    evaluation = laboratory.evaluation(laboratory.version("c", test=calls(3)))
    laboratory.run(evaluation)
    with laboratory.stores.database.read() as connection:
        keys = [key for key in governance.list_keys(connection, laboratory.project_id) if key.scope == "candidate"]
        assert connection.execute(select(tables.evaluations.c.key_id)).scalar() == ""
    assert [(key.release, key.live, key.revoked_at is None) for key in keys] == [("assistant@1", False, False)]


def test_an_engine_that_starts_is_waited_for(laboratory: Laboratory, gateway: StandInGateway, calls: Calls) -> None:
    refusals = iter([Said("The engine loads its model.", 503, code="not_ready", headers={"retry-after": "0.05"})] * 6)
    gateway.wake = lambda asked: next(refusals, Said("."))
    gateway.answer = lambda asked: Said("{}")
    report = laboratory.run(laboratory.evaluation(laboratory.version("c", test=calls(4))))
    assert report["failed"] == 0
    assert len(gateway.woken) == 7
    assert gateway.woken[0].body["max_tokens"] == 1
    assert report["latency"]["n"] == 4
    assert report["latency"]["p95_ms"] < 1000


def test_what_a_provider_does_wrong_is_data(laboratory: Laboratory, gateway: StandInGateway, calls: Calls) -> None:
    rows = calls(5)
    wrong = {
        rows[0][0]: Said("The prompt is too long.", 400),
        rows[1][0]: Said(rows[1][1], finish_reason="length"),
        rows[2][0]: Said(raw=b"<html>"),
        rows[3][0]: Said(raw=b'{"choices": [{"message": null}]}'),
    }
    gateway.answer = lambda asked: wrong.get(asked.text) or Said(rows[4][1])
    evaluation = laboratory.evaluation(laboratory.version("c", test=rows))
    report = laboratory.run(evaluation)
    assert (report["n"], report["invalid"], report["failed"], report["cut"]) == (5, 4, 3, 1)
    assert report["metrics"]["valid"]["value"] == 0.2
    assert report["latency"]["n"] == 2
    errors = [one["error"] for one in stored(laboratory, evaluation)]
    assert errors == ["The prompt is too long.", "", *["The answer is not a chat completion."] * 2, ""]
    found = results.browse(laboratory.stores, evaluation, only="failed").items
    assert [one["position"] for one in found] == [0, 2, 3]


def test_a_busy_provider_is_asked_again(laboratory: Laboratory, gateway: StandInGateway, calls: Calls) -> None:
    busy = iter([Said("Slow down.", 429, headers={"retry-after": "0"}), Said("Gone.", 503)])
    gateway.answer = lambda asked: next(busy, Said("{}"))
    report = laboratory.run(laboratory.evaluation(laboratory.version("c", test=calls(3)), options={"concurrency": 1}))
    assert report["failed"] == 0
    assert len(gateway.asked) == 5


def test_text_that_no_database_can_hold_is_replaced(
    laboratory: Laboratory, gateway: StandInGateway, calls: Calls
) -> None:
    gateway.answer = lambda asked: Said("a\x00b\ud800")
    evaluation = laboratory.evaluation(laboratory.version("c", test=calls(1)))
    laboratory.run(evaluation)
    assert stored(laboratory, evaluation)[0]["output"] == "a\ufffdb?"


def ask(target: asking.Target) -> asking.Reply:
    async def once() -> asking.Reply:
        async with target:
            return await target.ask("row", [{"role": "user", "content": "x"}])

    return asyncio.run(once())


def test_no_gateway_ends_the_run_in_words(gateway: StandInGateway) -> None:
    gateway.close()
    target = asking.Target(f"http://127.0.0.1:{gateway.port}", "key", "a@1", 9, timeout=5, patience=0.2)
    with pytest.raises(Unavailable, match="cannot be reached"):
        ask(target)


def test_a_refused_key_ends_the_run_in_words(gateway: StandInGateway) -> None:
    gateway.answer = lambda asked: Said("The key is not valid.", 401)
    target = asking.Target(f"http://127.0.0.1:{gateway.port}", "key", "a@1", 9, timeout=5, patience=0.2)
    with pytest.raises(Forbidden, match=r"refuses a@1: The key is not valid\."):
        ask(target)


def test_an_engine_that_never_starts_ends_the_run_in_words(gateway: StandInGateway) -> None:
    gateway.answer = lambda asked: Said("The engine cannot read its model.", 503, code="engine_failed")
    target = asking.Target(f"http://127.0.0.1:{gateway.port}", "key", "a@1", 9, timeout=5, patience=0.2)
    with pytest.raises(Unavailable, match="cannot read its model"):
        ask(target)


def test_a_provider_that_says_nothing_is_an_error_of_the_row(gateway: StandInGateway) -> None:
    release = threading.Event()
    gateway.answer = lambda asked: Said("late") if release.wait(10) else Said()
    target = asking.Target(f"http://127.0.0.1:{gateway.port}", "key", "a@1", 9, timeout=0.2)
    assert "No answer within" in ask(target).error
    release.set()


def test_a_run_that_broke_goes_on_where_it_was(laboratory: Laboratory, gateway: StandInGateway, calls: Calls) -> None:
    rows = calls(20)
    evaluation = laboratory.evaluation(laboratory.version("c", test=rows), options={"concurrency": 2})
    gateway.answer = lambda asked: knows(rows)(asked) if len(gateway.asked) <= 8 else Said("No.", 403)
    with pytest.raises(Forbidden):
        laboratory.run(evaluation)
    kept = {one["row_id"] for one in stored(laboratory, evaluation)}
    assert 6 <= len(kept) <= 8
    gateway.asked.clear()
    gateway.answer = knows(rows)
    report = laboratory.run(evaluation)
    assert report["n"] == 20
    assert {asked.row for asked in gateway.asked} == {f"test-{i}" for i in range(20)} - kept
    assert report["metrics"]["exact_match"]["value"] == 1.0


@pytest.fixture
def worker(laboratory: Laboratory) -> Iterator["subprocess.Popen[bytes]"]:
    environment = lifeline.mark({**os.environ, **laboratory.stores.settings.environment()})
    process = subprocess.Popen([sys.executable, "-m", "tests.evaluation.process"], cwd=ROOT, env=environment)
    yield process
    process.terminate()
    process.wait(20)


def test_kill_9_of_the_job_loses_and_doubles_nothing(
    laboratory: Laboratory, gateway: StandInGateway, calls: Calls, worker: "subprocess.Popen[bytes]"
) -> None:
    rows = calls(60)
    slow = threading.Event()

    def answer(asked: Asked) -> Said:
        slow.wait(0.1)
        return knows(rows)(asked)

    gateway.answer = answer
    evaluation = laboratory.evaluation(laboratory.version("c", train=calls(10), test=rows))
    until(lambda: len(stored(laboratory, evaluation)) >= 10)
    for child in psutil.Process(worker.pid).children():
        child.kill()
    before = {one["row_id"] for one in stored(laboratory, evaluation)}
    assert len(before) < 60
    gateway.asked.clear()
    slow.set()
    until(lambda: jobs.get(laboratory.stores, laboratory.project_id, evaluation.job_id).ended)
    job = jobs.get(laboratory.stores, laboratory.project_id, evaluation.job_id)
    assert (job.state, job.error) == ("done", None)
    assert len(stored(laboratory, evaluation)) == 60
    report = service.get(laboratory.stores, laboratory.project_id, evaluation.id).report
    assert report is not None
    assert report["metrics"]["exact_match"]["value"] == 1.0
    assert not before & {asked.row for asked in gateway.asked}
    with laboratory.stores.database.read() as connection:
        alive = select(key_table.c.id).where(key_table.c.scope == "candidate", key_table.c.revoked_at.is_(None))
        assert connection.execute(alive).all() == []


def test_a_cancelled_run_keeps_its_rows_and_revokes_its_key(
    laboratory: Laboratory, gateway: StandInGateway, calls: Calls, worker: "subprocess.Popen[bytes]"
) -> None:
    rows = calls(400)
    pause = threading.Event()

    def answer(asked: Asked) -> Said:
        pause.wait(0.05)
        return knows(rows)(asked)

    gateway.answer = answer
    evaluation = laboratory.evaluation(laboratory.version("c", test=rows))
    until(lambda: len(stored(laboratory, evaluation)) >= 5)
    jobs.cancel(laboratory.stores, laboratory.project_id, evaluation.job_id)
    until(lambda: jobs.get(laboratory.stores, laboratory.project_id, evaluation.job_id).ended)
    pause.set()
    assert jobs.get(laboratory.stores, laboratory.project_id, evaluation.job_id).state == "cancelled"
    assert service.get(laboratory.stores, laboratory.project_id, evaluation.id).report is None
    assert 5 <= len(stored(laboratory, evaluation)) < 400
    with laboratory.stores.database.read() as connection:
        keys = [key for key in governance.list_keys(connection, laboratory.project_id) if key.scope == "candidate"]
    assert all(key.revoked_at for key in keys)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_fewer_rows_are_a_part_of_more_rows() -> None:
    rows = [Row(f"row-{i}", i, [], "") for i in range(200)]
    few, many = select_rows(rows, 20), select_rows(rows, 60)
    assert len(few) == 20
    assert {row.row_id for row in few} < {row.row_id for row in many}
    assert [row.position for row in many] == sorted(row.position for row in many)
    assert select_rows(rows, None) == select_rows(rows, 500) == rows


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (['{"name":"A"}'] * 40 + ["broken"], "calls"),
        (["yes", "no", " Yes"] * 10, "classification"),
        ([f"Sentence number {i}." for i in range(50)], "text"),
        (["긍정", "부정"] * 5, "classification"),
        (["x" * 500, "y" * 500] * 10, "text"),
    ],
)
def test_the_task_is_read_off_the_targets(targets: list[str], task: str) -> None:
    assert detect(targets) == task


def test_a_split_without_answers_is_refused(laboratory: Laboratory, stores: Stores) -> None:
    version = laboratory.version("c", train=[("a", "b")])
    with pytest.raises(BadInput, match="no rows to evaluate on"):
        laboratory.run(laboratory.evaluation(version))


def test_a_dataset_without_train_rows_has_no_baseline(laboratory: Laboratory, calls: Calls) -> None:
    version = laboratory.version("c", test=calls(4))
    with pytest.raises(NoriaError, match="no rows to learn"):
        laboratory.run(laboratory.evaluation(version, "baseline:nearest"))
