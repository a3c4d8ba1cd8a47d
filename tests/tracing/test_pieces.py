"""Events of Langfuse's SDK 2: pieces of traces and observations, in any order and batch, become whole spans, once."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noria.app import schema
from noria.app.slices import SLICES
from noria.core.records import Span
from noria.governance import erasure
from noria.governance import service as governance
from noria.tracing import reading, second_look, service
from noria.tracing.records import TraceFilter
from tests.tracing.otlp_kit import Otlp
from tests.tracing.test_second_look import Machine, carry_at_once, look

TRACE = "9d60449a-e090-40c1-bc8f-2bab8dcdb246"
SPAN, CALL, NOTE = (f"{number}fe3cd3a-4bcc-4fbe-bf68-45ab32b59b54" for number in (6, 7, 8))
START = "2026-11-26T15:09:52."


def event(kind: str, number: int, **body: Any) -> dict[str, Any]:
    """As langfuse 2.60.10 sends it (recorded in November 2026); `number` is its place in time."""
    return {"id": f"e{number}", "type": kind, "timestamp": f"{START}{number:06d}Z", "body": body}


def run() -> list[dict[str, Any]]:
    """A chat: a retrieval with a model call in it, a warning, and the trace's answer at the end."""
    asked = [{"role": "user", "content": "환불해 주세요"}]
    call = {"traceId": TRACE, "id": CALL}
    return [
        event(
            "trace-create",
            1,
            id=TRACE,
            timestamp=START + "000001Z",
            name="chat",
            userId="kim",
            sessionId="s1",
            input={"q": "hi"},
            metadata={"plan": "pro"},
            tags=["a"],
        ),
        event("span-create", 2, traceId=TRACE, id=SPAN, name="retrieve", startTime=START + "000002Z", input={"q": 1}),
        event(
            "generation-create",
            3,
            **call,
            parentObservationId=SPAN,
            name="llm",
            startTime=START + "000003Z",
            model="gpt-4o",
            modelParameters={"temperature": "0.1"},
            input=asked,
            metadata={"a": 1},
        ),
        event("generation-update", 4, **call, completionStartTime=START + "000500Z", metadata={"b": 2}),
        event(
            "generation-update",
            5,
            **call,
            endTime=START + "000900Z",
            output="네.",
            usage={"input": 19, "output": 9, "unit": "TOKENS"},
            usageDetails={"input": 19, "output": 9},
            costDetails={"total": 0.01},
            promptName="support",
            promptVersion=3,
        ),
        event("span-update", 6, traceId=TRACE, id=SPAN, endTime=START + "000950Z", output=["page 1"]),
        event(
            "event-create",
            7,
            traceId=TRACE,
            id=NOTE,
            name="slow",
            startTime=START + "000960Z",
            level="WARNING",
            statusMessage="hm",
        ),
        event("trace-create", 8, id=TRACE, output={"a": "yo"}, tags=["b"], metadata={"seats": 3}),
    ]


def send(otlp: Otlp, events: list[Any], key: str = "") -> dict[str, list[dict[str, Any]]]:
    answer = otlp.client.post("/api/public/ingestion", json={"batch": events}, auth=("pk", key or otlp.key))
    assert answer.status_code == 207, answer.text
    found: dict[str, list[dict[str, Any]]] = answer.json()
    return found


def named(otlp: Otlp) -> dict[str, Span]:
    spans = otlp.spans()
    assert len({span.span_id for span in spans}) == len(spans)
    return {span.name: span for span in spans}


def check(otlp: Otlp) -> None:
    """Everything that `run` tells is there."""
    found = named(otlp)
    assert sorted(found) == ["chat", "llm", "retrieve", "slow"]
    root, span, call, note = found["chat"], found["retrieve"], found["llm"], found["slow"]
    assert {one.trace_id for one in found.values()} == {TRACE.replace("-", "")}
    assert [one.parent_id for one in (root, span, call, note)] == ["", root.span_id, span.span_id, root.span_id]
    assert (root.subject_id, root.session_id, sorted(root.tags)) == ("kim", "s1", ["a", "b"])
    assert json.loads(root.attributes["langfuse.trace.metadata"]) == {"plan": "pro", "seats": 3}
    assert root.output_messages[0]["content"] == '{"a": "yo"}'
    assert (call.kind, call.served_model, call.parameters) == ("llm", "gpt-4o", {"temperature": 0.1})
    assert (call.input_tokens, call.output_tokens, call.cost_micros) == (19, 9, 10_000)
    assert [m["content"] for m in (*call.input_messages, *call.output_messages)] == ["환불해 주세요", "네."]
    assert (call.end_ns - call.start_ns, call.first_token_ns - call.start_ns) == (897_000, 497_000)
    assert (call.prompt_name, call.prompt_version) == ("support", 3)
    assert json.loads(call.attributes["langfuse.observation.metadata"]) == {"a": 1, "b": 2}
    assert span.end_ns - span.start_ns == 948_000
    assert (note.status, note.attributes["langfuse.observation.level"]) == ("ok", "WARNING")
    [row] = service.list_traces(otlp.stores, otlp.project).items
    assert (row.spans, row.calls, row.input_tokens, row.subject_id) == (4, 1, 19, "kim")
    for q in ("환불", "user:kim", "model:gpt-4o"):
        assert len(service.list_traces(otlp.stores, otlp.project, TraceFilter(q=q)).items) == 1, q


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("order", ["told", "backwards"])
def test_pieces_in_any_batches_and_order(otlp: Otlp, size: int, order: str) -> None:
    events = run() if order == "told" else run()[::-1]
    for start in range(0, len(events), size):
        part = events[start : start + size]
        answer = send(otlp, part)
        assert [one["id"] for one in answer["successes"]] == [one["id"] for one in part] and not answer["errors"]
        otlp.carry()
    check(otlp)
    send(otlp, events)  # once more, as a client does that did not hear the answer
    otlp.carry()
    check(otlp)


def test_a_step_that_fails_and_one_that_never_ends(otlp: Otlp) -> None:
    send(
        otlp,
        [
            event("generation-create", 1, traceId="order 7", id="one", name="llm", startTime=START + "000001Z"),
            event("generation-update", 2, traceId="order 7", id="one", level="ERROR", statusMessage="no", model="m"),
            event("span-update", 3, traceId="order 7", id="two", output="only an update"),
        ],
    )
    otlp.carry()
    by_kind = {span.kind: span for span in otlp.spans()}
    assert (by_kind["llm"].status, by_kind["llm"].error_message, by_kind["llm"].served_model) == ("error", "no", "m")
    assert by_kind["chain"].output_messages[0]["content"] == "only an update"
    [row] = service.list_traces(otlp.stores, otlp.project).items
    assert (row.spans, row.status) == (2, "error")


def test_usage_in_its_older_shapes(otlp: Otlp) -> None:
    usages: list[dict[str, Any]] = [
        {"promptTokens": 3, "completionTokens": 4, "totalTokens": 7},
        {"input": 3, "output": 4, "unit": "TOKENS", "inputCost": 0.001, "outputCost": 0.002},
        {"input": 300, "output": 400, "unit": "CHARACTERS", "totalCost": 0.003},
    ]
    for number, usage in enumerate(usages):
        body = {"traceId": TRACE, "id": f"g{number}", "name": f"g{number}", "startTime": START + "000001Z"}
        send(otlp, [event("generation-create", number, **body, usage=usage)])
    otlp.carry()
    found = named(otlp)
    told = [(found[f"g{n}"].input_tokens, found[f"g{n}"].output_tokens, found[f"g{n}"].cost_micros) for n in range(3)]
    assert told == [(3, 4, 0), (3, 4, 3000), (0, 0, 3000)]


def deep(levels: int) -> Any:
    return [deep(levels - 1)] if levels else "x"


def test_what_cannot_be_used_is_told_and_the_rest_is_kept(otlp: Otlp) -> None:
    good = {"traceId": TRACE, "id": "g", "startTime": START + "000001Z"}
    bad: list[tuple[Any, str]] = [
        (event("span-create", 1, id="x"), "no trace id"),
        (event("span-create", 1, traceId=TRACE), "no id"),
        (event("span-create", 1, traceId=TRACE, id=7), "an id is text"),
        (event("span-create", 1, traceId="t" * 300, id="x"), "an id is text"),
        (event("span-create", 1, **{**good, "startTime": "yesterday"}), "startTime is not a time"),
        (event("span-create", 1, **{**good, "startTime": "1970-01-01T00:00:01Z"}), "before the year 2000"),
        (event("span-create", 1, **{**good, "startTime": "2200-01-01T00:00:00Z"}), "day ahead"),
        (event("span-create", 1, **good) | {"timestamp": "2200-01-01T00:00:00Z"}, "day ahead"),
        (event("span-create", 1, **good, input=deep(200)), "nested deeper"),
        (event("span-create", 1) | {"body": None}, "no body"),
        (event("agent-create", 1, **good), "not taken here"),
        (event("trace-create", 1, id=""), "no id"),
        ({"id": "none"}, "not taken here"),
        ("text", "not taken here"),
    ]
    answer = send(otlp, [*(one for one, _ in bad), event("span-create", 2, **good, name="kept")])
    assert [one["id"] for one in answer["successes"]] == ["e2"]
    assert len(answer["errors"]) == len(bad)
    for error, (_, words) in zip(answer["errors"], bad, strict=True):
        assert error["status"] == 400 and words in error["message"], error
    otlp.carry()
    assert sorted(named(otlp)) == ["kept"]


def test_values_of_strange_types_spoil_nothing(otlp: Otlp) -> None:
    strange: list[Any] = [[], {}, 7, "x", True, 2**70, {"a": float("nan")}]
    names = ("name", "userId", "tags", "usage", "usageDetails", "modelParameters", "metadata", "level", "promptVersion")
    for number, (name, value) in enumerate(itertools.product(names, strange)):
        body = {"traceId": TRACE, "id": f"g{number}", "startTime": START + "000001Z", name: value}
        text = json.dumps({"batch": [event("generation-create", number, **body)]})
        headers = {"content-type": "application/json"}
        answer = otlp.client.post("/api/public/ingestion", content=text, auth=("pk", otlp.key), headers=headers)
        assert answer.status_code == 207 and answer.json()["errors"] == [], (name, value)
    otlp.carry()
    assert len(otlp.spans()) == len(names) * len(strange)


def test_each_way_wants_its_permission(otlp: Otlp) -> None:
    with otlp.stores.database.begin() as connection:
        _, call = governance.mint_key(connection, project_id=otlp.project, name="c", scope="call", actor_id="")
    score = {"id": "s", "type": "score-create", "body": {"name": "good", "value": 1, "traceId": TRACE}}
    answer = send(otlp, [run()[0], score], call)
    assert [one["id"] for one in answer["successes"]] == ["s"]
    assert [(one["status"], one["message"]) for one in answer["errors"]] == [(403, "This key may not write traces.")]
    otlp.carry()
    assert otlp.spans() == []


def test_pieces_that_two_machines_carry_at_once(otlp: Otlp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_look, "SECONDS", 0.0)
    machines = Machine(otlp.stores, tmp_path / "one"), Machine(otlp.stores, tmp_path / "two")
    for number, machine in enumerate(machines):
        journalled: list[dict[str, Any]] = []
        half = replace(otlp)
        send(half, run()[number::2])
        for batch in otlp.tailer._reader.batches():
            journalled += batch.records
            otlp.tailer._reader.done(batch)
        machine.wrote(*journalled)
    carry_at_once(*machines)
    look(*machines)
    check(otlp)
    for machine in machines:
        machine.close()


def test_pieces_of_somebody_who_was_erased_go_and_stay_away(otlp: Otlp) -> None:
    schema.declare()
    otlp.stores.database.create_all()
    send(otlp, run()[:3])
    otlp.carry()
    assert held(otlp) == {"spans": 3, "contents": 3, "traces": 1}
    erasure.request(otlp.stores, SLICES, project_id=otlp.project, subject_id="kim", actor_id="", reason="asked")
    assert held(otlp) == {"spans": 0, "contents": 0, "traces": 0}
    send(otlp, run()[3:])
    send(otlp, run())
    otlp.carry()
    assert held(otlp) == {"spans": 0, "contents": 0, "traces": 0}


def held(otlp: Otlp) -> dict[str, int]:
    """Rows of the project by table."""
    count = "SELECT count() AS n FROM {table} FINAL WHERE project_id = {{project:String}}"
    named = {"project": otlp.project}
    tables = ("spans", "contents", "traces")
    return {table: reading.ask(otlp.stores, count.format(table=table), named)[0]["n"] for table in tables}
