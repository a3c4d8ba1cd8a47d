"""Messages that come apart from their span, spans that come in any order or twice, and the same over gRPC."""

import base64
from dataclasses import replace
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from noria.app.demo.installation import free_port
from noria.core import clock, ids
from noria.stores.connect import Stores
from noria.tracing import reading, retention, service
from noria.tracing.otlp_grpc import GrpcServer
from noria.tracing.records import TraceFilter
from tests.tracing.otlp_kit import RECORDINGS, TICK, Made, Otlp, export, request, value

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 19}


def events(span: Made, *told: tuple[str, dict[str, Any]], after: int = 0) -> bytes:
    """A log export with one record for each of `told`, a moment after the other."""
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for number, (name, body) in enumerate(told):
        record = records.add(event_name=name, time_unix_nano=span.start_ns + after + number)
        record.trace_id, record.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
        record.body.CopyFrom(value(body))
    return bytes(message.SerializeToString())


ASKED = ("gen_ai.user.message", {"content": "환불해 주세요"})
ANSWERED = ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "네."}})


@pytest.mark.parametrize("order", ["span first", "events first", "one batch", "between", "twice"])
def test_events_join_their_span_whichever_comes_first(otlp: Otlp, order: str) -> None:
    span = Made(CHAT)
    orders: dict[str, list[str]] = {
        "span first": ["span", "carry", "both", "carry"],
        "events first": ["both", "carry", "span", "carry"],
        "one batch": ["both", "span", "carry"],
        "between": ["asked", "carry", "span", "carry", "answered", "carry"],
        "twice": ["span", "both", "carry", "both", "carry", "span", "carry"],
    }
    for step in orders[order]:
        if step == "carry":
            otlp.carry()
        elif step == "span":
            assert otlp.send(span).status_code == 200
        else:
            told = [event for event, name in ((ASKED, "asked"), (ANSWERED, "answered")) if step in {name, "both"}]
            after = 5 if step == "answered" else 0
            assert otlp.post(events(span, *told, after=after), "logs").content == b""
    [kept] = otlp.spans()
    assert kept.input_messages == [{"role": "user", "content": "환불해 주세요"}]
    assert [(m["role"], m["content"]) for m in kept.output_messages] == [("assistant", "네.")]
    [row] = service.list_traces(otlp.stores, otlp.project, TraceFilter(q="환불해")).items
    assert (row.trace_id, row.output) == (span.trace_id, "네.")


def test_a_spans_own_messages_win_over_events(otlp: Otlp) -> None:
    own = '[{"role": "user", "parts": [{"type": "text", "content": "mine"}]}]'
    span = Made({**CHAT, "gen_ai.input.messages": own, "gen_ai.output.messages": own})
    otlp.post(events(span, ASKED, ANSWERED), "logs")
    otlp.send(span)
    otlp.carry()
    [kept] = otlp.spans()
    assert kept.input_messages == [{"role": "user", "content": "mine"}]


def test_what_a_client_sends_again_stands_once(otlp: Otlp) -> None:
    root, child = Made({}), Made({})
    child = replace(child, trace_id=root.trace_id, parent_id=root.span_id)
    for batch in ([root], [root, child], [child, root, child]):
        assert otlp.send(*batch).status_code == 200
        otlp.carry()
    assert len(otlp.spans(final="")) == 2, "without the help of a merge"
    assert len(service.list_traces(otlp.stores, otlp.project).items) == 1
    rows = otlp.stores.spans.query(
        "SELECT count() AS n FROM traces FINAL WHERE project_id = {project:String}", {"project": otlp.project}
    )
    assert rows[0]["n"] == 1


def test_children_before_parents_lost_parents_rings_and_several_roots(otlp: Otlp) -> None:
    trace = ids.new_trace_id()
    start = clock.now_ns()

    def span(name: str, number: int, parent: int) -> Made:
        parent_id = f"{parent:016x}" if parent else ""
        return Made({}, name, trace, f"{number:016x}", parent_id, start + number * TICK)

    grandchild, child, root = span("grandchild", 3, 2), span("child", 2, 1), span("root", 1, 0)
    lost, other = span("lost", 4, 99), span("other root", 5, 0)
    ring = [span("ring a", 6, 7), span("ring b", 7, 6)]
    for batch in ([grandchild], [lost, *ring], [child], [other, root]):
        otlp.send(*batch)
        otlp.carry()
    tree = otlp.trace(trace)
    assert [(node.span["name"], node.depth) for node in tree.spans] == [
        *(("root", 0), ("child", 1), ("grandchild", 2), ("lost", 0), ("other root", 0), ("ring a", 0), ("ring b", 1)),
    ]
    assert [node.span["name"] for node in tree.spans if node.orphan] == ["lost", "ring a"]


def test_a_clients_years_in_one_batch_are_no_obstacle(otlp: Otlp) -> None:
    week = 7 * 86_400 * 10**9
    now = clock.now_ns()
    assert otlp.send(*(Made({}, start_ns=now - week * number) for number in range(150))).status_code == 200
    assert otlp.carry() == 150
    retention.drop_old(otlp.stores.spans, retention.Kept(reading.moment(now - 10 * week), {}))
    assert 10 <= len(otlp.spans()) <= 12


def test_grpc_takes_what_http_takes(otlp: Otlp, channel: Any) -> None:
    key = {"authorization": f"Bearer {otlp.key}"}
    for name in sorted(path.name for path in RECORDINGS.glob("otelgenai-1.3b0-tools-grpc.*")):
        service_name = "logs.v1.LogsService" if ".logs." in name else "trace.v1.TraceService"
        assert export(channel, service_name, (RECORDINGS / name).read_bytes(), **key) == b""
    metrics = (RECORDINGS / "otelgenai-1.3b0-chat.02.metrics.bin").read_bytes()
    assert b"keeps no metrics" in export(channel, "metrics.v1.MetricsService", metrics, x_api_key=otlp.key)
    otlp.carry()
    first, second = otlp.spans()
    assert first.output_messages[0]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert second.output_messages[0]["content"] == "It is 25 degrees and sunny in Seoul."
    partly = export(channel, "trace.v1.TraceService", request(Made({}), Made({}, trace_id="ab")), **key)
    assert ExportTraceServiceResponse.FromString(partly).partial_success.rejected_spans == 1


def test_grpc_unpacks_within_the_same_bound(otlp: Otlp, channel: Any) -> None:
    call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    key = [("authorization", f"Bearer {otlp.key}")]
    packed = {"metadata": key, "timeout": 20, "compression": grpc.Compression.Gzip}
    assert call(request(Made({"text": "x" * 100_000})), **packed) == b""
    with pytest.raises(grpc.RpcError) as refused:
        call(b"\0" * 100 * 1024 * 1024, **packed)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("data", "key", "code"),
    [
        (b"\\xff\\xff", "ours", grpc.StatusCode.INVALID_ARGUMENT),
        (b"", "", grpc.StatusCode.UNAUTHENTICATED),
        (b"", "noria_wrong", grpc.StatusCode.UNAUTHENTICATED),
        (b"x" * 21 * 1024 * 1024, "ours", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_grpc_refuses_with_the_right_code(
    otlp: Otlp, channel: Any, data: bytes, key: str, code: grpc.StatusCode
) -> None:
    basic = base64.b64encode(f"x:{otlp.key if key == 'ours' else key}".encode()).decode()
    with pytest.raises(grpc.RpcError) as refused:
        export(channel, "trace.v1.TraceService", data, authorization=f"Basic {basic}")
    assert refused.value.code() == code


def test_a_grpc_port_that_is_taken_is_no_misfortune(otlp: Otlp, channel: Any, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    first = GrpcServer(Stores(replace(otlp.stores.settings, otlp_grpc_port=port)))
    second = GrpcServer(Stores(replace(otlp.stores.settings, otlp_grpc_port=port)))
    assert first.start()
    assert not second.start()
    assert "taken" in caplog.text
    assert not GrpcServer(Stores(replace(otlp.stores.settings, otlp_grpc_port=0))).start()
    first.stop()
    second.stop()
