"""Versions: immutable, addressed by what they hold, in order, readable a page at a time."""

from collections.abc import Iterator
from itertools import islice

import pytest

from noria.core.errors import BadInput, NotFound
from noria.datasets import lineage, parquet, service
from noria.datasets.records import DatasetVersion, Example, file_row_id, trace_row_id
from noria.stores.connect import Stores
from tests.datasets.conftest import PROJECT


def rows(count: int, split: str = "train", start: int = 0) -> Iterator[Example]:
    for n in range(start, start + count):
        messages = [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"Answer {n}"}]
        yield Example(
            file_row_id("f" * 64, n), split, messages, {"n": n}, {"file": "f" * 64, "name": "a.jsonl", "line": n}
        )


def write(stores: Stores, examples: Iterator[Example], name: str = "calls", **more: str | None) -> DatasetVersion:
    given = {"parent_id": None, "operation": "import", "actor_id": "person-1"} | more
    return service.write_version(stores, project_id=PROJECT, name=name, examples=examples, report={}, **given)  # type: ignore[arg-type]


def test_rows_come_back_in_their_order_from_several_parts(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "PART_ROWS", 4_000)
    version = write(stores, rows(9_001))
    assert (version.rows, len(version.parts), version.number, version.name) == (9_001, 3, 1, "calls:1")
    assert [e.meta["n"] for e in service.read_examples(stores, version)] == list(range(9_001))
    assert [e.meta["n"] for e in service.read_examples(stores, version, offset=4_500, limit=2)] == [4_500, 4_501]
    assert next(service.read_examples(stores, version)) == next(rows(1))


def test_the_same_rows_have_the_same_digest_and_others_do_not(stores: Stores) -> None:
    first, again, other = (write(stores, rows(n)) for n in (5, 5, 4))
    assert first.digest == again.digest != other.digest
    assert first.parts == again.parts
    assert [first.number, again.number, other.number] == [1, 2, 3]


def test_splits_are_counted_and_read_alone(stores: Stores) -> None:
    def both() -> Iterator[Example]:
        yield from rows(5_000)
        yield from rows(30, "test", start=5_000)

    version = write(stores, both())
    assert version.splits == {"train": 5_000, "test": 30}
    assert [e.meta["n"] for e in service.read_examples(stores, version, split="test", offset=1, limit=2)] == [
        5_001,
        5_002,
    ]


def test_browsing_pages_and_filters(stores: Stores) -> None:
    version = write(stores, rows(5_000))
    seen, cursor = [], None
    while True:
        page = service.browse(stores, version, q="ANSWER 49", limit=40, cursor=cursor)
        seen += [example.meta["n"] for _, example in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [n for n in range(5_000) if str(n).startswith("49")]
    assert service.browse(stores, version, split="test").items == []


def test_a_row_is_found_by_its_id(stores: Stores) -> None:
    version = write(stores, rows(3_000))
    wanted = next(islice(rows(3_000), 2_500, None))
    assert service.get_row(stores, version, wanted.row_id) == wanted
    with pytest.raises(NotFound):
        service.get_row(stores, version, "0" * 32)


def test_versions_are_found_by_name_and_only_in_their_project(stores: Stores) -> None:
    first, second = write(stores, rows(2)), write(stores, rows(3))
    assert service.resolve(stores, PROJECT, "calls").id == second.id
    assert service.resolve(stores, PROJECT, "calls:1").id == first.id
    assert [v.number for v in service.versions(stores, PROJECT, "calls")] == [2, 1]
    (dataset,) = service.list_datasets(stores, PROJECT).items
    assert (dataset.name, dataset.latest, dataset.rows, dataset.splits) == ("calls", 2, 3, {"train": 3})
    for reference, error in (("calls:3", NotFound), ("other", NotFound), ("calls:x", BadInput)):
        with pytest.raises(error):
            service.resolve(stores, PROJECT, reference)
    with pytest.raises(NotFound):
        service.get_version(stores, "another-project", first.id)
    assert service.list_datasets(stores, "another-project").items == []


def test_a_writer_that_fails_leaves_nothing_to_see(stores: Stores) -> None:
    def broken() -> Iterator[Example]:
        yield from rows(10)
        raise BadInput("the file ends in the middle")

    with pytest.raises(BadInput):
        write(stores, broken())
    with pytest.raises(BadInput, match="No rows"):
        write(stores, rows(0))
    assert service.list_datasets(stores, PROJECT).items == []
    assert list(stores.settings.folder.work.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "..", "x" * 65, "a b"])
def test_names_that_cannot_be_used(stores: Stores, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be the name"):
        service.check_name(name)


def test_lineage_from_file_and_trace_to_every_version(stores: Stores) -> None:
    first = write(stores, rows(3))
    learned = Example(
        trace_row_id("abc"),
        "train",
        next(rows(1)).messages,
        {},
        {"trace_id": "abc", "score_ids": ["s1"], "via": "correction"},
    )
    second = write(stores, iter([*rows(2), learned]), parent_id=first.id, operation="merge")

    def steps(kind: str, id: str) -> set[tuple[str, str, str]]:
        return {(e.source_kind, e.target_kind, e.target_id) for e in lineage.edges(stores, PROJECT, kind, id)}

    row = next(rows(1))
    assert steps("dataset_version", first.id) == {("dataset_version", "dataset_version", second.id)}
    assert steps("row", row.row_id) == {
        ("row", "dataset_version", first.id),
        ("row", "dataset_version", second.id),
        ("file", "row", row.row_id),
    }
    assert steps("trace", "abc") == {("trace", "row", learned.row_id)}
    assert steps("row", learned.row_id) >= {("trace", "row", learned.row_id), ("score", "row", learned.row_id)}
    assert lineage.edges(stores, PROJECT, "trace", "unknown") == []
    assert lineage.edges(stores, "another-project", "row", row.row_id) == []
