"""What tests of OTLP share: a project with a key, the real application and store, recordings, and spans made by hand."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from starlette.testclient import TestClient

from noria.core import ids
from noria.core.records import Span
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing import reading, schema, service
from noria.tracing.records import Trace
from noria.tracing.slice import SLICE
from noria.tracing.tailer import Tailer
from noria.web import application

RECORDINGS = Path(__file__).parent / "recordings"
PROTOBUF = {"content-type": "application/x-protobuf"}
TICK = 1_000_000


@dataclass
class Otlp:
    """A client with a key that may write traces, and a reader of what came of it."""

    stores: Stores
    client: TestClient
    project: str
    key: str
    admin: str

    def __post_init__(self) -> None:
        self.tailer = Tailer(self.stores)

    def post(self, data: bytes, signal: str = "traces", **headers: str) -> Any:
        sent = {
            **PROTOBUF,
            "authorization": f"Bearer {self.key}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return self.client.post(f"/v1/{signal}", content=data, headers=sent)

    def send(self, *spans: "Made") -> Any:
        return self.post(request(*spans))

    def carry(self) -> int:
        return self.tailer.run_once()

    def spans(self, final: str = "FINAL") -> list[Span]:
        """All of the project, in the order of their start; with `final` empty, whatever stands twice twice."""
        rows = reading.ask(
            self.stores,
            schema.select(
                schema.SPAN_COLUMNS, f"FROM spans {final} WHERE project_id = {{project:String}} ORDER BY start_ns"
            ),
            {"project": self.project},
        )
        return [schema.span_of(row) for row in rows]

    def trace(self, trace_id: str) -> Trace:
        return service.get_trace(self.stores, self.project, trace_id)

    def one(self, *spans: "Made") -> Span:
        """Send, carry, and the only span that came of it."""
        answer = self.send(*spans)
        assert answer.status_code == 200, answer.text
        self.carry()
        [span] = [span for span in self.spans() if span.span_id == spans[0].span_id]
        return span


@dataclass
class Made:
    """A span made by hand; what is not said is sensible."""

    attributes: dict[str, Any]
    name: str = "step"
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    start_ns: int = 0
    end_ns: int = -1
    scope: str = ""
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    status: int = 0
    message: str = ""

    def __post_init__(self) -> None:
        self.trace_id = self.trace_id or ids.new_trace_id()
        self.span_id = self.span_id or ids.new_span_id()
        self.start_ns = self.start_ns or time.time_ns()
        self.end_ns = self.start_ns + 20 * TICK if self.end_ns < 0 else self.end_ns


def request(*spans: Made) -> bytes:
    """An export request of these spans, one scope each."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=value("shop")))
    for made in spans:
        scope = resource.scope_spans.add()
        scope.scope.name = made.scope
        span = scope.spans.add()
        span.trace_id, span.span_id = bytes.fromhex(made.trace_id), bytes.fromhex(made.span_id)
        span.parent_span_id = bytes.fromhex(made.parent_id)
        span.name, span.start_time_unix_nano, span.end_time_unix_nano = made.name, made.start_ns, made.end_ns
        span.status.code, span.status.message = made.status, made.message
        span.attributes.extend(pairs(made.attributes))
        for name, attributes in made.events:
            span.events.add(name=name, time_unix_nano=made.start_ns, attributes=pairs(attributes))
    return bytes(message.SerializeToString())


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value(item)) for name, item in attributes.items()]


def value(item: Any) -> AnyValue:
    found = AnyValue()
    if isinstance(item, bool):
        found.bool_value = item
    elif isinstance(item, int):
        found.int_value = item
    elif isinstance(item, float):
        found.double_value = item
    elif isinstance(item, list):
        found.array_value.values.extend(value(one) for one in item)
    elif isinstance(item, dict):
        found.kvlist_value.values.extend(pairs(item))
    else:
        found.string_value = str(item)
    return found


def open_otlp(stores: Stores, client: TestClient) -> Otlp:
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        _, key = governance.mint_key(
            connection, project_id=first.project_id, name="sender", scope="write_traces", actor_id=""
        )
    return Otlp(stores, client, first.project_id, key, first.key)


def application_of(stores: Stores) -> TestClient:
    return TestClient(application.create((SLICE,), stores, governance.authenticate))


def export(channel: Any, service_name: str, data: bytes, **metadata: str) -> bytes:
    """What a gRPC service answers to `data`; words of metadata have underscores for dashes."""
    path = f"/opentelemetry.proto.collector.{service_name}/Export"
    call = channel.unary_unary(path)
    answer: bytes = call(data, metadata=[(k.replace("_", "-"), v) for k, v in metadata.items()], timeout=20)
    return answer
