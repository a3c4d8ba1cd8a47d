"""Comparisons and gate clauses, from counts to words."""

import json
import subprocess
import sys
from typing import Any

import pytest

from noria.evaluation import gates
from noria.evaluation.compare import compare
from noria.evaluation.gates import Evidence
from noria.evaluation.records import Evaluation, Result, Task
from noria.evaluation.report import build
from noria.evaluation.scorers import Answer, judge
from tests.evaluation.conftest import call

Rows = dict[str, dict[str, float]]


def rows(right: int, total: int, *, start: int = 0) -> Rows:
    """Rows of which the first `right` are answered right and the others with one field wrong of two."""
    found = {}
    for i in range(start, start + total):
        expected = call("Search", city="서울", nights=i)
        given = expected if i - start < right else call("Search", city="서울", nights=-1)
        found[f"row-{i}"] = judge("calls", Answer(expected, given))
    return found


def evidence(counts: Rows, *, latency: float = 100.0, task: Task = "calls") -> Evidence:
    results = [
        Result(
            row_id=row_id,
            position=index,
            output="",
            scores=scores,
            correct=False,
            valid=True,
            latency_ms=latency + index / 10,
            prompt_tokens=None,
            completion_tokens=None,
            finish_reason="stop",
            error="",
            trace_id="",
        )
        for index, (row_id, scores) in enumerate(counts.items())
    ]
    return Evidence(build(_EVALUATION, task, results, cpu_seconds=1.0), counts)


_EVALUATION = Evaluation(
    id="e",
    project_id="p",
    dataset_version_id="v",
    dataset="calls:1",
    split="test",
    limit=None,
    target="assistant@2",
    release_id="r",
    release_digest="d",
    options={},
    job_id="j",
    state="done",
    done=0,
    total=0,
    note="",
    error=None,
    report=None,
    author_id="a",
    created_at=None,  # type: ignore[arg-type]
    ended_at=None,
)

BETTER = {"kind": "score", "metric": "field_f1", "versus": "primary", "require": "better", "alpha": 0.05}
NOT_WORSE = {**BETTER, "require": "not_worse"}


def one(clause: dict[str, Any], candidate: Evidence | None, incumbent: Evidence | None, serving: bool = True) -> Any:
    return gates.check([clause], candidate, incumbent, serving=serving)[0]


def test_a_clear_winner_is_better_by_every_metric_that_differs() -> None:
    found = compare("calls", rows(10, 80), rows(70, 80))
    assert found["verdict"] == "better"
    assert found["n"] == 80
    assert found["text"].startswith("Better: Field F1 0.938 against 0.562 on the same 80 rows (difference +0.375")
    exact = found["metrics"]["exact_match"]
    assert (exact["test"], exact["gained"], exact["lost"]) == ("exact McNemar", 60, 0)
    assert exact["low"] > 0.6
    assert found["metrics"]["field_f1"]["test"] == "paired randomisation"
    assert found["metrics"]["valid"]["verdict"] == "undecided"
    assert compare("calls", rows(70, 80), rows(10, 80))["verdict"] == "worse"


def test_a_small_difference_says_how_many_more_examples_would_decide() -> None:
    found = compare("calls", rows(40, 80), rows(43, 80))
    assert found["verdict"] == "undecided"
    assert found["metrics"]["field_f1"]["needed"] > 0
    assert found["text"].startswith("Not decided; about ")


def test_equal_answers_are_not_decided_without_a_promise() -> None:
    found = compare("calls", rows(40, 80), rows(40, 80))
    assert found["text"].startswith("Not decided, no difference seen")
    assert found["metrics"]["field_f1"]["p_value"] == 1.0
    assert found["metrics"]["field_f1"]["low"] < 0 < found["metrics"]["field_f1"]["high"]


def test_only_shared_rows_are_compared() -> None:
    assert compare("calls", rows(5, 20), rows(15, 20, start=10))["n"] == 10
    assert compare("calls", rows(5, 20), rows(15, 20, start=50))["n"] == 0


def test_the_program_computes_the_same() -> None:
    asked = {"task": "calls", "a": rows(3, 12), "b": rows(9, 12)}
    done = subprocess.run(
        [sys.executable, "-m", "noria.evaluation.compare"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == compare("calls", rows(3, 12), rows(9, 12))


def test_better_needs_a_significant_difference() -> None:
    weak, strong = evidence(rows(10, 80)), evidence(rows(70, 80))
    won = one(BETTER, strong, weak)
    assert won.passed is True
    assert 0 < won.p_value <= 0.001
    assert won.text.startswith(
        "Better than the primary: Field F1 0.938 against 0.562 of the primary on the same 80 rows"
    )
    assert one(BETTER, weak, strong).passed is False
    close = one(BETTER, evidence(rows(42, 80)), evidence(rows(40, 80)))
    assert close.passed is False
    assert "more examples would decide" in close.text


def test_not_worse_passes_without_evidence_of_harm_and_a_margin_is_stricter() -> None:
    base = evidence(rows(40, 80))
    assert one(NOT_WORSE, evidence(rows(40, 80)), base).passed is True
    assert one(NOT_WORSE, evidence(rows(39, 80)), base).passed is True
    assert one(NOT_WORSE, evidence(rows(10, 80)), base).passed is False
    assert one({**NOT_WORSE, "margin": 0.005}, evidence(rows(39, 80)), base).passed is False
    assert one({**NOT_WORSE, "margin": 0.1}, evidence(rows(39, 80)), base).passed is True


def test_at_least_is_about_the_value_and_joins_the_other_demand() -> None:
    strong, weak = evidence(rows(70, 80)), evidence(rows(10, 80))
    assert one({"kind": "score", "metric": "valid", "at_least": 0.97}, strong, None).passed is True
    low = one({"kind": "score", "metric": "field_f1", "at_least": 0.95}, strong, None)
    assert low.passed is False
    assert low.text == f"Field F1 0.938 ({low.low:.3f} to {low.high:.3f}, n = 80), below 0.95."
    assert one({**BETTER, "at_least": 0.9}, strong, weak).passed is True
    assert one({**BETTER, "at_least": 0.95}, strong, weak).passed is False
    assert one({**BETTER, "at_least": 0.1}, weak, strong).passed is False


def test_missing_evidence_is_named() -> None:
    strong = evidence(rows(70, 80))
    missing = one({**BETTER, "at_least": 0.5}, strong, None)
    assert missing.passed is None
    assert "the primary release has no finished evaluation" in missing.text
    assert one(BETTER, None, None).text.startswith("Missing: this release has no finished evaluation")
    assert "different rows" in one(BETTER, strong, evidence(rows(5, 9, start=500))).text
    assert one({**BETTER, "metric": "accuracy"}, strong, strong).passed is False
    assert one({**BETTER, "at_least": 0.99}, strong, None).passed is False


def test_the_first_release_has_nothing_to_be_better_than() -> None:
    first = one({**BETTER, "at_least": 0.5}, evidence(rows(70, 80)), None, serving=False)
    assert first.passed is True
    assert "No release serves yet" in first.text


def test_latency_and_approvals() -> None:
    fast = evidence(rows(70, 80), latency=100)
    within = one({"kind": "latency", "p95_ms": 300}, fast, None)
    assert within.passed is True
    assert within.low <= within.value <= within.high
    assert one({"kind": "latency", "p95_ms": 50}, fast, None).passed is False
    waiting = one({"kind": "approvals", "count": 2}, fast, None)
    assert waiting.passed is None
    assert "2 approvals" in waiting.text


def test_a_gate_passes_when_all_but_approvals_hold() -> None:
    strong, weak = evidence(rows(70, 80)), evidence(rows(10, 80))
    clauses: list[dict[str, Any]] = [BETTER, {"kind": "latency", "p95_ms": 300}, {"kind": "approvals", "count": 1}]
    results = gates.check(clauses, strong, weak, serving=True)
    assert gates.passed(results)
    assert gates.p_value(results) == results[0].p_value
    documents = gates.as_json(results)
    json.dumps(documents, allow_nan=False)
    assert {"clause", "passed", "text", "value", "low", "high", "p_value", "n", "test"} <= documents[0].keys()
    assert not gates.passed(gates.check(clauses, strong, None, serving=True))


@pytest.mark.parametrize("task", ["classification", "text"])
def test_other_tasks_compare_too(task: Task) -> None:
    labels = frozenset({"yes", "no"})
    good = {f"{i}": judge(task, Answer("yes", "yes", labels=labels)) for i in range(40)}
    bad = {f"{i}": judge(task, Answer("yes", "no" if i % 2 else "yes", labels=labels)) for i in range(40)}
    assert compare(task, bad, good)["verdict"] == "better"
