"""One row of `traces` for each trace, whatever its spans' order: what the list shows, search reads and figures are counted from.

In: the spans of a trace that are new (whole), those that were there (without payloads) and the row as it was. Out: the row as it is now.
The trace keeps the place in the list that it got first (`listed_ns`), so that later spans replace its row and never add one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from noria.core.records import Span
from noria.tracing import schema
from noria.tracing.totals import calls

BRIEF: Final = (
    *("project_id", "trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status", "status_code"),
    *("error_type", "endpoint", "release", "requested_release", "arm", "provider", "requested_model", "served_model"),
    *("input_tokens", "output_tokens", "cached_tokens", "cost_micros", "first_token_ns", "session_id", "subject_id"),
    *("tags", "prompt_name", "prompt_version", "cache_hit", "streamed", "key_id", "live"),
)
"""Columns of `spans` that are read of a trace that grows."""
KEPT: Final = ("project_id", "trace_id", "listed_ns", "span_id", *schema.MADE_COLUMNS)
"""Columns of its row in `traces` that are read with them."""


def row(new: Sequence[Span], known: Sequence[Span], before: Mapping[str, Any] | None, version: int) -> list[Any]:
    """A row in the order of schema.TRACE_COLUMNS. `new` holds at least one span; one that is also in `known` takes its place."""
    fresh = {span.span_id for span in new}
    spans = [*(span for span in known if span.span_id not in fresh), *new]
    top, lost = _top(spans)
    made = calls(spans)
    own = {name: getattr(top, name) for name in schema.TOP_COLUMNS}
    own |= _alone(top) if len(spans) == 1 else _together(top, spans, made, lost)
    own["listed_ns"] = before["listed_ns"] if before else own["start_ns"]
    own["streamed"] = any(span.streamed for span in made)
    own |= {name: sum([getattr(span, name) for span in made]) for name in schema.SUMMED}
    own |= _words(top, new, [span for span in made if span.span_id in fresh], before)
    return schema.trace_row(own, version, made)


def _alone(span: Span) -> dict[str, Any]:
    """What `_together` says of a trace of one span, which most of a gateway's are."""
    plain = ("start_ns", "end_ns", "first_token_ns", "status", "session_id", "subject_id", "key_id", "live")
    said = {name: getattr(span, name) for name in plain}
    return said | {"tags": sorted({str(tag) for tag in span.tags}), "spans": 1, "errors": int(span.status == "error")}


def _together(top: Span, spans: Sequence[Span], made: Sequence[Span], lost: bool) -> dict[str, Any]:
    return {
        "start_ns": min(span.start_ns for span in spans),
        "end_ns": max(span.end_ns for span in spans),
        "first_token_ns": _first(span.first_token_ns for span in (top, *made)),
        "status": _status(spans) if lost else top.status,
        "session_id": _first(span.session_id for span in (top, *spans)),
        "subject_id": _first(span.subject_id for span in (top, *spans)),
        "key_id": _first(span.key_id for span in (top, *spans)),
        "tags": sorted({str(tag) for span in spans for tag in span.tags}),
        "live": all(span.live for span in spans),
        "spans": len(spans),
        "errors": sum(span.status == "error" for span in spans),
    }


def _top(spans: Sequence[Span]) -> tuple[Span, bool]:
    """The span that the trace is named by, and whether its real root has not come."""
    roots = [span for span in spans if not span.parent_id]
    if roots:
        return min(roots, key=_order), False
    ids = {span.span_id for span in spans}
    return min([span for span in spans if span.parent_id not in ids] or spans, key=_order), True


def _order(span: Span) -> tuple[int, str]:
    return span.start_ns, span.span_id


def _status(spans: Sequence[Span]) -> str:
    return "error" if any(span.status == "error" for span in spans) else "ok"


def _first(values: Iterable[Any]) -> Any:
    """The first that says something."""
    last: Any = None
    for last in values:
        if last:
            return last
    return last


def _words(top: Span, new: Sequence[Span], made: Sequence[Span], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What list and search read; `made` are the new ones of the calls, by start."""
    named = top in new
    old = before or {name: [] if name == "facts" else "" for name in schema.MADE_COLUMNS}
    asked = top.input_messages if named else []
    answered = top.output_messages if named else []
    said = schema.text_of(asked[-1:]) or old["preview_input"]
    told = schema.text_of(answered)
    if not told:  # a run without an answer of its own: its last call's
        told = _first([*(schema.text_of(span.output_messages) for span in reversed(made)), old["preview_output"]])
    if not said:
        said = _first([*(schema.text_of(span.input_messages[-1:]) for span in made), ""])
    return {
        "preview_input": said[: schema.PREVIEW],
        "preview_output": told[: schema.PREVIEW],
        "text": _text([*([top] if named else []), *(span for span in new if span is not top)], old["text"]),
        "facts": schema.facts(top.attributes) if named else old["facts"],
    }


def _text(spans: Sequence[Span], before: str) -> str:
    """`before` and what these spans say that nobody has said yet."""
    pieces = [before] if before else []
    length, seen = len(before), set[str]()
    for span in spans:
        for messages in (span.input_messages, span.output_messages):
            left = min(schema.SEARCHED, 2 * schema.SEARCHED - length)
            for message in messages:
                said = schema.text_of([message])
                if left <= 0 or not said or said in seen:
                    continue
                seen.add(said)
                piece = schema.searchable(schema.unescaped(said[:left]))
                if before and piece in before:
                    continue
                pieces.append(piece)
                length, left = length + len(piece) + 1, left - len(piece) - 1
    return "\n".join(pieces)
