"""The demo's report: what it says when the tuned model wins, when a cheap baseline does, and when the gate refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from noria.app.demo.report import against_baselines, against_release_1, tables, write_report
from noria.app.demo.screen import Screen


def line(name: str, score: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "n": 200,
        "metric": "accuracy",
        "score": score,
        "score_low": score - 0.04,
        "score_high": score + 0.03,
        "exact": score,
        "valid": 0.99,
        "p50_ms": 210.0,
        "p95_ms": 380.0,
        "prompt_tokens_mean": None,
        "cpu_seconds": 31.5,
        "evaluation": f"id of {name}",
        "what": "something <b>",
        **more,
    }


def record(*, passed: bool = True, verdict: str = "better") -> dict[str, Any]:
    """What the story gathers, in small."""
    against = {"verdict": verdict, "difference": 0.08, "p_value": 0.00021, "test": "exact McNemar"}
    weak = {"verdict": "worse", "difference": -0.8, "p_value": 1e-9, "test": "exact McNemar"}
    releases = [line("release 1", 0.52), line("release 2", 0.88)]
    clauses = [
        {"clause": {"kind": "score"}, "passed": passed, "text": "Accuracy 0.880, at least 0.75."},
        {"clause": {"kind": "approvals"}, "passed": None, "text": "Waits for 1 approval by another person."},
    ]
    return {
        "data": {"source": "a <set>", "licence": "MIT", "imported": 9, "removed": {"near_duplicate": 2}}
        | {"changed": {}, "rows": 7, "from_feedback": 1},
        "baselines": [
            line("majority", 0.08, against_release_2=weak),
            line("linear", 0.96, against_release_2=against),
        ],
        "releases": [*releases, line("release 3", 0.87, n=60)] if passed else releases,
        "gate": {"passed": passed, "clauses": clauses, "p_value": 0.0001}
        | ({"approved_by": "Reviewer", "refused": "Who made it cannot."} if passed else {}),
        "rollout": [
            {"time": "2026-11-25T23:01:17Z", "event": "promote", "release": 1, "share": 1.0, "reason": "first"}
        ],
        "traffic": [{"customers": "release 1 alone", "arms": [{"release": 1, "answers": 48, "right": 4}]}],
        "training": {"examples": 672, "steps": 3, "seconds": 9.0, "cpu_seconds": 8.0, "final_loss": 0.1}
        | {"losses": [2.0, 1.0, 0.1]},
        "failed_requests": 0,
        "fallbacks": 5 if passed else 0,
        "seconds": 600.0,
        "cpu_seconds": 480.0,
        "finished_at": "2026-11-25T23:09:20+00:00",
        "machine": "2 cores",
        "answer": {"trace_id": "ab" * 16, "lineage": ["Answer abab was given by release assistant@2."]},
    }


def test_a_baseline_that_wins_is_said_to_win() -> None:
    said = against_baselines(record())
    assert said.startswith("A linear classifier wins: 0.960 against 0.880 of release 2")
    assert "p = 0.00021" in said and said.endswith("For this task, use it.")


@pytest.mark.parametrize(
    ("verdict", "score", "words"),
    [
        ("undecided", 0.9, "is ahead, though these rows do not prove it"),
        ("undecided", 0.86, "does as well"),
        ("worse", 0.7, "loses"),
    ],
)
def test_a_baseline_that_does_not_win_is_not_said_to(verdict: str, score: float, words: str) -> None:
    gathered = record(verdict=verdict)
    gathered["baselines"][1]["score"] = score
    said = against_baselines(gathered)
    assert words in said and "wins" not in said


def test_the_gate_is_told_either_way() -> None:
    assert against_release_1(record()).startswith("Release 2 passed its gate: Accuracy 0.880 against 0.520")
    assert "release 1 goes on serving" in against_release_1(record(passed=False))


@pytest.mark.parametrize("passed", [True, False])
def test_the_page_stands_alone_and_the_terminal_says_the_same(
    tmp_path: Path, passed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    gathered = record(passed=passed)
    tables(Screen(), gathered)
    said = " ".join(capsys.readouterr().out.split())
    write_report(tmp_path, gathered)
    assert json.loads((tmp_path / "report.json").read_text()) == gathered
    page = (tmp_path / "report.html").read_text()
    for sentence in (against_release_1(gathered), against_baselines(gathered)):
        assert sentence in page and sentence in said
    assert page.count("<svg") >= 6  # an interval a line, the loss in both themes
    assert "a &lt;set&gt;" in page and "something <b>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page
    assert ("Approved by the reviewer" in page) is passed
