"""What counts as right, row by row and summed."""

import unicodedata

import numpy as np
import pytest
from sklearn.metrics import f1_score

from noria.evaluation.canonical import canonical, fields, label, parse_object
from noria.evaluation.counts import Sums, matrix
from noria.evaluation.records import MAIN_METRIC, METRICS, Task
from noria.evaluation.report import statistic
from noria.evaluation.scorers import SCORERS, Answer, judge, scorers_for


def value(task: Task, metric: str, rows: list[tuple[str, str]], labels: frozenset[str] = frozenset()) -> float:
    names, (counts,) = matrix([judge(task, Answer(expected, given, labels=labels)) for expected, given in rows])
    return float(statistic(SCORERS[metric], names)(counts.sum(axis=0)))


HOTEL = '{"name":"SearchHotel","location":"NY","stay":2}'


def test_every_scorer_is_a_metric_with_a_name_for_people() -> None:
    assert set(SCORERS) == set(METRICS)
    for task, metric in MAIN_METRIC.items():
        assert metric in scorers_for(task)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (HOTEL, 1),
        ('{ "stay": 2.0, "location": "NY",\n "name": "SearchHotel" }', 1),
        ('{"name":"SearchHotel","location":" NY ","stay":2}', 1),
        ('{"name":"SearchHotel","location":"NY","stay":"2"}', 0),  # a number is not a string
        ('{"name":"SearchHotel","location":"ny","stay":2}', 0),
        ('{"name":"SearchHotel","location":"NY"}', 0),
        (HOTEL + " and more", 0),
        ("", 0),
    ],
)
def test_exact_match_compares_json_by_value(given: str, right: int) -> None:
    assert value("calls", "exact_match", [(HOTEL, given)]) == right


def test_exact_match_of_text_ignores_composition_and_outer_space_only() -> None:
    korean = "서울역 근처 호텔"
    assert value("text", "exact_match", [(korean, unicodedata.normalize("NFD", korean) + "\n")]) == 1
    assert value("text", "exact_match", [("a  b", "a b")]) == 0


def test_fields_of_korean_calls() -> None:
    target = '{"name":"호텔예약","도시":"부산","인원":2}'
    given = unicodedata.normalize("NFD", '{"name":"호텔예약","도시":"부산","인원":3}')
    assert value("calls", "field_f1", [(target, given)]) == 0.5
    assert value("calls", "name_accuracy", [(target, given)]) == 1


def test_field_metrics_are_micro_averaged_without_the_name() -> None:
    rows = [
        (HOTEL, '{"name":"Other","location":"NY","stay":3}'),  # 1 right of 2 given, 2 expected
        ('{"name":"FindEvents"}', '{"name":"FindEvents","city":"LA"}'),  # 0 right of 1 given, 0 expected
        ('{"name":"Go","a":1}', "not json"),  # 0 of 0 given, 1 expected
    ]
    assert value("calls", "field_precision", rows) == pytest.approx(1 / 3)
    assert value("calls", "field_recall", rows) == pytest.approx(1 / 3)
    assert value("calls", "field_f1", rows) == pytest.approx(2 / 6)
    assert value("calls", "name_accuracy", rows) == pytest.approx(1 / 3)
    assert value("calls", "valid", rows) == pytest.approx(2 / 3)


def test_rows_without_any_field_are_perfect_when_none_is_given() -> None:
    assert value("calls", "field_f1", [('{"name":"Stop"}', '{"name":"Stop"}')]) == 1
    assert value("calls", "field_f1", [('{"name":"Stop"}', '{"name":"Stop","x":1}')]) == 0


def test_nested_objects_are_opened_and_lists_compared_whole() -> None:
    assert fields({"name": "x", "a": {"b": 1, "name": "y"}, "c": [1, 2.0], "d": {}}) == {
        '"a"."b"': "1",
        '"a"."name"': '"y"',
        '"c"': "[1,2]",
        '"d"': "{}",
    }
    # A key with a point in it is not a path.
    assert fields({"a.b": 1}).keys() != fields({"a": {"b": 1}}).keys()


@pytest.mark.parametrize(
    "text", ["", "[]", "1", '{"a":NaN}', '{"a":Infinity}', '{"a":1', '{"a":1}x', "[" * 100_000, '{"a":' * 50_000]
)
def test_what_is_no_json_object_is_none(text: str) -> None:
    assert parse_object(text) is None


def test_canonical_keeps_types_apart() -> None:
    assert canonical(1) == canonical(1.0) != canonical("1")
    assert canonical(True) != canonical(1)
    assert canonical(None) != canonical("null")
    assert canonical({"b": 1, "a": [1]}) == canonical({"a": [1.0], "b": 1.0})
    assert canonical(1e400) != canonical(0)  # a float too large for whole numbers does not stop anything


def test_an_answer_that_was_cut_or_failed_is_invalid_and_wrong() -> None:
    counts = judge("calls", Answer(HOTEL, HOTEL, whole=False))
    assert counts == {"fields_expected": 2}
    counts = judge("classification", Answer("pin", "pin", whole=False, labels=frozenset({"pin"})))
    assert counts == {"expected:pin": 1}
    assert judge("text", Answer("a", "a", whole=False)) == {}


def test_labels_are_compared_in_normal_form() -> None:
    labels = frozenset(map(label, ["Card Arrival", "분실 카드"]))
    rows = [
        ("Card Arrival", "  card   arrival\n"),
        ("분실 카드", unicodedata.normalize("NFD", "분실 카드")),
        ("pin", "no"),
    ]
    assert value("classification", "accuracy", rows, labels) == pytest.approx(2 / 3)
    assert value("classification", "valid", rows, labels) == pytest.approx(2 / 3)


def test_macro_f1_is_sklearns() -> None:
    generator = np.random.default_rng(1)
    names = np.array(["a", "b", "c", "d"])
    wanted, given = names[generator.integers(0, 4, size=60)], names[generator.integers(0, 3, size=60)]
    ours = value("classification", "macro_f1", list(zip(wanted, given, strict=True)), frozenset(names.tolist()))
    assert ours == pytest.approx(f1_score(wanted, given, average="macro"))


def test_macro_f1_counts_an_unknown_answer_as_missed_only() -> None:
    rows = [("a", "a"), ("a", "zzz"), ("b", "b")]
    assert value("classification", "macro_f1", rows, frozenset({"a", "b"})) == pytest.approx((2 / 3 + 1) / 2)


def test_text_f1_follows_the_overlap() -> None:
    assert value("text", "text_f1", [("호텔을 예약해 줘", "호텔을 예약해 줘")]) == 1
    assert 0.3 < value("text", "text_f1", [("book a hotel", "book the hotel now")]) < 0.9
    assert value("text", "text_f1", [("a", "b"), ("", "")]) == 0.5


def test_sums_of_counts_that_no_row_has_are_zero() -> None:
    names, (first, second) = matrix([{"x": 1.0}], [{"y": 2.0}, {}])
    assert names.all == ("rows", "x", "y")
    assert Sums(names, second.sum(axis=0))["rows"] == 2
    assert Sums(names, first.sum(axis=0))["never"] == 0
