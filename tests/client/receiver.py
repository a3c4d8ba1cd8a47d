"""A receiving end that is OpenTelemetry's own: a loopback HTTP server that decodes what arrives with opentelemetry-proto."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class Seen:
    """One span as it arrived."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    status: int
    message: str
    scope: str
    resource: dict[str, Any]


@dataclass
class Receiver:
    """What has arrived. `status` is what the next requests are answered with; `statuses` by path go first."""

    port: int = 0
    status: int = 200
    statuses: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    spans: list[Seen] = field(default_factory=list)
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """JSON by path, for GET."""
    gets: list[str] = field(default_factory=list)
    requests: int = 0
    keys: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> Seen:
        """The one span of this name."""
        [found] = [span for span in self.spans if span.name == name]
        return found

    def wait(self, condition: Any, seconds: float = 20.0) -> None:
        """Until `condition()` holds."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), f"{len(self.spans)} spans, {self.requests} requests"


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.changed:
                receiver.requests += 1
                receiver.keys.add(self.headers["authorization"])
                status = receiver.statuses.get(self.path, receiver.status)
                answer = self._take(body) if status == 200 else b""
                receiver.changed.notify_all()
            self._say(status, answer)

        def do_GET(self) -> None:
            with receiver.changed:
                receiver.gets.append(self.path)
                found = receiver.answers.get(self.path)
                status = receiver.status if receiver.status != 200 else 200 if found else 404
                receiver.changed.notify_all()
            self._say(status, json.dumps(found or {}).encode())

        def _take(self, body: bytes) -> bytes:
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                assert self.headers["content-type"] == "application/x-protobuf"
                receiver.spans.extend(decoded(body))
                response = ExportTraceServiceResponse()
                response.partial_success.rejected_spans = receiver.rejected
                return bytes(response.SerializeToString())
            receiver.posts.append((self.path, json.loads(body)))
            return b"{}"

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is logged."""

    return Handler


@contextmanager
def receiving(port: int = 0, receiver: Receiver | None = None) -> Iterator[Receiver]:
    """A server on `port` (0: a free one) until the block ends; a `receiver` that is given goes on with what it has."""
    receiver = receiver or Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(receiver))
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def decoded(body: bytes) -> Iterator[Seen]:
    """The spans of an OTLP request."""
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    kind=span.kind,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_plain(span.attributes),
                    events=[(event.name, _plain(event.attributes)) for event in span.events],
                    status=span.status.code,
                    message=span.status.message,
                    scope=scope.scope.name,
                    resource=_plain(resource.resource.attributes),
                )


def _plain(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute) for attribute in attributes}


def _value(attribute: KeyValue) -> Any:
    return _any(attribute.value)


def _any(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_any(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
