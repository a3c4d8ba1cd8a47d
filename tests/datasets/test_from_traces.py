"""From traces to rows: which call of a trace, what is left out and why, what is replaced, who may, and where a row came from."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from noria.app import schema
from noria.core import clock, ids
from noria.core.errors import BadInput
from noria.core.records import Message
from noria.core.settings import Settings, load
from noria.datasets import jobs as dataset_jobs
from noria.datasets import lineage, service
from noria.datasets.commands import datasets
from noria.datasets.from_traces import Selection, add
from noria.datasets.records import DatasetVersion, span_row_id, trace_row_id
from noria.datasets.slice import SLICE
from noria.governance import audit, people
from noria.governance import service as governance
from noria.governance.slice import SLICE as GOVERNANCE
from noria.jobs import service as jobs
from noria.jobs.context import JobContext
from noria.jobs.slice import SLICE as JOBS
from noria.registry.slice import SLICE as REGISTRY
from noria.stores.connect import Stores
from noria.tracing.service import give_feedback
from noria.tracing.slice import SLICE as TRACING
from noria.web import application
from tests.stores.process import StoreProcess
from tests.tracing.conftest import TICK, Traffic

schema.declare()
PASSWORD = "a long enough password"
CALLS: list[dict[str, Any]] = [{"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}]


@pytest.fixture(scope="module")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    process = StoreProcess(load({}, data=tmp_path_factory.mktemp("store") / "data"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def stores(settings: Settings, store_process: StoreProcess) -> Iterator[Stores]:
    opened = Stores(replace(settings, spans_url=store_process.dsn()))
    opened.database.create_all()
    yield opened
    opened.close()


@pytest.fixture
def project(stores: Stores) -> str:
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        for role in ("viewer", "editor"):
            people.add_person(
                connection, project_id=first.project_id, email=f"{role}@example.org", name=role, role=role,
                password=PASSWORD, actor_id="test",
            )  # fmt: skip
    return first.project_id


@pytest.fixture
def traffic(stores: Stores, project: str) -> Iterator[Traffic]:
    made = Traffic(stores, project)
    yield made
    made.writer.close()


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    slices = (JOBS, GOVERNANCE, REGISTRY, TRACING, SLICE)
    with TestClient(application.create(slices, stores, governance.authenticate)) as opened:
        yield opened


def sign_in(client: TestClient, role: str) -> dict[str, str]:
    client.cookies.clear()
    answer = client.post("/api/login", json={"email": f"{role}@example.org", "password": PASSWORD})
    return {"csrf": answer.json()["csrf"]}


def added(stores: Stores, project: str, *trace_ids: str, **more: Any) -> DatasetVersion:
    which = Selection(trace_ids, **{k: more.pop(k) for k in ("span_id", "q", "traffic") if k in more})
    return add(stores, project_id=project, name="calls", which=which, split="train", actor_id="p", **more)


def correct(traffic: Traffic, trace_id: str, correction: str, span_id: str = "") -> None:
    give_feedback(
        traffic.stores, project_id=traffic.project, author_id="", source="user", trace_id=trace_id, span_id=span_id,
        correction=correction, key="k",
    )  # fmt: skip
    traffic.carry()


def agent(traffic: Traffic) -> dict[str, str]:
    """An agent's trace: a call of a tool, an embedding, an answer; ids by name."""
    trace, root = ids.new_trace_id(), ids.new_span_id()
    asked: list[Message] = [{"role": "user", "content": "날씨?"}]
    used: list[Message] = [{"role": "assistant", "content": None, "tool_calls": CALLS}]
    result: list[Message] = [*asked, *used, {"role": "tool", "content": "21"}]
    found = {"trace": trace, "root": root}
    now = clock.now_ns()
    steps: dict[str, dict[str, Any]] = {
        "root": {"kind": "agent", "span_id": root, "input_messages": asked},
        "plan": {"parent_id": root, "input_messages": asked, "output_messages": used},
        "embed": {"parent_id": root, "kind": "embedding", "input_messages": asked, "output_messages": []},
        "answer": {"parent_id": root, "input_messages": result},
        "below": {"input_messages": asked},
    }
    for number, (name, fields) in enumerate(steps.items()):
        above = {"parent_id": found["answer"]} if name == "below" else {}
        span = traffic.span(
            answered="21 °C", trace_id=trace, endpoint="", start_ns=now + number * TICK, **(fields | above)
        )
        found[name] = span.span_id
    return found


def test_the_last_of_the_highest_calls_stands_for_a_trace_and_a_span_for_itself(
    stores: Stores, project: str, traffic: Traffic
) -> None:
    one = agent(traffic)
    traffic.carry()
    version = added(stores, project, one["trace"])
    [row] = service.read_examples(stores, version)
    assert row.row_id == trace_row_id(one["trace"])
    assert row.source == {"trace_id": one["trace"], "span_id": one["answer"], "score_ids": [], "via": "trace"}
    assert [message["role"] for message in row.messages] == ["user", "assistant", "tool", "assistant"]
    assert row.messages[1]["tool_calls"] == CALLS and row.target == "21 °C"

    correct(traffic, one["trace"], "21 °C in Seoul")  # of the whole: not of this span
    version = added(stores, project, one["trace"], span_id=one["plan"])
    row = service.get_row(stores, version, span_row_id(one["trace"], one["plan"]))
    assert row.messages[-1]["tool_calls"] == CALLS and row.source["via"] == "trace"
    assert (version.number, version.rows, version.operation) == (2, 2, "from_traces")
    assert version.parent_id == service.find_version(stores, project, "calls", 1).id
    edges = lineage.edges(stores, project, "trace", one["trace"])
    assert {edge.target_id for edge in edges} == {trace_row_id(one["trace"]), row.row_id}
    with pytest.raises(BadInput) as refused:
        added(stores, project, one["trace"], span_id=one["embed"])
    assert "embedding" in refused.value.hint


def test_what_is_left_out_is_told_with_its_reason(stores: Stores, project: str, traffic: Traffic) -> None:
    good = traffic.span("Write to jane.doe@example.org", "done")
    silent = traffic.span("hello?", "")
    failed = traffic.span("broken", "", status="error")
    unasked = traffic.span("", "what?", input_messages=[])
    chosen = traffic.span("pick", output_messages=[{"role": "assistant", "content": text} for text in ("a", "b")])
    corrected = traffic.span("wrong", "", status="error")
    correct(traffic, corrected.trace_id, "right")
    spans = (good, silent, failed, unasked, chosen, corrected)
    version = added(stores, project, *(span.trace_id for span in spans), ids.new_trace_id())
    assert version.report["left_out"] == {"answer": 1, "failed": 1, "question": 1, "missing": 1}
    assert (version.report["asked"], version.report["added"], version.report["corrected"]) == (7, 3, 1)
    assert version.report["masked"] == {"EMAIL": 1}
    rows = {row.source["trace_id"]: row for row in service.read_examples(stores, version)}
    assert rows[good.trace_id].messages[0]["content"] == "Write to <EMAIL_1>"
    assert [m["content"] for m in rows[chosen.trace_id].messages] == ["pick", "b"]
    assert (rows[corrected.trace_id].target, rows[corrected.trace_id].source["via"]) == ("right", "correction")


def test_a_trace_comes_in_once_and_again_when_it_was_corrected(stores: Stores, project: str, traffic: Traffic) -> None:
    first, second = traffic.span("one", "1"), traffic.span("two", "2")
    traffic.carry()
    added(stores, project, first.trace_id)
    version = added(stores, project, first.trace_id, second.trace_id)
    assert (version.report["added"], version.report["left_out"]) == (1, {"there": 1})
    with pytest.raises(BadInput, match="No row came in") as refused:
        added(stores, project, first.trace_id, second.trace_id)
    assert refused.value.hint == "Stands in the dataset already."
    correct(traffic, first.trace_id, "I")
    version = added(stores, project, first.trace_id)
    assert (version.number, version.report["replaced"], version.report["corrected"]) == (3, 1, 1)
    assert {row.target for row in service.read_examples(stores, version)} == {"I", "2"}
    assert service.find_version(stores, project, "calls").number == 3


def test_rows_that_somebody_else_adds_meanwhile_are_kept(stores: Stores, project: str, traffic: Traffic) -> None:
    mine, theirs = traffic.span("one", "1"), traffic.span("two", "2")
    traffic.carry()
    told: list[str] = []

    def meanwhile() -> None:
        if not told:
            told.append("once")
            added(stores, project, theirs.trace_id)

    version = added(stores, project, mine.trace_id, check=meanwhile)
    assert (version.number, {row.target for row in service.read_examples(stores, version)}) == (2, {"1", "2"})

    def late() -> None:  # after the base was read: as the first row of the next version is written
        told.append("again")
        if len(told) == 3:
            added(stores, project, third.trace_id)

    third, fourth = traffic.span("three", "3"), traffic.span("four", "4")
    traffic.carry()
    version = added(stores, project, fourth.trace_id, check=late)
    assert (version.number, {row.target for row in service.read_examples(stores, version)}) == (4, {"1", "2", "3", "4"})


def test_the_job_adds_all_that_a_search_finds_and_can_be_run_again(
    client: TestClient, stores: Stores, project: str, traffic: Traffic
) -> None:
    for number in range(4):
        traffic.span(f"question {number}", f"answer {number}", tags=["paid"] if number else [])
    traffic.span("elsewhere", "x", project_id=ids.new_id(), tags=["paid"])
    traffic.carry()
    headers = {"x-csrf-token": sign_in(client, "editor")["csrf"]}
    path = "/api/datasets/calls/from_traces"
    answer = client.post(path, json={"q": "tag:paid", "split": "test"}, headers=headers)
    assert answer.status_code == 202, answer.text
    job = jobs.get(stores, project, answer.json()["job"])
    context = JobContext(job.id, project, job.actor_id, job.args, stores, lambda *_: None, lambda *_: None)
    for _ in range(2):
        done = dataset_jobs.from_traces(context)
        assert (done["number"], done["rows"], done["report"]["by_split"]) == (1, 3, {"test": 3})
    with stores.database.read() as connection:
        assert [entry.target_id for entry in audit.entries(connection, project, verb="dataset.from_traces").items]
    for body in ({}, {"q": "x", "trace_ids": ["a" * 32]}, {"q": "modle:x"}, {"trace_ids": ["a" * 32], "split": "/"}):
        assert client.post(path, json=body, headers=headers).status_code == 400, body
    assert client.post(path, json={"trace_ids": ["x"]}, headers=headers).status_code in {400, 422}
    headers = {"x-csrf-token": sign_in(client, "viewer")["csrf"]}
    assert client.post(path, json={"q": "tag:paid"}, headers=headers).status_code == 403


def test_the_page_action(client: TestClient, stores: Stores, project: str, traffic: Traffic) -> None:
    one = agent(traffic)
    other = traffic.span("hello", "hi")
    traffic.carry()
    csrf = sign_in(client, "editor")
    page = client.get(f"/traces/{one['trace']}?span={one['plan']}").text
    linked = re.search(r'href="(/actions/dataset\?[^"]+span=[^"]+)"', page)
    assert linked
    form = client.get(linked[1].replace("&amp;", "&")).text
    assert "one span" in form and "Name of the new dataset" in form and "find" in form
    ticked = {**csrf, "t": [one["trace"], other.trace_id], "next": "/traces?q=x"}
    assert "2 traces" in client.post("/actions/dataset/form", data=ticked).text
    sent = {**ticked, "new": "calls", "split": "validation"}
    done = client.post("/actions/dataset", data=sent, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/datasets/calls?version=1")
    page = client.get("/datasets/calls").text
    assert "2 rows, 2 of them added from traces." in page and "collected from traces" in page
    assert service.find_version(stores, project, "calls").splits == {"validation": 2}
    with stores.database.read() as connection:
        [entry] = audit.entries(connection, project, verb="dataset.write").items
    assert entry.details["operation"] == "from_traces"

    search = {**csrf, "every": "1", "q": "hello", "traffic": "live", "dataset": "calls"}
    done = client.post("/actions/dataset", data=search, follow_redirects=False)
    job = jobs.get(stores, project, done.headers["location"].partition("job=")[2])
    assert (job.name, job.args["q"], job.args["trace_ids"]) == ("datasets.from_traces", "hello", [])
    assert client.post("/actions/dataset", data={**csrf, "new": "calls"}).status_code == 400
    assert client.post("/actions/dataset", data={**ticked, "new": "a/b"}).status_code == 400
    assert client.post("/actions/dataset", data={**sent, "csrf": "x"}).status_code == 403


def test_whoever_may_not_sees_no_button_and_is_refused(client: TestClient, traffic: Traffic) -> None:
    span = traffic.span("hello", "hi")
    traffic.carry()
    csrf = sign_in(client, "viewer")
    for path in ("/traces", f"/traces/{span.trace_id}"):
        assert "/actions/" not in client.get(path).text
    for name in ("dataset", "score"):
        assert client.get(f"/actions/{name}?t={span.trace_id}").status_code == 403
        for path in (f"/actions/{name}", f"/actions/{name}/form"):
            assert client.post(path, data={**csrf, "t": span.trace_id, "new": "a"}).status_code == 403
    sign_in(client, "editor")
    assert client.get("/traces").text.count("/actions/dataset") == 2


def test_the_command(stores: Stores, project: str, traffic: Traffic, tmp_path: Path) -> None:
    span = traffic.span("hello", "hi", tags=["x"])
    traffic.span("other", "hi")
    traffic.carry()
    run = CliRunner(env={**stores.settings.environment()})
    options = ["--data", str(stores.settings.data)]
    done = run.invoke(datasets, ["from-traces", "calls", "tag:x", *options])
    assert done.exit_code == 0, done.output
    assert "Added 1 rows of 1 traces: calls:1 has 1 rows." in done.output
    done = run.invoke(datasets, ["from-traces", "calls", "--trace", span.trace_id, *options])
    assert done.exit_code == 1 and "Stands in the dataset already." in done.output
    assert run.invoke(datasets, ["from-traces", "calls", *options]).exit_code == 2
