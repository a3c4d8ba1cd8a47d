"""Exports of Phoenix: the data frame of its spans (Parquet, CSV, JSON), spans of its API, and annotations.

In: rows with flat columns (context.trace_id, attributes.llm.model_name) or nested objects. Out: spans with OpenInference's flat attributes,
as its instrumentation sends them. An annotation only names its span, so the file of spans has to come before it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from noria.core.records import ScoreSource
from noria.tracing.imports.items import (
    Item,
    Judgement,
    Row,
    list_of,
    nanoseconds,
    object_of,
    objects_of,
    plain,
    raw,
    score_name,
    span_id,
    trace_id,
    value_of,
    written,
)
from noria.tracing.otlp.raw import Event, Raw, Refused

NAME: Final = "phoenix"
_MOST: Final = 500_000
"""Spans that are remembered for annotations."""
_SOURCES: Final[Mapping[str, ScoreSource]] = {"human": "person", "llm": "judge", "code": "code"}
_WHOLE: Final = frozenset({"metadata", "llm.invocation_parameters", "input.value", "output.value", "tool.parameters"})
"""Attributes that are one JSON text on the wire."""
_LISTS: Final = ("llm.input_messages", "llm.output_messages", "retrieval.documents", "embedding.embeddings")
_MORE_LISTS: Final = ("llm.tools", "llm.prompts", "reranker.input_documents", "reranker.output_documents")


def fits(row: Mapping[str, Any]) -> bool:
    """Whether `row` comes from Phoenix."""
    if "context.span_id" in row or "context.trace_id" in row:
        return True
    context = object_of(row.get("context"))
    return ("span_id" in context and "span_kind" in row) or "annotator_kind" in row


class Phoenix:
    """Spans and annotations; remembers which trace a span belongs to."""

    def __init__(self) -> None:
        self._traces: dict[str, str] = {}

    def __call__(self, row: Row) -> Iterable[Item]:
        """Raises Refused."""
        if "annotator_kind" in row or "annotation_name" in row:
            return [self._score(row)]
        made = _span(row)
        if len(self._traces) < _MOST:
            self._traces[made.span_id] = made.trace_id
        return [made, *_labels(row, made)]

    def _score(self, row: Row) -> Judgement:
        number = str(row.get("span_id") or row.get("context.span_id") or "")
        trace = trace_id(row["trace_id"]) if row.get("trace_id") else self._traces.get(span_id(number, ""), "")
        if not trace:
            raise Refused("the annotation's span is not in this import: give the file of spans before this one")
        told = object_of(row.get("result"))
        name = row.get("name") or row.get("annotation_name")
        value = _judged(told or {key: row.get(key, row.get(f"result.{key}")) for key in ("score", "label")})
        return Judgement(
            key=_key(row, number, name),
            name=score_name(name),
            value=value,
            source=_SOURCES.get(str(row.get("annotator_kind") or "").lower(), "code"),
            trace_id=trace,
            span_id=span_id(number, trace),
            comment=str(told.get("explanation") or row.get("explanation") or row.get("result.explanation") or ""),
            time_ns=nanoseconds(row.get("updated_at") or row.get("created_at")),
        )


def _key(row: Row, span: str, name: Any) -> str:
    return f"phoenix {row.get('id') or ' '.join((span, str(name), str(row.get('identifier') or '')))}".strip()


def _judged(told: Mapping[str, Any]) -> float | str | None:
    score = told.get("score")
    return float(score) if isinstance(score, int | float) and math.isfinite(score) else told.get("label")


def _labels(row: Row, made: Raw) -> Iterator[Judgement]:
    """Annotations that API rows carry with them."""
    for told in objects_of(row.get("annotations")):
        yield Judgement(
            key=_key(told, made.span_id, told.get("name")),
            name=score_name(told.get("name")),
            value=_judged(object_of(told.get("result")) or told),
            source=_SOURCES.get(str(told.get("annotator_kind") or "").lower(), "code"),
            trace_id=made.trace_id,
            span_id=made.span_id,
            comment=str(object_of(told.get("result")).get("explanation") or told.get("explanation") or ""),
            time_ns=nanoseconds(told.get("updated_at") or told.get("created_at")),
        )


def _span(row: Row) -> Raw:
    context = object_of(row.get("context"))
    trace = trace_id(row.get("context.trace_id") or context.get("trace_id") or row.get("trace_id"))
    number = row.get("context.span_id") or context.get("span_id") or row.get("span_id")
    if not number:
        raise Refused("the span has no span id")
    attributes = _flat(object_of(row.get("attributes")))
    attributes |= _flat({k.removeprefix("attributes."): v for k, v in row.items() if k.startswith("attributes.")})
    if row.get("span_kind"):
        attributes.setdefault("openinference.span.kind", str(row["span_kind"]))
    return raw(
        trace=trace,
        span=span_id(number, trace),
        parent=span_id(row.get("parent_id"), trace),
        name=row.get("name"),
        start=nanoseconds(row.get("start_time")),
        end=nanoseconds(row.get("end_time")),
        attributes=attributes,
        failed=str(row.get("status_code") or "").upper().endswith("ERROR"),
        message=row.get("status_message"),
        events=[_event(event) for event in objects_of(row.get("events"))],
        tool=NAME,
    )


def _event(row: Row) -> Event:
    return Event(str(row.get("name") or ""), nanoseconds(row.get("timestamp")), object_of(row.get("attributes")))


def _flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested attributes under dotted names: llm.input_messages.0.message.role."""
    found: dict[str, Any] = {}
    waiting = [(str(name), value) for name, value in attributes.items()]
    while waiting:
        name, value = waiting.pop()
        if name.startswith((*_LISTS, *_MORE_LISTS)) and isinstance(value, str) and name in {*_LISTS, *_MORE_LISTS}:
            value = value_of(value) if list_of(value) else value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if name in _WHOLE or name.startswith("metadata."):
            found[name] = value if isinstance(value, str) else written(value)
        elif isinstance(value, Mapping):
            waiting.extend((f"{name}.{key}", inner) for key, inner in value.items())
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            waiting.extend((f"{name}.{number}", inner) for number, inner in enumerate(value))
        else:
            found[name] = plain(value)
    return found
