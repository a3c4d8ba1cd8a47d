"""What clients get wrong, and what strangers try: a 400 with a reason, or the good spans kept; never a 500."""

import base64
import gzip
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from sqlalchemy import insert

from noria.core import clock, ids
from noria.governance import service as governance
from noria.governance.tables import projects
from noria.tracing.otlp.raw import EARLIEST, MOST_ATTRIBUTES
from tests.tracing.otlp_kit import Made, Otlp, request

MB = 1024 * 1024
DAY = 86_400 * 10**9


def status(answer: Any) -> tuple[int, str]:
    """The code and text of google.rpc.Status in protobuf: {1: varint, 2: bytes}."""
    data = answer.content
    assert (data[0], data[2]) == (0x08, 0x12)
    length, shift, at = 0, 0, 3
    while True:
        length |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            break
    assert len(data) == at + length
    return data[1], data[at:].decode()


BODIES = {
    "garbage": (b"\xff\xfe garbage", {}, "protobuf"),
    "json named protobuf": (b'{"resourceSpans": []}', {}, "protobuf"),
    "protobuf named json": (request(Made({})), {"content_type": "application/json"}, "not JSON"),
    "a list": (b"[]", {"content_type": "application/json"}, "not an object"),
    "half of a json": (b'{"resourceSpans": [', {"content_type": "application/json"}, "not JSON"),
    "another type": (b"<xml/>", {"content_type": "text/xml"}, "content-type"),
    "bad gzip": (b"not gzip at all", {"content_encoding": "gzip"}, "broken"),
    "cut gzip": (gzip.compress(request(Made({"a": "b" * 5000})))[:-9], {"content_encoding": "gzip"}, "cut off"),
    "bad crc": (gzip.compress(request(Made({})))[:-8] + b"\0" * 8, {"content_encoding": "gzip"}, "broken"),
    "brotli": (b"x", {"content_encoding": "br"}, "content-encoding"),
    "no good span": (request(Made({}, trace_id="0" * 32)), {}, "trace id"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be_read_is_refused_with_a_reason(otlp: Otlp, name: str) -> None:
    body, headers, reason = BODIES[name]
    answer = otlp.post(body, **headers)
    assert answer.status_code == 400
    told = answer.json()["message"] if "json" in answer.headers["content-type"] else status(answer)[1]
    assert reason in told
    assert otlp.carry() == 0


def test_a_small_body_does_not_become_a_large_one(otlp: Otlp) -> None:
    bomb = gzip.compress(b"\0" * 200 * MB, 9)
    assert len(bomb) < MB
    answer = otlp.post(bomb, content_encoding="gzip")
    assert answer.status_code == 413
    assert status(answer) == (8, status(answer)[1])
    assert otlp.post(b"\0" * 21 * MB).status_code == 413


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])])
def test_gzip_of_one_or_more_members(otlp: Otlp, pack: Any) -> None:
    assert otlp.post(pack(request(Made({}))), content_encoding="gzip").status_code == 200
    assert otlp.post(zlib.compress(request(Made({}))), content_encoding="deflate").status_code == 200
    assert otlp.carry() == 2


BAD_SPANS = {
    "no trace id": Made({}, trace_id="0" * 32),
    "short trace id": Made({}, trace_id="ab"),
    "no span id": Made({}, span_id="0" * 16),
    "long span id": Made({}, span_id="ab" * 9),
    "short parent": Made({}, parent_id="ab"),
    "1970": Made({}, start_ns=1),
    "2200": Made({}, start_ns=7_258_118_400 * 10**9),
    "the day after tomorrow": Made({}, start_ns=clock.now_ns() + 2 * DAY),
}


@pytest.mark.parametrize("name", BAD_SPANS)
def test_a_bad_span_is_refused_and_the_good_ones_beside_it_are_kept(otlp: Otlp, name: str) -> None:
    good = [Made({}), Made({})]
    answer = otlp.send(good[0], BAD_SPANS[name], good[1])
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 1)
    assert told.error_message
    otlp.carry()
    assert {span.span_id for span in otlp.spans()} == {made.span_id for made in good}


def test_odd_spans_are_kept_and_say_what_was_odd(otlp: Otlp) -> None:
    now = clock.now_ns()
    assert otlp.one(Made({}, start_ns=now, end_ns=now - 5)).end_ns == now
    assert "not after the start" in otlp.one(Made({}, start_ns=now, end_ns=now - 5)).attributes["noria.end_time"]
    assert otlp.one(Made({}, end_ns=0)).attributes["noria.end_time"] == "missing"
    assert otlp.one(Made({}, start_ns=EARLIEST)).start_ns == EARLIEST
    large = otlp.one(
        Made({"blob": "x" * MB, "gen_ai.input.messages": json.dumps([{"role": "user", "content": "y" * MB}])})
    )
    assert len(large.attributes["blob"]) == MB
    assert len(large.input_messages[0]["content"]) == MB
    many = otlp.one(Made({f"a{number}": number for number in range(MOST_ATTRIBUTES + 5)}))
    assert many.attributes["noria.dropped_attributes"] == 5
    assert many.attributes["a9999"] == 9999
    assert len(otlp.one(Made({}, name="n" * 5000)).name) == 1000
    assert otlp.one(Made({}, name="")).name == "(no name)"


def test_numbers_that_cannot_be_right_do_not_count(otlp: Otlp) -> None:
    span = otlp.one(
        Made(
            {
                "gen_ai.usage.input_tokens": -5,
                "gen_ai.usage.output_tokens": float("nan"),
                "gen_ai.usage.reasoning_tokens": 2**60,
                "gen_ai.usage.cost": float("inf"),
                "gen_ai.request.temperature": float("nan"),
                "gen_ai.request.model": 7,
            }
        )
    )
    assert (span.input_tokens, span.output_tokens, span.reasoning_tokens, span.cost_micros) == (0, 0, 0, 0)
    assert span.attributes["gen_ai.usage.input_tokens"] == -5
    assert span.parameters["temperature"] == "nan"
    assert span.requested_model == "7"


def test_json_that_nests_without_end_is_text(otlp: Otlp) -> None:
    deep = "[" * 500 + "]" * 500
    nested: Any = "x"
    for _ in range(90):
        nested = {"k": nested}
    names = (
        "gen_ai.input.messages",
        "gen_ai.tool.definitions",
        "mlflow.spanInputs",
        "input.value",
        "langfuse.trace.tags",
    )
    span = otlp.one(Made({**dict.fromkeys(names, deep), "deep": nested if len(str(nested)) < 100 else [[["x"]]]}))
    assert span.input_messages[0]["content"] == deep
    odd = {"0.role": "a", "gen_ai.prompt.0.role": 5, "gen_ai.prompt.0.role.x": "b", "llm.input_messages.x.y.z": 1}
    assert otlp.one(Made({**odd, "gen_ai.prompt.99999999.content": "far", "": "no name"})).attributes["0.role"] == "a"


SHAPES: list[Any] = [
    *(None, 5, "x", [], {}, [1], {"role": 5}, {"content": {"a": 1}}, [[["x"]]], {"parts": "x"}),
    *({"messages": {"a": 1}}, {"tool_calls": [1, {"function": 5}]}, {"choices": [None]}, [{"type": "text"}]),
    *({"type": "human", "data": {}}, {"type": "image_url", "image_url": {"url": {"url": 1}}}),
    [{"type": "tool_result", "content": [{"x": 1}]}],
    *({"role": "user", "tool_calls": 5}, [{"type": {"a": 1}, "b": 2}], {"type": ["x"]}, {"type": "tool_use", "id": 1}),
    *({"type": "ai", "kwargs": {"content": "x", "tool_calls": True}}, [{"type": "tool_result", "content": [{}]}]),
]


@pytest.mark.parametrize("value", SHAPES)
def test_messages_of_any_shape_are_no_error(otlp: Otlp, value: Any, caplog: pytest.LogCaptureFixture) -> None:
    names = ("gen_ai.input.messages", "gen_ai.output.messages", "ai.response.toolCalls", "events", "input.value")
    for name in names:
        assert (
            otlp.send(
                Made({name: json.dumps(value)}, events=(("gen_ai.choice", {"message": json.dumps(value)}),))
            ).status_code
            == 200
        )
    otlp.carry()
    assert len(otlp.spans()) == len(names)
    assert "could not be read" not in caplog.text


def test_json_bodies(otlp: Otlp) -> None:
    now = clock.now_ns()
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "name": "chat",
        "kind": "SPAN_KIND_CLIENT",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": now + 5,
        "status": {"code": 2, "message": "no"},
        "attributes": [
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "19"}},
            {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": True}, {"doubleValue": 1.5}, 7]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 3}}]}}},
            {"key": "none", "value": {}},
            "not a pair",
        ],
        "events": [{"name": "e", "timeUnixNano": "5", "attributes": []}],
        "unknownField": {"is": "passed over"},
    }
    bad = [{**span, "traceId": "xyz"}, {**span, "spanId": 5}, {**span, "startTimeUnixNano": "soon"}]
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "s"}, "spans": [span, *bad]}]}, None, 5]}
    answer = otlp.post(json.dumps(body).encode(), content_type="application/json; charset=utf-8")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "3"
    otlp.carry()
    [kept] = otlp.spans()
    assert (kept.trace_id, kept.input_tokens, kept.status) == (span["traceId"].lower(), 19, "error")  # type: ignore[attr-defined]
    assert kept.attributes["list"] == [True, 1.5, None]
    assert kept.attributes["map"] == {"a": 3}
    for signal in ("traces", "logs", "metrics"):
        assert otlp.post(b"{}", signal, content_type="application/json").json() == {}
        assert otlp.post(b"", signal).content == b""


def test_who_may_write(otlp: Otlp) -> None:
    data = request(Made({}))
    basic = base64.b64encode(f"pk-lf-anything:{otlp.key}".encode()).decode()
    ways = [{"authorization": f"Bearer {otlp.key}"}, {"authorization": f"Basic {basic}"}, {"api_key": otlp.key}]
    for headers in [*ways, {"x-api-key": otlp.key}, {"authorization": f"bearer {otlp.admin}"}]:
        for path in ("/v1/traces", "/api/public/otel/v1/traces"):
            answer = otlp.client.post(path, content=data, headers={"content-type": "application/x-protobuf", **headers})
            assert answer.status_code == 200, headers
    with otlp.stores.database.begin() as connection:
        _, call = governance.mint_key(connection, project_id=otlp.project, name="caller", scope="call", actor_id="")
    nobody: list[dict[str, str]] = [
        {},
        {"authorization": "Basic !!"},
        {"authorization": "Basic bm8="},
        {"x-api-key": "noria_wrong"},
    ]
    for path in ("traces", "logs", "metrics"):
        for headers in nobody:
            answer = otlp.client.post(f"/v1/{path}", content=data, headers=headers)
            assert (answer.status_code, status(answer)[0]) == (401, 16), headers
        refused = otlp.client.post(f"/v1/{path}", content=data, headers={"x-api-key": call})
        assert (refused.status_code, status(refused)[0]) == (403, 7)
    assert otlp.client.get("/api/traces", headers={"x-api-key": otlp.key}).status_code == 403


def test_a_strangers_project_stays_apart(otlp: Otlp) -> None:
    made = Made({})
    assert otlp.send(made).status_code == 200
    otlp.carry()
    with otlp.stores.database.begin() as connection:
        other = ids.new_id()
        connection.execute(insert(projects).values(id=other, name="other", created_at=clock.now(), limits={}))
        _, key = governance.mint_key(connection, project_id=other, name="k", scope="write_traces", actor_id="")
    theirs = Otlp(otlp.stores, otlp.client, other, key, "")
    same = replace(made, name="stolen")
    assert theirs.send(same).status_code == 200
    otlp.carry()
    assert [span.name for span in otlp.spans()] == ["step"]
    assert [span.name for span in theirs.spans()] == ["stolen"]


def test_a_full_disk_is_a_503_that_clients_try_again(otlp: Otlp) -> None:
    otlp.stores.journal.close()  # as when this process ends
    answer = otlp.send(Made({}))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert status(answer)[0] == 14


def test_logs_that_are_no_messages_are_refused_in_part(otlp: Otlp) -> None:
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    records.add().body.string_value = "started"
    records.add(event_name="gen_ai.user.message").body.string_value = "no span"
    answer = otlp.post(message.SerializeToString(), "logs", content_type="application/x-protobuf")
    assert answer.status_code == 200
    assert b"log records hold no messages" in answer.content
