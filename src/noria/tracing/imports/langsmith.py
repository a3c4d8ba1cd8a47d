"""Exports of LangSmith: runs as its API and its SDK give them (JSON lines), bulk exports in Parquet, and feedback.

In: one run a row; fields that are objects may be JSON text. Out: spans with the attributes that LangSmith's own OpenTelemetry exporter
writes. A run's trace_id is the id of its root run.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from noria.core.records import ScoreSource
from noria.tracing.imports.items import (
    Item,
    Judgement,
    Row,
    exception,
    list_of,
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

NAME: Final = "langsmith"
_MOST: Final = 500_000
"""Runs that are remembered for feedback."""
_SOURCES: Final[Mapping[str, ScoreSource]] = {
    **dict.fromkeys(("app", "human"), "person"),
    **dict.fromkeys(("model", "auto_eval"), "judge"),
    "api": "code",
}
_MODEL: Final = ("ls_model_name", "model_name", "model")
_COUNTS: Final = {
    "gen_ai.usage.input_tokens": ("prompt_tokens", "input_tokens"),
    "gen_ai.usage.output_tokens": ("completion_tokens", "output_tokens"),
}
_PARAMETERS: Final = {
    "temperature": "ls_temperature",
    "max_tokens": "ls_max_tokens",
    "top_p": "ls_top_p",
}


def fits(row: Mapping[str, Any]) -> bool:
    """Whether `row` comes from LangSmith."""
    return ("run_type" in row and "id" in row) or ("run_id" in row and "key" in row)


class Langsmith:
    """Runs and feedback; remembers which trace a run below a root belongs to, because feedback may name its run alone."""

    def __init__(self) -> None:
        self._traces: dict[str, str] = {}

    def __call__(self, row: Row) -> Iterable[Item]:
        """Raises Refused."""
        if "run_type" in row:
            made = _run(row)
            if made.parent_id and len(self._traces) < _MOST:
                self._traces[str(row.get("id"))] = made.trace_id
            runs = objects_of(row.get("child_runs"))
            return [made, *(item for run in runs for item in self({"trace_id": row.get("trace_id"), **run}))]
        if "run_id" in row and "key" in row:
            run = str(row.get("run_id") or "")
            return [_score({**row, "trace_id": row.get("trace_id") or self._traces.get(run) or run})]
        raise Refused("it is no run and no feedback of LangSmith")


def _run(row: Row) -> Raw:
    trace = trace_id(row.get("trace_id") or _first_of(row) or row.get("id"))
    start = nanoseconds(row.get("start_time"))
    parent = row.get("parent_run_id") or next(iter(list_of(row.get("parent_run_ids"))[-1:]), "")
    error = row.get("error")
    failed = bool(error) or str(row.get("status") or "").lower() == "error"
    end = nanoseconds(row.get("end_time"))
    events = [exception(error, end or start)] if error else []
    return raw(
        trace=trace,
        span=span_id(row.get("id"), trace),
        parent=span_id(parent, trace),
        name=row.get("name"),
        start=start,
        end=end,
        attributes=_attributes(row),
        failed=failed,
        message=error,
        events=[*events, *_events(row)],
        tool=NAME,
    )


def _first_of(row: Row) -> str:
    """The root run, which a dotted order begins with: 20240429T004912090000Z<id>.…"""
    return str(row.get("dotted_order") or "").partition(".")[0].rpartition("Z")[2]


def _attributes(row: Row) -> dict[str, Any]:
    extra = object_of(row.get("extra"))
    metadata, called = object_of(extra.get("metadata")), object_of(extra.get("invocation_params"))
    llm = str(row.get("run_type")) in {"llm", "embedding"}
    model = next((found[name] for found in (metadata, called) for name in _MODEL if found.get(name)), None)
    attributes: dict[str, Any] = {
        "langsmith.span.kind": str(row.get("run_type") or "chain"),
        "langsmith.span.id": row.get("id"),
        "langsmith.span.tags": value_of(row.get("tags")),
        "langsmith.trace.session_id": row.get("session_id"),
        "langsmith.trace.session_name": row.get("session_name"),
        "langsmith.reference_example_id": row.get("reference_example_id"),
        "gen_ai.prompt": _said(row.get("inputs")),
        "gen_ai.completion": _said(row.get("outputs")),
        "langsmith.first_token_time": _iso(row.get("first_token_time")),
        **{f"langsmith.metadata.{name}": value for name, value in metadata.items() if value is not None},
    }
    if stats := object_of(row.get("feedback_stats")):
        attributes["langsmith.feedback_stats"] = written(stats)
    if row.get("run_type") == "tool":
        attributes |= {"gen_ai.tool.name": row.get("name"), "gen_ai.prompt": None, "gen_ai.completion": None}
        attributes["gen_ai.tool.call.arguments"] = _said(row.get("inputs"))
        attributes["gen_ai.tool.call.result"] = _said(row.get("outputs"))
    if not llm:
        return attributes  # tokens and cost of a chain are the sums of its calls
    attributes |= {"gen_ai.request.model": model, "gen_ai.system": metadata.get("ls_provider")}
    for name, other in _PARAMETERS.items():
        attributes[f"gen_ai.request.{name}"] = called.get(name, metadata.get(other))
    attributes["gen_ai.tool.definitions"] = _said(called.get("tools"))
    used = object_of(object_of(row.get("outputs")).get("usage_metadata")) or object_of(metadata.get("usage_metadata"))
    for name, names in _COUNTS.items():
        attributes[name] = next((found[n] for found in (row, used) for n in names if found.get(n)), None)
    attributes["langsmith.cost.total"] = next(
        (c for c in (row.get("total_cost"), used.get("total_cost")) if c not in (None, "")), None
    )
    details = object_of(row.get("prompt_token_details")) or object_of(used.get("input_token_details"))
    attributes["gen_ai.usage.cache_read.input_tokens"] = details.get("cache_read")
    thought = object_of(row.get("completion_token_details")) or object_of(used.get("output_token_details"))
    attributes["gen_ai.usage.reasoning.output_tokens"] = thought.get("reasoning")
    return attributes


def _said(value: Any) -> Any:
    return None if value in (None, "", [], {}) else written(value)


def _iso(value: Any) -> str | None:
    text = str(value or "").replace(" ", "T", 1)
    return (text if text[-1:] == "Z" or "+" in text[10:] else f"{text}Z") if text else None


def _events(row: Row) -> list[Event]:
    """What happened within a run, but for its start and its tokens."""
    return [
        Event(str(event.get("name")), nanoseconds(event.get("time")), object_of(event.get("kwargs")))
        for event in objects_of(row.get("events"))
        if event.get("name") not in {"start", "end", "new_token", None}
    ]


def _score(row: Row) -> Judgement:
    trace = trace_id(row["trace_id"])
    said, number = row.get("value"), row.get("score")
    value: Any = number if isinstance(number, bool | int | float) else said
    correction = row.get("correction")
    source = object_of(row.get("feedback_source")).get("type") or row.get("feedback_source_type")
    return Judgement(
        key=f"langsmith {row.get('id') or ''}".strip(),
        name=score_name(row.get("key")),
        value=value if value is None or isinstance(value, bool | int | float | str) else written(value),
        source=_SOURCES.get(str(source or "").lower(), "code"),
        trace_id=trace,
        span_id=span_id(row.get("run_id"), trace),
        comment=str(row.get("comment") or ""),
        correction=written(correction) if correction else "",
        time_ns=nanoseconds(row.get("created_at") or row.get("modified_at")),
    )
