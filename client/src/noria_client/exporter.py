"""From ended spans to requests in the spool: OTLP as protobuf, compressed, in pieces that a server takes.

`Recorder` is the span processor that an OpenTelemetry provider gets: it puts session, user and tags on every span as it starts,
whichever instrumentation started it, and gathers ended ones in OpenTelemetry's own batches.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from noria_client import identity, payloads
from noria_client.boundary import boundary
from noria_client.configuration import Configuration, Mask
from noria_client.sender import TRACES
from noria_client.spool import Request
from noria_client.statistics import Tally

SCOPE: Final = "noria_client"
_MOST_BYTES: Final = 4_000_000
_QUEUE: Final = 8192
_BATCH: Final = 512


class SpoolExporter(SpanExporter):
    """Gives encoded spans to `put`. Runs in the batch processor's thread."""

    def __init__(self, put: Callable[[Request], None], mask: Mask | None, tally: Tally) -> None:
        self._put = put
        self._mask = mask
        self._tally = tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        kept = False
        with boundary("Encoding spans"):
            for piece, items in _pieces(spans):
                if self._mask is not None:
                    _mask_foreign(piece, self._mask)
                body = gzip.compress(piece.SerializeToString(), 1)
                headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
                self._put(Request(TRACES, headers, body, items))
            kept = True
        if not kept:
            self._tally.add(dropped=len(spans))
        return SpanExportResult.SUCCESS if kept else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing is held here."""


class Recorder(SpanProcessor):
    """What a provider tells of its spans."""

    def __init__(self, configuration: Configuration, put: Callable[[Request], None], tally: Tally) -> None:
        self._closed = False
        self._batches = BatchSpanProcessor(
            SpoolExporter(put, configuration.mask, tally),
            max_queue_size=_QUEUE,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=configuration.batch_seconds * 1000,
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if not self._closed:
            with boundary("Naming session and user"):
                identity.apply(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        if not self._closed:
            self._batches.on_end(span)

    def shutdown(self) -> None:
        if not self._closed:
            self._closed = True
            self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._closed or self._batches.force_flush(timeout_millis)


def _pieces(spans: Sequence[ReadableSpan]) -> Iterable[tuple[ExportTraceServiceRequest, int]]:
    encoded = encode_spans(spans)
    if len(spans) > 1 and encoded.ByteSize() > _MOST_BYTES:
        half = len(spans) // 2
        yield from _pieces(spans[:half])
        yield from _pieces(spans[half:])
    else:
        yield encoded, len(spans)


def _mask_foreign(request: ExportTraceServiceRequest, mask: Mask) -> None:
    """Mask what other instrumentations recorded; our own spans were masked before their texts were cut."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            if scope.scope.name == SCOPE:
                continue
            for span in scope.spans:
                _mask_all(span.attributes, mask)
                for event in span.events:
                    _mask_all(event.attributes, mask)
                if span.status.message:
                    span.status.message = payloads.masked_text(span.status.message, "status.message", mask)


def _mask_all(attributes: Iterable[KeyValue], mask: Mask) -> None:
    for attribute in attributes:
        _mask_value(attribute.value, attribute.key, mask)


def _mask_value(value: AnyValue, name: str, mask: Mask) -> None:
    match value.WhichOneof("value"):
        case "string_value":
            value.string_value = _masked_json(value.string_value, name, mask)
        case "array_value":
            for item in value.array_value.values:
                _mask_value(item, name, mask)
        case "kvlist_value":
            _mask_all(value.kvlist_value.values, mask)


def _masked_json(text: str, name: str, mask: Mask) -> str:
    """Texts inside of a JSON document are masked one by one, so that it stays one and no escape hides them."""
    if text[:1] in {"{", "["}:
        try:
            document: Any = json.loads(text)
        except ValueError:
            return payloads.masked_text(text, name, mask)
        return json.dumps(payloads.masked(document, name, mask), ensure_ascii=False)
    return payloads.masked_text(text, name, mask)
