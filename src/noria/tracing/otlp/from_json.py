"""OTLP messages in JSON as raw spans and logs: camelCase names, ids in hex, 64-bit integers as text or numbers.

Unknown fields are passed over, as the specification asks. A value of the wrong type spoils its own span only.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from noria.core.errors import BadInput
from noria.tracing.otlp.raw import DEEPEST, Event, Origin, Raw, RawLog, Refused, number, origin

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")


def spans(data: bytes) -> Iterator[Raw | Refused]:
    """The spans of an export request, or why one of them cannot be read. Raises BadInput."""
    for part in _items(_parse(data), "resourceSpans"):
        resource = _attributes(_object(part, "resource"))
        for group in _items(part, "scopeSpans"):
            shared = _origin(resource, _object(group, "scope"))
            for span in _items(group, "spans"):
                try:
                    yield _span(span, shared)
                except Refused as reason:
                    yield reason


def logs(data: bytes) -> Iterator[RawLog | Refused]:
    """The log records of an export request. Raises BadInput."""
    for part in _items(_parse(data), "resourceLogs"):
        project = _attributes(_object(part, "resource")).get("noria.project")
        for group in _items(part, "scopeLogs"):
            for record in _items(group, "logRecords"):
                try:
                    yield _log(record, project)
                except Refused as reason:
                    yield reason


def points(data: bytes) -> int:
    """How many data points a metrics request has. Raises BadInput."""
    metrics = (
        metric
        for part in _items(_parse(data), "resourceMetrics")
        for group in _items(part, "scopeMetrics")
        for metric in _items(group, "metrics")
    )
    return sum(len(_items(kind, "dataPoints")) for metric in metrics for kind in metric.values() if _is_object(kind))


def _parse(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except ValueError as error:
        raise BadInput("The body is not JSON; nothing was kept.") from error
    if not isinstance(found, dict):
        raise BadInput("The body is not an object of JSON; nothing was kept.")
    return found


def _log(record: dict[str, Any], project: Any) -> RawLog:
    attributes = _attributes(record)
    name = record.get("eventName") or attributes.get("event.name", "")
    time = _whole(record.get("timeUnixNano")) or _whole(record.get("observedTimeUnixNano"))
    body = _value(record.get("body"), 0)
    return RawLog(_hex(record, "traceId"), _hex(record, "spanId"), str(name), time, body, attributes, project)


def _span(span: dict[str, Any], shared: Origin) -> Raw:
    status = _object(span, "status")
    return Raw(
        trace_id=_hex(span, "traceId"),
        span_id=_hex(span, "spanId"),
        parent_id=_hex(span, "parentSpanId"),
        name=str(span.get("name") or ""),
        kind=_kind(span.get("kind")),
        start_ns=_whole(span.get("startTimeUnixNano")),
        end_ns=_whole(span.get("endTimeUnixNano")),
        failed=status.get("code") in {2, "STATUS_CODE_ERROR"},
        message=str(status.get("message") or ""),
        attributes=_attributes(span),
        events=[
            Event(str(event.get("name") or ""), _whole(event.get("timeUnixNano")), _attributes(event))
            for event in _items(span, "events")
        ],
        links=[
            {"trace_id": _hex(link, "traceId"), "span_id": _hex(link, "spanId"), **_attributes(link)}
            for link in _items(span, "links")
        ],
        origin=shared,
    )


def _origin(resource: dict[str, Any], scope: dict[str, Any]) -> Origin:
    return origin(resource, str(scope.get("name") or ""), str(scope.get("version") or ""), _attributes(scope))


def _attributes(owner: dict[str, Any]) -> dict[str, Any]:
    return {str(pair.get("key", "")): _value(pair.get("value"), 0) for pair in _items(owner, "attributes")}


def _value(value: Any, depth: int) -> Any:
    if not isinstance(value, dict) or not value:
        return None
    kind, found = next(iter(value.items()))
    if kind in {"arrayValue", "kvlistValue"}:
        return _nested(kind, found, depth)
    if kind == "intValue":
        return _whole(found, or_else=str(found))
    if kind == "doubleValue" and isinstance(found, float | int):
        return number(found)
    return found if isinstance(found, str | bool) else str(found)


def _nested(kind: str, found: Any, depth: int) -> Any:
    if depth >= DEEPEST:
        return "(nested too deeply)"
    if kind == "arrayValue":
        values = found.get("values") if isinstance(found, dict) else None
        return [_value(item, depth + 1) for item in values] if isinstance(values, list) else []
    return {str(pair.get("key", "")): _value(pair.get("value"), depth + 1) for pair in _items(found, "values")}


def _items(owner: Any, name: str) -> list[dict[str, Any]]:
    found = owner.get(name) if isinstance(owner, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _object(owner: dict[str, Any], name: str) -> dict[str, Any]:
    found = owner.get(name)
    return found if isinstance(found, dict) else {}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _hex(owner: dict[str, Any], name: str) -> str:
    found = owner.get(name) or ""
    if not isinstance(found, str) or not _HEX.fullmatch(found):
        raise Refused(f"{name} is not hex")
    return found.lower()


def _whole(value: Any, *, or_else: Any = 0) -> Any:
    try:
        return or_else if value is None or isinstance(value, bool) else int(value)
    except (ValueError, TypeError, OverflowError):
        return or_else


def _kind(value: Any) -> int:
    names = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    if isinstance(value, str) and value.removeprefix("SPAN_KIND_") in names:
        return names.index(value.removeprefix("SPAN_KIND_"))
    return value if isinstance(value, int) and 0 <= value <= 5 else 0
