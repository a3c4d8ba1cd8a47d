"""Our spans, traces and scores as Langfuse's clients read them. Pure functions; what they ask for is in langfuse_reading.

A span becomes an observation. What its client sent as input, output or metadata comes back as it was sent, where the span still has
it; of spans from elsewhere the messages are told. Cost is in dollars there and micro-dollars here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from noria.core.records import Message, Score, Span
from noria.tracing.dialects.messages import decoded
from noria.tracing.reading import moment
from noria.tracing.totals import totals
from noria.web.langfuse import time_text

OBSERVATION: Final = "langfuse.observation."
TRACE: Final = "langfuse.trace."
EXPERIMENT: Final = "langfuse.experiment."
TYPES: Final = {
    "llm": "GENERATION",
    "embedding": "EMBEDDING",
    "retrieval": "RETRIEVER",
    "tool": "TOOL",
    "agent": "AGENT",
    "chain": "SPAN",
    "guardrail": "GUARDRAIL",
    "judge": "EVALUATOR",
    "http": "SPAN",
}
SOURCES: Final = {"user": "API", "code": "API", "judge": "EVAL", "person": "ANNOTATION"}
DATA_TYPES: Final = {"numeric": "NUMERIC", "boolean": "BOOLEAN", "categorical": "CATEGORICAL", "text": "TEXT"}
GROUPS: Final = {
    "basic": ("name", "level", "statusMessage", "version", "environment", "userId", "sessionId", "isRootObservation"),
    "time": ("completionStartTime", "createdAt", "updatedAt"),
    "io": ("input", "output"),
    "metadata": ("metadata",),
    "model": ("model", "modelParameters"),
    "usage": ("usageDetails", "costDetails", "totalCost"),
    "prompt": ("promptName", "promptVersion"),
    "metrics": ("latency", "timeToFirstToken"),
    "trace_context": ("tags", "release", "traceName"),
}
"""Fields of an observation that one asks for by group; the others always come."""
_OF_ITEM: Final = {
    "id": "experimentId",
    "name": "experimentName",
    "description": "experimentDescription",
    "metadata": "experimentMetadata",
    "dataset.id": "experimentDatasetId",
    "item.id": "experimentItemId",
    "item.version": "experimentItemVersion",
    "item.expected_output": "expectedOutput",
    "item.metadata": "experimentItemMetadata",
}
_CORE: Final = ("id", "traceId", "projectId", "startTime", "endTime", "parentObservationId", "type")


@dataclass(frozen=True, slots=True)
class Told:
    """A trace by what it consists of, without the payloads of all its spans."""

    about: list[Span]
    """Spans that say something of the whole of it, the oldest first; at least one."""
    span_ids: list[str]
    start_ns: int
    end_ns: int
    cost_micros: int

    @classmethod
    def of(cls, every: Sequence[Span], about: Sequence[Span]) -> "Told":
        """`every` span needs no payload; both oldest first."""
        return cls(
            about=list(about),
            span_ids=[span.span_id for span in every],
            start_ns=min(span.start_ns for span in every),
            end_ns=max(span.end_ns for span in every),
            cost_micros=totals(every).cost_micros,
        )


def observation(span: Span) -> dict[str, Any]:
    """All that is told of an observation, by the first and the second version of the API together."""
    first = span.first_token_ns if span.streamed or OBSERVATION + "type" in span.attributes else 0
    tokens = _usage(span)
    cost = span.cost_micros / 1_000_000
    return {
        "id": span.span_id,
        "traceId": span.trace_id,
        "projectId": span.project_id,
        "parentObservationId": span.parent_id or None,
        "isRootObservation": not span.parent_id,
        "type": str(span.attributes.get(OBSERVATION + "type") or TYPES[span.kind]).upper(),
        "name": span.name,
        "startTime": _time(span.start_ns),
        "endTime": _time(span.end_ns),
        "createdAt": _time(span.start_ns),
        "updatedAt": _time(span.end_ns),
        "completionStartTime": _time(first) if first else None,
        "model": span.served_model or span.requested_model or None,
        "modelParameters": span.parameters,
        "input": _payload(span, "input"),
        "output": _payload(span, "output"),
        "metadata": metadata(span, OBSERVATION),
        "level": _level(span),
        "statusMessage": _told(span, OBSERVATION + "status_message") or span.error_message or None,
        "version": _told(span, "langfuse.version"),
        "environment": environment(span),
        "userId": span.subject_id or None,
        "sessionId": span.session_id or None,
        "tags": span.tags,
        "release": _told(span, "langfuse.release"),
        "traceName": _told(span, TRACE + "name"),
        "promptId": None,
        "promptName": span.prompt_name or None,
        "promptVersion": span.prompt_version or None,
        "usage": {name: tokens.get(name, 0) for name in ("input", "output", "total")} | {"unit": "TOKENS"},
        "usageDetails": tokens,
        "costDetails": {"total": cost} if cost else {},
        "totalCost": cost,
        "calculatedTotalCost": cost,
        "latency": _seconds(span.end_ns - span.start_ns),
        "timeToFirstToken": _seconds(first - span.start_ns) if first else None,
    }


def in_groups(whole: Mapping[str, Any], groups: Iterable[str]) -> dict[str, Any]:
    """The fields of these groups. Input and output are text there, as the second version of the API has them."""
    wanted = [*_CORE, *(name for group in groups for name in GROUPS.get(group, ()))]
    return {
        name: _as_text(whole[name]) if name in {"input", "output"} else whole[name] for name in dict.fromkeys(wanted)
    }


def trace(told: Told) -> dict[str, Any]:
    """A trace; the root's word holds over that of spans below it."""
    root = next((span for span in told.about if not span.parent_id), told.about[0])
    said = [*[span for span in told.about if span is not root], root]
    merged = {name: value for span in said for name, value in _of_trace(span).items()}
    inner = {key: value for span in said for key, value in metadata(span, TRACE).items()}
    return {
        "id": root.trace_id,
        "timestamp": _time(told.start_ns),
        "name": merged.get("name") or root.name,
        "input": merged.get("input", _payload(root, "input")),
        "output": merged.get("output", _payload(root, "output")),
        "metadata": inner | metadata(root, OBSERVATION),
        "sessionId": next((span.session_id for span in reversed(said) if span.session_id), None),
        "userId": next((span.subject_id for span in reversed(said) if span.subject_id), None),
        "tags": list(dict.fromkeys(tag for span in told.about for tag in span.tags)),
        "release": _told(root, "langfuse.release"),
        "version": _told(root, "langfuse.version"),
        "public": False,
        "environment": environment(root),
        "htmlPath": f"/traces/{root.trace_id}",
        "latency": _seconds(told.end_ns - told.start_ns),
        "totalCost": told.cost_micros / 1_000_000,
    }


def score(score: Score) -> dict[str, Any]:
    """A score as the first two versions of the API tell it: a category or text is in `stringValue`."""
    kind, value = _value(score)
    told = _score(score, kind) | {
        "traceId": score.trace_id or None,
        "observationId": score.span_id or None,
        "sessionId": score.session_id or None,
        "datasetRunId": score.attributes.get("experiment_id"),
        "value": value if isinstance(value, float) else 0,
    }
    if kind == "BOOLEAN":
        told |= {"value": float(value), "stringValue": str(bool(value))}
    elif kind != "NUMERIC":
        told["stringValue"] = value
    return told


def score_v3(score: Score) -> dict[str, Any]:
    """The same as the third version tells it: the value is of its own type, and what is judged is the `subject`."""
    kind, value = _value(score)
    subject: dict[str, Any] = {"kind": "trace", "id": score.trace_id}
    if score.span_id:
        subject = {"kind": "observation", "id": score.span_id, "traceId": score.trace_id}
    elif score.session_id:
        subject = {"kind": "session", "id": score.session_id}
    elif experiment := score.attributes.get("experiment_id"):
        subject = {"kind": "experiment", "id": experiment}
    return _score(score, kind) | {"value": value, "subject": subject}


def experiment_item(span: Span, judged: Mapping[str, Sequence[Score]] | None) -> dict[str, Any]:
    """What was run of one item; with its scores and its trace's when `judged` has scores by trace."""
    whole = observation(span)
    told = {name: whole[name] for name in ("id", "traceId", "startTime", "endTime", "level", "environment")}
    told |= {name: whole[name] for name in ("input", "output", "metadata")}
    said = {name: span.attributes.get(EXPERIMENT + name) for name in _OF_ITEM}
    told |= {_OF_ITEM[name]: _read(value) for name, value in said.items() if not name.endswith("metadata")}
    told |= {_OF_ITEM[name]: object_in(value) for name, value in said.items() if name.endswith("metadata")}
    if judged is not None:
        scores = judged.get(span.trace_id, ())
        told["scores"] = [score_v3(score) for score in scores if score.span_id in ("", span.span_id)]
    return told


def object_in(text: Any) -> dict[str, Any] | None:
    """The object that JSON text holds; None when it holds none."""
    found = _read(text)
    return found if isinstance(found, dict) else None


def metadata(span: Span, prefix: str) -> dict[str, Any]:
    """What was sent as metadata below `prefix`; JSON texts are read, as newer clients send every value so."""
    name = f"{prefix}metadata"
    found: dict[str, Any] = {}
    for key, value in span.attributes.items():
        if key == name:
            whole = _read(value)
            found |= whole if isinstance(whole, dict) else {"metadata": whole}
        elif key.startswith(name + "."):
            found[key[len(name) + 1 :]] = _read(value)
    return found


def environment(span: Span) -> str:
    return _told(span, "langfuse.environment") or "default"


def _score(score: Score, kind: str) -> dict[str, Any]:
    time = _time(score.time_ns)
    return {
        "id": score.score_id,
        "projectId": score.project_id,
        "name": score.name,
        "dataType": kind,
        "source": SOURCES[score.source],
        "comment": (score.text if kind != "TEXT" else "") or None,
        "metadata": score.attributes.get("metadata") or {},
        "environment": score.attributes.get("environment") or "default",
        "configId": None,
        "queueId": None,
        "authorUserId": score.author_id if score.source == "person" else None,
        "timestamp": time,
        "createdAt": time,
        "updatedAt": time,
    }


def _value(score: Score) -> tuple[str, Any]:
    if score.correction and score.number is None and not score.label:
        return "CORRECTION", score.correction
    if score.value_type == "boolean" and score.number is not None:
        return "BOOLEAN", bool(score.number)
    if score.number is not None:
        return "NUMERIC", score.number
    if score.label:
        return "CATEGORICAL", score.label
    return "TEXT", score.text


def _of_trace(span: Span) -> dict[str, Any]:
    found = {name: span.attributes.get(TRACE + name) for name in ("name", "input", "output")}
    return {name: _read(value) if name != "name" else value for name, value in found.items() if value is not None}


def _payload(span: Span, side: str) -> Any:
    raw = span.attributes.get(OBSERVATION + side)
    if raw is not None:
        return _read(raw)
    told: list[Message] = span.input_messages if side == "input" else span.output_messages
    if not told:
        return None
    if len(told) == 1 and OBSERVATION + "type" in span.attributes:
        only = told[0]
        if calls := only.get("tool_calls"):
            return _read(calls[0].get("function", {}).get("arguments"))
        return _read(only.get("content"))
    return told[0] if side == "output" and len(told) == 1 else list(told)


def _usage(span: Span) -> dict[str, int]:
    if not (span.input_tokens or span.output_tokens):
        return {}
    told = {"input": span.input_tokens - span.cached_tokens, "output": span.output_tokens - span.reasoning_tokens}
    if span.cached_tokens:
        told["input_cached_tokens"] = span.cached_tokens
    if span.reasoning_tokens:
        told["output_reasoning_tokens"] = span.reasoning_tokens
    return {**told, "total": span.input_tokens + span.output_tokens}


def _level(span: Span) -> str:
    said = str(span.attributes.get(OBSERVATION + "level") or "").upper()
    if said in {"DEBUG", "DEFAULT", "WARNING", "ERROR"}:
        return said
    return "ERROR" if span.status == "error" else "DEFAULT"


def _told(span: Span, name: str) -> str | None:
    value = span.attributes.get(name) or span.attributes.get(f"resource.{name}")
    return None if value is None else str(value)


def _read(value: Any) -> Any:
    """The value in JSON text; other text as it is. A number or `true` alone stays text unless its client wrote JSON for sure."""
    return decoded(value) if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(nanoseconds: int) -> str:
    return time_text(moment(nanoseconds))


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1_000_000_000, 3)
