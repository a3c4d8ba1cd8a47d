"""Exports of MLflow Tracing: Trace.to_json() and what search_traces() returns, of MLflow 2 and 3.

In: {"info": …, "data": {"spans": […]}}, or a row of the data frame that holds such a trace or its spans. Out: spans with MLflow's own
attributes, which are JSON throughout, and assessments as scores.
"""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from noria.core.records import ScoreSource
from noria.tracing.imports.items import (
    Item,
    Judgement,
    Row,
    nanoseconds,
    object_of,
    objects_of,
    raw,
    score_name,
    span_id,
    trace_id,
    value_of,
    written,
)
from noria.tracing.otlp.raw import Event, Raw, Refused

NAME: Final = "mlflow"
_SOURCES: Final[Mapping[str, ScoreSource]] = {
    "human": "person",
    "llm_judge": "judge",
    "ai_judge": "judge",
    "code": "code",
}
_REQUEST: Final = "mlflow.traceRequestId"


def fits(row: Mapping[str, Any]) -> bool:
    """Whether `row` is a trace of MLflow."""
    if isinstance(row.get("trace"), str | dict) and "context.span_id" not in row:
        return "info" in object_of(row["trace"])
    spans = objects_of(object_of(row.get("data")).get("spans")) or objects_of(row.get("spans"))
    held = row.keys() & {"info", "request_id", "trace_metadata", "request_metadata", "execution_duration", "state"}
    return bool(held) and any("attributes" in span or "context" in span for span in spans[:1])


class Mlflow:
    """One trace a row."""

    def __call__(self, row: Row) -> Iterable[Item]:
        """Raises Refused."""
        whole = object_of(row.get("trace")) or row
        info, spans = object_of(whole.get("info")), objects_of(object_of(whole.get("data")).get("spans"))
        spans = spans or objects_of(whole.get("spans"))
        info = info or whole
        if not spans:
            raise Refused("the trace has no spans: it was exported without its data")
        return _trace(info, spans)


def _trace(info: Row, spans: list[Row]) -> Iterator[Item]:
    made = [_span(span) for span in spans]
    root = next((one for one in made if not one.parent_id), made[0])
    root.attributes |= _of_trace(info)
    yield from made
    for told in objects_of(info.get("assessments")):
        yield _score(told, root.trace_id)


def _of_trace(info: Row) -> dict[str, Any]:
    told = object_of(info.get("trace_metadata")) or object_of(info.get("request_metadata"))
    told = told | object_of(info.get("tags"))
    kept = {name: written(value) for name, value in told.items() if value not in (None, "") and name not in _SHOWN}
    number = info.get("trace_id") or info.get("request_id")
    return kept | ({"mlflow.trace.id": str(number)} if number else {})


_SHOWN: Final = frozenset({"mlflow.traceInputs", "mlflow.traceOutputs", "mlflow.traceSpans", "mlflow.trace.tokenUsage"})
"""Said by the spans themselves; the usage of a whole trace would be counted beside that of its calls."""


def _span(row: Row) -> Raw:
    context, attributes = object_of(row.get("context")), object_of(row.get("attributes"))
    number = context.get("trace_id") or row.get("trace_id") or value_of(attributes.get(_REQUEST))
    trace = trace_id(_hex(number, 16))
    status = row.get("status") if isinstance(row.get("status"), dict) else {}
    code = str(object_of(status).get("code") or row.get("status_code") or "")
    start = _first(row, "start_time_unix_nano", "start_time", "start_time_ns")
    end = _first(row, "end_time_unix_nano", "end_time", "end_time_ns")
    parent = next((row[name] for name in ("parent_span_id", "parent_id") if row.get(name)), "")
    return raw(
        trace=trace,
        span=span_id(_hex(context.get("span_id") or row.get("span_id"), 8), trace),
        parent=span_id(_hex(parent, 8), trace),
        name=row.get("name"),
        start=nanoseconds(start),
        end=nanoseconds(end),
        attributes={name: value for name, value in attributes.items() if name != _REQUEST},
        failed=code.upper().endswith("ERROR"),
        message=object_of(status).get("message") or row.get("status_message"),
        events=[_event(event) for event in objects_of(row.get("events"))],
        tool=NAME,
    )


def _event(row: Row) -> Event:
    time = nanoseconds(_first(row, "time_unix_nano", "timestamp"))
    return Event(str(row.get("name") or ""), time, object_of(row.get("attributes")))


def _first(row: Row, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name)), None)


def _hex(value: Any, size: int) -> str:
    """An id as hex; version 3 writes its bytes in base64."""
    text = str(value or "")
    if not text.endswith("="):
        return text
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        return text
    return data.hex() if len(data) == size else text


def _score(row: Row, trace: str) -> Judgement:
    source = object_of(row.get("source"))
    feedback = object_of(row.get("feedback"))
    expected = object_of(row.get("expectation"))
    value = feedback.get("value") if feedback else None
    correction = ""
    if not feedback and expected:
        held = expected.get("value") or object_of(expected.get("serialized_value")).get("value")
        correction = written(held) if held is not None else ""
    kind = str(source.get("source_type") or "").lower()
    name = score_name(row.get("assessment_name") or row.get("name"))
    return Judgement(
        key=f"mlflow {row.get('assessment_id') or f'{trace} {name}'}",
        name=name,
        value=value if value is None or isinstance(value, bool | int | float | str) else written(value),
        source=_SOURCES.get(kind, "code"),
        trace_id=trace,
        span_id=span_id(_hex(row.get("span_id"), 8), trace),
        comment=str(row.get("rationale") or object_of(feedback.get("error")).get("error_message") or ""),
        correction=correction,
        time_ns=nanoseconds(row.get("create_time") or row.get("create_time_ms")),
    )
