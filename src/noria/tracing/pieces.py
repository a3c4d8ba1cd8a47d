"""What Langfuse's SDK 2 and its kind send: events that each tell a piece of a trace or an observation, put together to spans.

In: events of `/api/public/ingestion`. Out: a journal record for each, and of all pieces of one span, in the order of their events' times, the
span. Pieces stay in the table `contents` (as objects, where messages are lists), so that a later one finds those before it, in whichever order and on whichever
machine they come. Ids become ours by the rule of imports (noria.tracing.imports.items); a trace, which is no span there, is the span above its observations.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from noria.core import clock
from noria.core.errors import BadInput
from noria.core.records import Span
from noria.tracing.estimates import Estimates
from noria.tracing.imports.items import Row, nanoseconds, object_of, small, span_id, trace_id
from noria.tracing.imports.langfuse import above, observation_of, root_of
from noria.tracing.otlp.raw import EARLIEST, FUTURE, Origin, Raw, Refused, check
from noria.web.auth import Caller

logger = logging.getLogger("noria.tracing")

KINDS: Final[Mapping[str, str]] = {
    "trace-create": "trace",
    "span-create": "span",
    "span-update": "span",
    "generation-create": "generation",
    "generation-update": "generation",
    "event-create": "event",
}
"""Types of events that tell of spans, and of what."""
_LONGEST_ID: Final = 256
_TIMES: Final = ("timestamp", "startTime", "endTime", "completionStartTime")
_DEEPEST: Final = 100
_TOKENS: Final = {"promptTokens": "input", "completionTokens": "output", "totalTokens": "total"}
Piece = dict[str, Any]
"""`of` (a value of KINDS), `later` (whether it is an update), `key_id`, and the event's `body`."""


def record_of(event: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    """The journal's record of an event of one of KINDS. Raises BadInput with what is wrong with it."""
    body = event.get("body")
    if not isinstance(body, dict):
        raise BadInput("The event has no body.")
    kind = KINDS[str(event["type"])]
    _check(body)
    try:
        trace, span = _ids(kind, body)
        time = nanoseconds(event.get("timestamp")) or clock.now_ns()
        if not EARLIEST <= time <= clock.now_ns() + FUTURE:
            raise Refused("the event's timestamp is before the year 2000 or more than a day ahead")
        piece = {"of": kind, "later": str(event["type"]).endswith("update"), "key_id": _key(caller), "body": body}
        check(_raw(trace, span, [(time, piece)]))
    except Refused as reason:
        raise BadInput(f"The event cannot be used: {reason}.") from reason
    user = body.get("userId")
    return {
        "type": "piece",
        "project_id": caller.project_id,
        "trace_id": trace,
        "span_id": span,
        "time_ns": time,
        "start_ns": time,
        "subject_id": user if isinstance(user, str) else "",
        "piece": piece,
    }


def row_of(record: Mapping[str, Any]) -> list[Any]:
    """A row of `contents`, in the order of CONTENT_COLUMNS. Raises KeyError and TypeError for what is no piece."""
    said = orjson.dumps(record["piece"]).decode()
    digest = f"{int(record['piece']['later'])}{hashlib.blake2b(said.encode(), digest_size=8).hexdigest()}"
    ids = (str(record[name]) for name in ("project_id", "trace_id", "span_id"))
    return [*ids, int(record["time_ns"]), digest, said, ""]


def is_piece(said: str) -> bool:
    """Whether `said`, of a row of `contents`, is a piece; else it is a list of messages."""
    return said.startswith("{")


def span_of(ids: tuple[str, str, str], pieces: Iterable[tuple[int, str]], prices: Estimates) -> Span | None:
    """The span (project, trace, span) that these pieces (time, text), in order, make; None, and it is logged, for what cannot be one."""
    from noria.tracing.otlp.ingest import as_record  # the worker needs it only where somebody sends pieces

    project, trace, span = ids
    told = [(time, orjson.loads(said)) for time, said in pieces]
    try:
        record = as_record(check(_raw(trace, span, told)), project, told[0][1]["key_id"], prices)
    except Refused as reason:
        logger.error("A span could not be put together: %s", reason)
        return None
    return Span.from_dict(record)


def _ids(kind: str, body: Mapping[str, Any]) -> tuple[str, str]:
    named = [body.get("id"), *([] if kind == "trace" else [body.get("traceId"), body.get("parentObservationId")])]
    if any(one is not None and not (isinstance(one, str) and len(one) <= _LONGEST_ID) for one in named):
        raise Refused(f"an id is text of at most {_LONGEST_ID} characters")
    if not named[0]:
        raise Refused("it has no id")
    trace = trace_id(named[0] if kind == "trace" else named[1])
    return trace, above(trace) if kind == "trace" else span_id(named[0], trace)


def _check(body: Mapping[str, Any]) -> None:
    wrong = next((name for name in _TIMES if body.get(name) is not None and not nanoseconds(body[name])), "")
    if wrong:
        raise BadInput(f"The event's {wrong} is not a time.", hint="Like 2026-11-26T09:00:00.000Z.")
    level: list[Any] = [body]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [one for one in level if isinstance(one, dict | list)]
    if level:
        raise BadInput(f"The event is nested deeper than {_DEEPEST} levels.")


def _key(caller: Caller) -> str:
    return caller.id if caller.kind == "key" else ""


def _raw(trace: str, span: str, told: Sequence[tuple[int, Piece]]) -> Raw:
    """Raises Refused."""
    row = small(_merged([piece["body"] for _, piece in told]))
    kind = next((piece["of"] for _, piece in told if not piece["later"]), told[0][1]["of"])
    start = _moment(row, "start_time", "timestamp", "end_time") or told[0][0]
    if kind == "trace":
        made = root_of(row, trace, [])
    else:
        made = observation_of({**row, **_usage(row), **_parameters(row), "type": kind}, trace, {}, below=True)
    made.start_ns, made.end_ns = start, _moment(row, "end_time") or start
    made.origin = Origin({})
    made.span_id = span
    return made


def _moment(row: Row, *names: str) -> int:
    """The first of these that is a time; 0 when none is."""
    return next((found for name in names if (found := nanoseconds(row.get(name)))), 0)


def _merged(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is told later holds; metadata is put together key by key, tags all stay."""
    whole: dict[str, Any] = {}
    for body in bodies:
        for name, value in body.items():
            before = whole.get(name)
            if value is None:
                continue
            if name == "metadata" and isinstance(before, dict) and isinstance(value, dict):
                whole[name] = {**before, **value}
            elif name == "tags" and isinstance(before, list) and isinstance(value, list):
                whole[name] = [*before, *(tag for tag in value if tag not in before)]
            else:
                whole[name] = value
    return whole


def _usage(row: Row) -> Row:
    """`usage` in any of its shapes as {input, output, total} and a cost, also one of 0; what counts characters or images is no token."""
    given = object_of(row.get("usage"))
    counted = {_TOKENS.get(name, name): value for name, value in given.items()}
    if str(given.get("unit") or "TOKENS").upper() != "TOKENS":
        counted = {}
    costs = (row.get("total_cost"), given.get("totalCost"))
    told = [cost for cost in costs if isinstance(cost, int | float) and not isinstance(cost, bool)]
    sides = [given[name] for name in ("inputCost", "outputCost") if _is_number(given.get(name))]
    if not any(told) and sides:
        told = [sum(sides)]
    if not told or object_of(row.get("cost_details")):
        return {"usage": counted}
    return {"usage": counted, "cost_details": {"total": max(told)}}


def _parameters(row: Row) -> Row:
    """The SDK writes each as text: numbers and truths are read again."""
    given = {name: _read(value) for name, value in object_of(row.get("model_parameters")).items()}
    return {"model_parameters": given}


def _read(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > _LONGEST_ID:
        return value
    lower = {"True": "true", "False": "false"}.get(value, value)  # as Python writes them
    try:
        read = orjson.loads(lower)
    except ValueError:
        return value
    return read if isinstance(read, bool | int | float) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
