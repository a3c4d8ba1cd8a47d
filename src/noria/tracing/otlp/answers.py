"""What an OTLP client is told: the success message of its signal, or a google.rpc.Status, in the encoding that it sent."""

from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from noria.tracing.otlp.ingest import Signal, Taken, rejected

_MESSAGES: dict[Signal, Any] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 415: 3, 429: 8, 503: 14, 504: 4}


def success(signal: Signal, taken: Taken, *, json: bool) -> bytes:
    """The export response; partial success only when something was refused."""
    name = rejected(signal)
    if json:
        first, *more = name.split("_")
        camel = first + "".join(word.capitalize() for word in more)
        part = {camel: str(taken.refused), "errorMessage": taken.reason}
        return orjson.dumps({"partialSuccess": part} if taken.refused else {})
    message = _MESSAGES[signal]()
    if taken.refused:
        setattr(message.partial_success, name, taken.refused)
        message.partial_success.error_message = taken.reason
    encoded: bytes = message.SerializeToString()
    return encoded


def failure(status: int, message: str, *, json: bool) -> bytes:
    """google.rpc.Status {1: code, 2: message}; two fields, so it is written by hand instead of through one more package."""
    code = grpc_code(status)
    if json:
        return orjson.dumps({"code": code, "message": message})
    text = message.encode("utf-8", "replace")
    return bytes((0x08, code, 0x12)) + _varint(len(text)) + text


def grpc_code(status: int) -> int:
    """The gRPC code that an HTTP status means."""
    return _CODES.get(status, 3 if status < 500 else 13)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
