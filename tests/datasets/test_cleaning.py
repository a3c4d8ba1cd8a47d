"""Cleaning: what is removed, changed or only told, and above all what is left alone."""

import json
from typing import Any

import pytest

from noria.core.errors import BadInput
from noria.datasets import changes, service
from noria.datasets.options import parse_options
from noria.datasets.records import DatasetVersion
from noria.stores.connect import Stores
from tests.conftest import data_set
from tests.datasets.conftest import Run

Row = tuple[str, str]


@pytest.fixture
def cleaned(stores: Stores, importing: Run, cleaning: Run) -> Any:
    """Import rows of train and test, clean them; gives (version, questions that are left)."""

    def run(train: list[Row], test: list[Row] | None = None, **options: Any) -> tuple[DatasetVersion, list[str]]:
        files = {"train.jsonl": _lines(train)}
        if test:
            files["test.jsonl"] = _lines(test)
        version = cleaning(importing(files), **options)
        return version, [e.messages[0]["content"] for e in service.read_examples(stores, version, split="train")]

    return run


def _lines(rows: list[Row]) -> str:
    return "\n".join(
        json.dumps(
            {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}, ensure_ascii=False
        )
        for q, a in rows
    )


FILLER: list[Row] = [
    (f"{word} is what I would like to know about today", word)
    for word in ("delivery", "invoices", "passwords", "returns", "opening hours", "vouchers", "sizes", "colours")
]


def test_exact_and_near_duplicates_go_and_the_first_stays(cleaned: Any) -> None:
    rows = [
        ("Where is my parcel?", "track"),
        ("Where is my parcel?", "track"),
        ("where is my  parcel", "track"),
        ("Where is my pacrel?", "track"),
        ("Hello, where is my parcel please?", "track"),
        ("정말 재미있게 봤어요", "good"),
        ("정말재미있게 봤어요!!", "good"),
    ]
    version, left = cleaned([*FILLER, *rows])
    assert left == [q for q, _ in FILLER] + ["Where is my parcel?", "정말 재미있게 봤어요"]
    assert version.report["removed"] == {"near_duplicate": 4, "exact_duplicate": 1}
    assert (version.report["rows_before"], version.report["rows_after"]) == (15, 10)
    assert version.report["by_split"]["train"] == {"before": 15, "removed": 5, "after": 10}


def test_other_slot_values_are_not_duplicates(cleaned: Any) -> None:
    rows = [
        ("Book a table for 2 in Paris on Monday", "book"),
        ("Book a table for 3 in Paris on Monday", "book"),
        ("Book a table for 2 in Rome on Monday", "book"),
        ("Book a table for 2 in Paris on Sunday", "book"),
        ("Book a table for 2 in Paris", "book"),
        ("Do not book a table for 2 in Paris", "book"),
        ("My card is working", "card"),
        ("My card isn't working", "card"),
        ("This is available", "state"),
        ("This is unavailable", "state"),
        ("이 영화 재미있다", "review"),
        ("이 영화 재미없다", "review"),
        ("숙소 3박 예약해 주세요", "stay"),
        ("숙소 4박 예약해 주세요", "stay"),
    ]
    version, left = cleaned(rows)
    assert left == [q for q, _ in rows]
    assert version.report["removed"] == {}


def test_rows_with_other_targets_are_told_as_conflicts_and_never_merged(cleaned: Any, stores: Stores) -> None:
    rows = [
        ("Find hotels in NY", '{"name":"Search","city":"NY"}'),
        ("find hotels in NY.", '{"city": "NY", "name": "Search"}'),
        ("Find hotels in  NY", '{"name":"Search","city":"New York"}'),
    ]
    version, left = cleaned([*FILLER, *rows])
    assert left[-2:] == ["Find hotels in NY", "Find hotels in  NY"]
    assert version.report["conflicts"] == 1
    (conflict,) = changes.browse(stores, version, reason="conflict").items
    assert (conflict.action, conflict.before and conflict.before.target) == ("conflict", rows[2][1])
    assert conflict.other and conflict.other.target == rows[0][1]
    version, left = cleaned([*FILLER, *rows], remove_conflicts=True)
    assert left == [q for q, _ in FILLER]
    assert version.report["removed"]["conflict"] == 2


def test_what_also_stands_in_test_goes_from_train(cleaned: Any, stores: Stores) -> None:
    test = [("How do I return my shoes?", "return"), ("How do I return my shoes?", "return"), ("Something else", "x")]
    train = [("How do I return my shoes?", "return"), ("how do i return my  sheos", "return"), *FILLER]
    version, left = cleaned(train, test)
    assert left == [q for q, _ in FILLER]
    assert version.report["removed"] == {"leakage": 2, "exact_duplicate": 1}
    assert version.splits == {"train": 8, "test": 2}
    first, second = changes.browse(stores, version, reason="leakage").items
    assert (first.split, first.detail, second.detail) == (
        "train",
        "also in test: the same row",
        "also in test: 95% alike",
    )
    assert first.other and first.other.split == "test"
    assert cleaned(train, test, leakage=False)[0].splits["train"] == 9


def test_masking_is_consistent_between_input_and_target(cleaned: Any, stores: Stores) -> None:
    rows = [("Write to jane@example.com or 010-1234-5678", '{"mail":"jane@example.com","n":2}'), *FILLER]
    version, left = cleaned(rows)
    assert left[0] == "Write to <EMAIL_1> or <PHONE_1>"
    assert version.report["masked"] == {"EMAIL": 1, "PHONE": 1}
    (change,) = changes.browse(stores, version, reason="masked").items
    assert change.detail == "email 1, phone 1"
    assert change.after and change.after.target == '{"mail":"<EMAIL_1>","n":2}'
    assert change.before and "jane@example.com" in change.before.messages[0]["content"]
    stored = stores.files.path(version.report["changes"]).read_bytes()
    assert b"jane@example" not in stored
    assert cleaned(rows, mask=False)[1][0] == rows[0][0]


def test_encoding_is_repaired_and_korean_left_alone(cleaned: Any) -> None:
    meant = [
        "안녕하세요 반갑습니다",
        "café “quoted”",
        "정말 재미있어요",
        "ＡＢＣ　전각 문자",
        "ㅋㅋㅋ 대박",
        "naïve Übung",
    ]
    broken = [
        "안녕하세요 반갑습니다".encode().decode("latin-1"),
        "café “quoted”".encode().decode("cp1252", "ignore"),
        "정말 재미있어요".encode("cp949").decode("latin-1"),
        *meant[3:],
    ]
    version, left = cleaned([(text, f"answer {n}") for n, text in enumerate(broken)])
    assert left[0] == meant[0]
    assert left[2:] == meant[2:]
    assert version.report["changed"]["encoding"] in {2, 3}


def test_unusual_lengths_are_told_and_only_extremes_removed(cleaned: Any) -> None:
    rows = [(f"Question number {word} about the things I bought here last week", word) for word in "abcdefghijklmnop"]
    long, extreme = "word " * 200, "word " * 5_000
    version, left = cleaned([*rows, (long, "long"), (extreme, "extreme")], [(extreme + "test", "test")])
    assert version.report["removed"] == {"too_long": 1}
    assert version.report["reported"]["too_long"] >= 1
    assert len(left) == 17
    assert version.splits["test"] == 1


def test_row_ids_stay_and_the_parent_is_untouched(stores: Stores, importing: Run, cleaning: Run) -> None:
    parent = importing({"train.jsonl": _lines([("a@example.com asks", "x"), ("b", "y"), ("b", "y"), *FILLER])})
    before = list(service.read_examples(stores, parent))
    version = cleaning(parent)
    assert version.parent_id == parent.id and version.operation == "clean"
    assert list(service.read_examples(stores, service.get_version(stores, "project-1", parent.id))) == before
    after = {example.row_id: example for example in service.read_examples(stores, version)}
    assert set(after) == {example.row_id for example in before} - {before[2].row_id}
    assert after[before[0].row_id].source == before[0].source
    again = cleaning(version)
    assert again.digest == version.digest
    assert again.report["removed"] == again.report["changed"] == {}


def test_changes_are_paged_in_the_order_of_rows(cleaned: Any, stores: Stores) -> None:
    version, _ = cleaned([*FILLER, *[("the very same row as before", "x")] * 8, ("write to a@example.com", "y")])
    seen, cursor = [], None
    while True:
        page = changes.browse(stores, version, limit=3, cursor=cursor)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert [row.reason for row in seen] == ["exact_duplicate"] * 7 + ["masked"]
    assert len(changes.browse(stores, version, reason="masked").items) == 1


@pytest.mark.parametrize(
    "options",
    [{"nearly": True}, {"mask": "yes"}, {"threshold": 0.2}, {"threshold": True}, {"remove_z": 2.5}, {"report_z": "3"}],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        parse_options(options)


def test_public_data_sets(stores: Stores, importing: Run, cleaning: Run) -> None:
    folder = data_set("sgd-calls")
    version = cleaning(importing({name: folder / name for name in ("train.jsonl", "test.jsonl")}))
    assert version.splits["test"] >= 315
    assert version.splits["train"] >= 850
    bank = data_set("banking77")
    imported = importing({name: bank / name for name in ("train.csv", "test.csv")}, name="bank")
    version = cleaning(imported)
    assert 50 <= version.report["removed"]["near_duplicate"] <= 400
    assert version.report["removed"]["leakage"] >= 10
    assert sum(version.report["changed"].values()) < 100
