"""Items one by one: read at once, one version for many of them, and back in their own words. On both SQL engines."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from noria.core.errors import BadInput, Conflict, NotFound
from noria.datasets import item_shapes, items, jobs, langfuse_datasets, runs, service
from noria.datasets.item_shapes import Item
from noria.datasets.records import Dataset, Example
from noria.governance import audit
from noria.jobs import service as queue
from noria.jobs.context import JobContext
from noria.stores.connect import Stores
from noria.stores.sql import Database, metadata
from tests.datasets.conftest import PROJECT, Run


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, stores: Stores) -> Iterator[Stores]:
    """The same stores on either SQL engine."""
    if request.param == "sqlite":
        yield stores
        return
    own = Stores(stores.settings)
    own.__dict__["database"] = Database(request.getfixturevalue("postgres_server"))
    with own.database.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    metadata.create_all(own.database.engine)
    yield own
    own.close()


def dataset(stores: Stores, name: str = "capitals") -> Dataset:
    return langfuse_datasets.put(stores, project_id=PROJECT, name=name, description=None, about={}, actor_id="person-1")


def put(stores: Stores, item: Item, name: str = "capitals", archived: bool | None = None) -> items.Known:
    of = service.find_known(stores, PROJECT, name)
    return items.put(stores, dataset=of, item=item, archived=archived, actor_id="person-1")


def listed(stores: Stores, name: str = "capitals", **more: Any) -> list[tuple[str, Any, Any]]:
    of = service.find_known(stores, PROJECT, name)
    page = items.list_page(stores, of, page=more.pop("page", 1), limit=more.pop("limit", 50), **more)
    return [(one.item.id, one.item.input, one.item.expected_output) for one in page.items]


def waiting_jobs(stores: Stores) -> list[str]:
    return [job.id for job in queue.list_jobs(stores, PROJECT, name="datasets.seal", state="queued")[0]]


def seal(stores: Stores, job_id: str) -> dict[str, Any]:
    """Run the job here and now."""
    args = queue.get(stores, PROJECT, job_id).args
    return jobs.seal(JobContext(job_id, PROJECT, "person-1", args, stores, lambda *_: None, lambda *_: None))


def test_many_items_become_one_version_and_are_read_before(engine: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "QUIET", timedelta(0))
    of = dataset(engine)
    for number in range(30):
        put(engine, Item(f"i-{number}", f"asked {number}", f"wanted {number}"))
    assert [one[0] for one in listed(engine, limit=2, page=15)] == ["i-28", "i-29"]
    assert service.versions(engine, PROJECT, of.name) == []
    [job] = waiting_jobs(engine)
    assert seal(engine, job)["rows"] == 30
    [version] = service.versions(engine, PROJECT, of.name)
    assert (version.number, version.splits, version.operation) == (1, {"test": 30}, "items")
    assert [one[0] for one in listed(engine, limit=2, page=15)] == ["i-28", "i-29"]

    put(engine, Item("i-3", expected_output="other"))
    put(engine, Item("i-4"), archived=True)
    items.remove(engine, project_id=PROJECT, item_id="i-5", actor_id="person-1")
    put(engine, Item("i-new", {"a": [1]}, None, {"split": "train", "n": 1}))
    before = listed(engine)
    assert before[3] == ("i-3", "asked 3", "other")
    assert [one[0] for one in before[4:6]] == ["i-6", "i-7"]
    assert before[-1] == ("i-new", {"a": [1]}, None)
    [following] = [one for one in waiting_jobs(engine) if one != job]  # one more job for four changes
    seal(engine, following)
    assert listed(engine) == before
    newest, first = service.versions(engine, PROJECT, of.name)
    assert (newest.parent_id, newest.rows, newest.splits) == (first.id, 29, {"test": 28, "train": 1})
    assert listed(engine, at=first.created_at)[3] == ("i-3", "asked 3", "wanted 3")
    with engine.database.read() as connection:
        verbs = [entry.verb for entry in audit.entries(connection, PROJECT, verb="dataset", limit=100).items]
    assert verbs.count("dataset.item") == 33
    assert verbs.count("dataset.item_delete") == 1
    assert verbs.count("dataset.write") == 2


def test_what_is_changed_while_a_version_is_written_waits_for_the_next(
    engine: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "QUIET", timedelta(0))
    of = dataset(engine)
    put(engine, Item("a", "x", "1"))
    [job] = waiting_jobs(engine)
    write = service.write_version

    def meanwhile(*args: Any, **values: Any) -> Any:
        monkeypatch.setattr(service, "write_version", write)
        put(engine, Item("a", "x", "2"))
        put(engine, Item("b", "y", "3"))
        return write(*args, **values)

    monkeypatch.setattr(service, "write_version", meanwhile)
    seal(engine, job)
    rows = [
        [example.target for example in service.read_examples(engine, version)]
        for version in service.versions(engine, PROJECT, of.name)
    ]
    assert rows == [["2", "3"], ["1"]]
    assert waiting_jobs(engine) == [job], "the job that was there took both"
    put(engine, Item("c", "z", "4"))
    assert len(waiting_jobs(engine)) == 2


def test_an_item_belongs_to_one_dataset_and_fits_its_schema(stores: Stores) -> None:
    dataset(stores)
    dataset(stores, "Other one")
    put(stores, Item("a", "x"))
    with pytest.raises(Conflict):
        put(stores, Item("a", "y"), "Other one")
    with pytest.raises(BadInput):
        put(stores, Item("a\n", "y"))
    with pytest.raises(NotFound):
        items.get(stores, PROJECT, "nothing")
    schema = {"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}}}
    strict = langfuse_datasets.put(
        stores, project_id=PROJECT, name="strict", description=None, about={"inputSchema": schema}, actor_id="p"
    )
    langfuse_datasets.check_item(strict, {"inputSchema": {"q": "fine"}})
    with pytest.raises(BadInput) as refused:
        langfuse_datasets.check_item(strict, {"inputSchema": {"q": 770123}})
    assert "['q']" in refused.value.message
    assert "770123" not in refused.value.message
    with pytest.raises(BadInput):
        langfuse_datasets.put(
            stores, project_id=PROJECT, name="s", description=None, about={"inputSchema": {"type": 3}}, actor_id="p"
        )


def test_rows_of_an_import_are_items_and_may_be_changed(stores: Stores, importing: Run) -> None:
    version = importing({"train.csv": "text,label,id\nhello,greeting,seven\n"})
    [(row_id, asked, wanted)] = listed(stores, "calls")
    assert (asked, wanted) == ([{"role": "user", "content": "hello"}], "greeting")
    assert items.get(stores, PROJECT, row_id).item.metadata == {"id": "seven"}
    put(stores, Item(row_id, expected_output="welcome"), "calls")
    assert listed(stores, "calls") == [(row_id, asked, "welcome")]
    assert version.rows == 1


@pytest.mark.parametrize(
    ("asked", "wanted", "metadata"),
    [
        ("text", "text", {"a": 1}),
        ({"q": [1, None]}, {"a": "b"}, None),
        (None, None, ["x"]),
        (3, False, "note"),
        ([{"role": "user", "content": "hi"}], {"role": "assistant", "content": "yes"}, {}),
        ({"messages": [{"role": "user", "content": "hi"}]}, ["a"], {"split": "train"}),
        ({"messages": [], "more": 1}, "", {item_shapes.SHAPE: "mine"}),
        ([], [], None),
        ('{"looks": "like JSON"}', "[1]", None),
    ],
)
def test_an_item_comes_back_as_it_was(asked: Any, wanted: Any, metadata: Any) -> None:
    item = Item("a", asked, wanted, metadata, "trace", "span")
    example = item_shapes.to_example(item)
    assert example.messages[-1]["role"] == "assistant"
    assert item_shapes.to_item(example) == item


def test_masked_words_stay_masked() -> None:
    example = item_shapes.to_example(Item("a", {"phone": "010-1234-5678"}, "ok"))
    masked = Example(
        "a", "test", [{"role": "user", "content": '{"phone": "[PHONE]"}'}, example.messages[-1]], example.meta
    )
    assert item_shapes.to_item(masked).input == {"phone": "[PHONE]"}
    assert "1234" not in str(item_shapes.to_item(masked))


def test_a_run_is_made_by_its_first_item(engine: Stores) -> None:
    of = dataset(engine)
    put(engine, Item("a", "x"))
    trace = "0" * 31 + "1"
    given: dict[str, Any] = {"dataset": of, "run_name": "first", "item_id": "a", "actor_id": "person-1"}
    for _ in range(2):
        runs.add_item(engine, **given, trace_id=trace, about={"model": "m"})
    with pytest.raises(BadInput):
        runs.add_item(engine, **given, trace_id="no trace")
    run, found = runs.get(engine, of, "first")
    assert (run.about, [one.trace_id for one in found]) == ({"model": "m"}, [trace, trace])
    assert runs.list_page(engine, of, page=1, limit=10) == ([run], 1)
    runs.remove(engine, of, "first", "person-1")
    with pytest.raises(NotFound):
        runs.get(engine, of, "first")
    with engine.database.read() as connection:
        verbs = [entry.verb for entry in audit.entries(connection, PROJECT, verb="dataset").items]
    assert verbs[:4] == ["dataset.run_delete", "dataset.run_item", "dataset.run_item", "dataset.run"]
