"""Baselines on public data, and on the little they need."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.errors import BadInput
from noria.evaluation import baselines
from noria.evaluation.counts import matrix
from noria.evaluation.records import Task
from noria.evaluation.report import statistic
from noria.evaluation.rows import Row, detect
from noria.evaluation.scorers import SCORERS, Answer, judge
from tests.conftest import data_set


def row(said: str, answer: str, index: int = 0) -> Row:
    return Row(str(index), index, [{"role": "user", "content": said}], answer)


def labelled(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row(line["text"], line["category"], i) for i, line in enumerate(csv.DictReader(file))]


def spaced(rows: list[Row], count: int = 12) -> set[str]:
    """Labels that are evenly spaced in the alphabet."""
    labels = sorted({one.expected for one in rows}, key=str.casefold)
    return {labels[i * len(labels) // count] for i in range(count)}


def test_a_linear_classifier_is_strong_on_banking77() -> None:
    folder = data_set("banking77")
    train, test = labelled(folder / "train.csv"), labelled(folder / "test.csv")
    chosen = spaced(train)
    train = [one for one in train if one.expected in chosen]
    test = [one for one in test if one.expected in chosen]
    assert detect([one.expected for one in test]) == "classification"
    accuracy = {}
    for kind in baselines.fitting("classification"):
        answer = baselines.fit(kind, train, "classification")
        accuracy[kind] = sum(answer(one) == one.expected for one in test) / len(test)
    assert accuracy["linear"] >= 0.95
    assert accuracy["majority"] == pytest.approx(1 / 12, abs=0.01)
    assert 0.8 < accuracy["nearest"] < accuracy["linear"]


def test_the_nearest_row_gives_away_names_but_not_fields_of_calls() -> None:
    folder = data_set("sgd-calls")

    def conversations(name: str) -> Iterator[Row]:
        for i, line in enumerate((folder / name).read_text(encoding="utf-8").splitlines()):
            *asked, target = json.loads(line)["messages"]
            yield Row(str(i), i, asked, target["content"])

    train, test = list(conversations("train.jsonl")), list(conversations("test.jsonl"))
    assert detect([one.expected for one in test]) == "calls"
    answer = baselines.fit("nearest", train, "calls")
    names, (counts,) = matrix([judge("calls", Answer(one.expected, answer(one))) for one in test])
    value = {name: float(statistic(SCORERS[name], names)(counts.sum(axis=0))) for name in ("name_accuracy", "field_f1")}
    assert value["name_accuracy"] > 0.6
    assert value["field_f1"] < 0.25


def test_baselines_read_korean_and_single_characters() -> None:
    train = [
        row("환불해 주세요", "refund"),
        row("배송이 언제 오나요", "shipping"),
        row("I", "first"),
        row("x y", "other"),
    ]
    answer = baselines.fit("nearest", train, "text")
    assert answer(row("환불 부탁해요", "")) == "refund"
    assert answer(row("I", "")) == "first"


def test_majority_breaks_ties_the_same_way_always() -> None:
    answer = baselines.fit("majority", [row("a", "z"), row("b", "y")], "text")
    assert answer(row("c", "")) == "y"


def test_linear_with_a_single_label_gives_it() -> None:
    assert baselines.fit("linear", [row("a", "z"), row("b", "z")], "classification")(row("c", "")) == "z"


@pytest.mark.parametrize(
    ("kind", "task", "words"),
    [("linear", "calls", "few labels"), ("magic", "calls", "no baseline 'magic'")],
)
def test_what_does_not_fit_is_refused(kind: str, task: Task, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        baselines.fit(kind, [row("a", "b")], task)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(BadInput, match="no rows to learn"):
        baselines.fit("majority", [], "text")
