"""Exports of Langfuse: traces with their observations in them (page and API), or traces, observations and scores in files of their own.

In: rows with camelCase names (API, pages) or snake_case (blob storage). Out: spans with the attributes that Langfuse's own
OpenTelemetry exporter writes. A trace there is no span; here it becomes the span above its observations. Observations that were
exported without traces (Langfuse's enriched observations) tell of their trace themselves, and the first of them is the root.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from noria.core.records import ScoreSource
from noria.tracing.imports.items import (
    Item,
    Judgement,
    Row,
    given,
    nanoseconds,
    object_of,
    objects_of,
    raw,
    score_name,
    small,
    span_id,
    trace_id,
    value_of,
    written,
)
from noria.tracing.otlp.raw import Raw, Refused

NAME: Final = "langfuse"
_SOURCES: Final[Mapping[str, ScoreSource]] = {"annotation": "person", "eval": "judge", "api": "code"}
_TOKENS: Final = (("prompt_tokens", "input"), ("completion_tokens", "output"), ("input_usage", "input"))


def fits(row: Mapping[str, Any]) -> bool:
    """Whether `row` comes from Langfuse."""
    return _kind(small(row)) != ""


class Langfuse:
    """`traces`: whether the import has rows of traces, below which observations hang."""

    def __init__(self, *, traces: bool) -> None:
        self._traces = traces

    def __call__(self, row: Row) -> Iterable[Item]:
        """Raises Refused for what is no trace, observation or score."""
        found = small(row)
        kind = _kind(found)
        if kind == "trace":
            return _trace(found)
        if kind == "observation":
            return [observation_of(found, trace_id(found.get("trace_id")), {}, below=self._traces)]
        if kind == "score":
            return [_score(found)]
        raise Refused("it is no trace, observation or score of Langfuse")


def is_trace(row: Mapping[str, Any]) -> bool:
    """Whether `row` is a trace of its own."""
    return _kind(small(row)) == "trace"


def _kind(row: Row) -> str:
    if {"name", "value"} <= row.keys() and row.keys() & {"data_type", "source", "observation_id", "string_value"}:
        return "score"
    if "trace_id" in row and row.keys() & {"start_time", "start_time_unix"} and row.keys() & {"type", "level"}:
        return "observation"
    if "id" in row and "timestamp" in row and "trace_id" not in row:
        return "trace"
    return ""


def _trace(row: Row) -> Iterator[Item]:
    trace = trace_id(row.get("id"))
    observations = [small(item) for item in objects_of(row.get("observations"))]
    below = [observation_of(item, trace, row, below=True) for item in observations]
    yield root_of(row, trace, below)
    yield from below
    for score in objects_of(row.get("scores")):
        yield _score({"trace_id": row.get("id"), **small(score)})


def root_of(row: Row, trace: str, below: list[Raw]) -> Raw:
    """The span that stands for a trace, above those of its observations."""
    start = nanoseconds(row.get("timestamp"))
    seconds = row.get("latency")
    lasts = round(float(seconds) * 10**9) if isinstance(seconds, int | float) and 0 < seconds < 10**7 else 0
    attributes = {
        **_context(row),
        "langfuse.observation.type": "span",
        "langfuse.trace.input": _said(row.get("input")),
        "langfuse.trace.output": _said(row.get("output")),
        "langfuse.trace.public": value_of(row.get("public")),
        "langfuse.trace.metadata": _said(row.get("metadata")),
        "langfuse.trace.id": row.get("id"),
    }
    return raw(
        trace=trace,
        span=above(trace),
        parent="",
        name=row.get("name") or "trace",
        start=min([start, *(one.start_ns for one in below)]),
        end=max([start + lasts, *(one.end_ns for one in below)]),
        attributes=attributes,
        tool=NAME,
    )


def above(trace: str) -> str:
    """The id of the span that stands for a trace."""
    return span_id(f"the trace {trace}", trace)


def observation_of(row: Row, trace: str, of: Row, *, below: bool) -> Raw:
    """The span of an observation; `of` is its trace as far as it is told, `below`: that trace is a span. Raises Refused."""
    parent = span_id(row.get("parent_observation_id"), trace)
    start, level = nanoseconds(row.get("start_time")), str(row.get("level") or "").upper()
    attributes = {
        **_context({**of, "release": row.get("release"), **{k: v for k, v in row.items() if k in _CONTEXT}}),
        "langfuse.observation.type": str(row.get("type") or "span").lower(),
        "langfuse.observation.model.name": row.get("model") or row.get("provided_model_name"),
        "langfuse.observation.model.parameters": _said(row.get("model_parameters")),
        "langfuse.observation.input": _said(row.get("input")),
        "langfuse.observation.output": _said(row.get("output")),
        "langfuse.observation.metadata": _said(row.get("metadata")),
        "langfuse.observation.usage_details": _usage(row),
        "langfuse.observation.cost_details": _cost(row),
        "langfuse.observation.prompt.name": row.get("prompt_name"),
        "langfuse.observation.prompt.version": row.get("prompt_version"),
        "langfuse.observation.completion_start_time": _iso(row.get("completion_start_time")),
        "langfuse.observation.level": level,
        "langfuse.observation.status_message": row.get("status_message"),
        "langfuse.observation.id": row.get("id"),
    }
    if not row.get("id"):
        raise Refused("the observation has no id")
    return raw(
        trace=trace,
        span=span_id(row["id"], trace),
        parent=parent or (above(trace) if below else ""),
        name=row.get("name") or row.get("type"),
        start=start,
        end=nanoseconds(row.get("end_time")) or start,
        attributes=attributes,
        failed=level == "ERROR",
        message=row.get("status_message") if level == "ERROR" else "",
        tool=NAME,
    )


_CONTEXT: Final = ("user_id", "session_id", "tags", "trace_name", "version", "environment")


def _context(row: Row) -> dict[str, Any]:
    """What a trace and each of its observations say of whose they are."""
    return {
        "langfuse.user.id": row.get("user_id"),
        "langfuse.session.id": row.get("session_id"),
        "langfuse.trace.tags": _said(row.get("tags")),
        "langfuse.trace.name": row.get("trace_name"),
        "langfuse.environment": row.get("environment"),
        "langfuse.release": row.get("release"),
        "langfuse.version": row.get("version"),
    }


def _said(value: Any) -> Any:
    return None if value in (None, "", [], {}) else written(value)


def _usage(row: Row) -> Any:
    """Token counts: usageDetails; of older versions usage {input, output}, or columns."""
    found = object_of(row.get("usage_details")) or {
        name: count for name, count in object_of(row.get("usage")).items() if name in {"input", "output", "total"}
    }
    for column, name in _TOKENS:
        if row.get(column):
            found.setdefault(name, row[column])
    found = {name: round(count) for name, value in found.items() if (count := _number(value)) is not None}
    return written(found) if found else None


def _cost(row: Row) -> Any:
    total = next((row[name] for name in ("calculated_total_cost", "total_cost") if row.get(name)), None)
    found = {
        name: cost for name, value in object_of(row.get("cost_details")).items() if (cost := _number(value)) is not None
    }
    if not found and total is not None:
        return written(given({"total": _number(total)}))
    return written(found) if found else None


def _number(value: Any) -> float | None:
    try:
        number = None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _iso(value: Any) -> str | None:
    text = str(value or "").replace(" ", "T", 1)
    return (text if text[-1:] == "Z" or "+" in text[10:] else f"{text}Z") if text else None


def _score(row: Row) -> Judgement:
    kind = str(row.get("data_type") or "").upper()
    value: Any = row.get("string_value") if kind in {"CATEGORICAL", "TEXT"} else row.get("value")
    number = _number(row.get("value"))
    if kind == "BOOLEAN" and number is not None:
        value = number != 0
    elif kind not in {"CATEGORICAL", "TEXT"} and number is not None:
        value = number
    trace = trace_id(row["trace_id"]) if row.get("trace_id") else ""
    return Judgement(
        key=f"langfuse {row.get('id') or ''}".strip(),
        name=score_name(row.get("name")),
        value=value if value is not None else row.get("value"),
        source=_SOURCES.get(str(row.get("source") or "").lower(), "code"),
        trace_id=trace,
        span_id=span_id(row.get("observation_id"), trace) if trace else "",
        session_id="" if trace else str(row.get("session_id") or ""),
        comment=str(row.get("comment") or ""),
        time_ns=nanoseconds(row.get("timestamp") or row.get("created_at")),
    )
