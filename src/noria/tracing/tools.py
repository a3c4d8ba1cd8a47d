"""Tools of tracing for assistants: find traces, read one within a budget, sessions, scores, figures over time, and give a score."""

from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import Field

from noria.core import clock
from noria.core.errors import NotFound
from noria.core.records import ScoreSource, Span
from noria.stores.connect import Stores
from noria.tracing import filters, groups, outline, scores, service, traffic
from noria.tracing.records import NewScore, ScoreFilter, TraceFilter, TraceRow
from noria.web.auth import Caller
from noria.web.tools import Arguments, Tool

_AT_ONCE: Final = 50
_PART: Final = 2_000
"""Characters of one message or value in a tree of many; get_span gives more."""
_Q: Final = 'A filter like status:error model:gpt-4o* cost>0.01 since:24h "refund"; filter_help tells the language.'
_CURSOR: Final = "next of an earlier answer, to go on from there."
_LEFT: Final = ("attributes", "project_id", "key_id")


class Search(Arguments):
    q: str = Field("", max_length=1000, description=_Q)
    limit: int = Field(20, ge=1, le=100)
    cursor: str = Field("", description=_CURSOR)


class OneTrace(Arguments):
    trace_id: str = Field(description="32 hex digits.")
    start: int = Field(0, ge=0, description="The place of the first span; next of an earlier answer.")
    max_chars: int = Field(20_000, ge=2_000, le=200_000, description="About how long the answer may be.")
    messages: bool = Field(True, description="With what was asked and answered; false gives the tree alone.")


class OneSpan(Arguments):
    trace_id: str = Field(description="32 hex digits.")
    span_id: str = Field(description="16 hex digits.")
    max_chars: int = Field(40_000, ge=2_000, le=400_000, description="About how long the answer may be.")


class Sessions(Search):
    days: int = Field(30, ge=1, le=3650, description="Sessions of the last days.")


class OneSession(Arguments):
    session_id: str = Field(max_length=256)
    limit: int = Field(10, ge=1, le=50, description="Turns at once.")
    cursor: str = Field("", description=_CURSOR)


class Scores(Arguments):
    trace_id: str = ""
    session_id: str = ""
    name: str = ""
    source: Literal["", "user", "person", "code", "judge"] = ""
    least: float | None = None
    most: float | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str = Field("", description=_CURSOR)


class OverTime(Arguments):
    hours: float = Field(24, gt=0, le=24 * 365)
    q: str = Field("", max_length=1000, description=f"{_Q} For one model: model:NAME.")
    steps: int = Field(24, ge=1, le=200, description="Pieces of that time.")


class ByEndpoint(Arguments):
    hours: float = Field(24, gt=0, le=24 * 365)
    endpoint: str = Field("", description="Only this one.")


class GiveScore(Arguments):
    trace_id: str = Field(description="32 hex digits.")
    span_id: str = Field("", description="A span of the trace; else the whole of it is judged.")
    name: str = Field(description="What is judged: small letters, digits, '_', '.', '-'.")
    value: float | bool | str = Field(description="A number, true or false, or a category.")
    comment: str = Field("", max_length=10_000, description="Why.")
    source: Literal["judge", "code", "user", "person"] = "judge"


class Nothing(Arguments):
    pass


def tools() -> tuple[Tool, ...]:
    """All of them."""
    return (
        Tool("search_traces", "Search traces", "The newest traces that a filter lets through, without their payloads.", Search, _search),
        Tool("get_trace", "Read a trace", "The tree of one trace with its messages cut to a budget, its totals and scores.", OneTrace, _trace),
        Tool("get_span", "Read a span", "One step whole: messages, parameters, attributes, error.", OneSpan, _span),
        Tool("list_sessions", "List sessions", "Conversations of the last days, the latest first.", Sessions, _sessions),
        Tool("get_session", "Read a session", "The turns of one conversation, oldest first.", OneSession, _session),
        Tool("list_scores", "List scores", "Judgements by users, people, code and judges, newest first.", Scores, _scores),
        Tool(
            "traffic_over_time",
            "Figures over time",
            "Requests, errors, tokens, cost in micro-dollars and latency in milliseconds for each piece of a time.",
            OverTime,
            _over_time,
            untrusted=False,
        ),
        Tool(
            "traffic_by_endpoint",
            "Figures by endpoint and release",
            "Requests, errors, tokens, cost in micro-dollars, latency and feedback of each endpoint, release and arm.",
            ByEndpoint,
            _by_endpoint,
            untrusted=False,
        ),
        Tool(
            "give_score",
            "Give a score",
            "Judge a trace or a span. The same name again by this key replaces the judgement before.",
            GiveScore,
            _give_score,
            permission="feedback",
            read_only=False,
            untrusted=False,
        ),
        Tool("filter_help", "Help on filters", "The language of q: its fields, with what each means.", Nothing, _help, untrusted=False),
    )  # fmt: skip


def _search(stores: Stores, caller: Caller, given: Search) -> Any:
    which = TraceFilter(q=given.q)
    page = service.list_traces(stores, caller.project_id, which, limit=given.limit, cursor=given.cursor or None)
    return {"traces": [_row(row) for row in page.items], "next": page.next}


def _row(row: TraceRow) -> dict[str, Any]:
    names = ("trace_id", "name", "kind", "start", "duration_ms", "status", "error_type", "endpoint", "release", "model")
    more = ("input_tokens", "output_tokens", "cost_micros", "session_id", "subject_id", "tags", "input", "output")
    told = {name: getattr(row, name) for name in (*names, *more)}
    return told | {
        "scores": {score.name: score.label if score.number is None else score.number for score in row.scores}
    }


def _trace(stores: Stores, caller: Caller, given: OneTrace) -> Any:
    whole = outline.read(stores, caller.project_id, given.trace_id)
    steps = whole.steps[given.start : given.start + _AT_ONCE]
    held = {}
    if given.messages:
        held = outline.spans(stores, caller.project_id, whole.trace_id, [step.span_id for step in steps])
    told: list[dict[str, Any]] = []
    left = given.max_chars
    for step in steps:
        one = {
            name: getattr(step, name)
            for name in ("span_id", "name", "kind", "status", "depth", "offset_ms", "duration_ms")
        }
        if (span := held.get(step.span_id)) is not None:
            one |= _cut(_payload(span), min(_PART, max(left // 4, 200)))
        left -= len(str(one))
        if left < 0 and told:
            break
        told.append(one)
    after = given.start + len(told)
    answer: dict[str, Any] = {"trace_id": whole.trace_id, "start": whole.start, "duration_ms": whole.duration_ms}
    if given.start == 0:
        answer["totals"] = outline.used(stores, whole, caller.project_id)
        answer["scores"] = service.scores_of(stores, caller.project_id, [whole.trace_id]).get(whole.trace_id, [])
    return answer | {
        "spans_in_all": len(whole.steps),
        "spans": told,
        "next": after if after < len(whole.steps) else None,
    }


def _payload(span: Span) -> dict[str, Any]:
    names = ("served_model", "provider", "input_tokens", "output_tokens", "cost_micros", "error_type", "error_message")
    return {name: getattr(span, name) for name in (*names, "input_messages", "output_messages") if getattr(span, name)}


def _span(stores: Stores, caller: Caller, given: OneSpan) -> Any:
    found = outline.spans(stores, caller.project_id, given.trace_id, [given.span_id.lower()])
    if (span := found.get(given.span_id.lower())) is None:
        raise NotFound("There is no such span in this trace.", hint="get_trace lists the spans of a trace.")
    told = {name: value for name, value in span.to_dict().items() if name not in _LEFT}
    return _cut(told | {"attributes": span.attributes}, given.max_chars // 4)


def _cut(value: Any, most: int) -> Any:
    """`value` with each text in it cut to `most` characters, and long lists to their ends."""
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}… ({len(value) - most:,} more characters)"
    if isinstance(value, dict):
        return {name: _cut(item, most) for name, item in value.items()}
    if isinstance(value, list):
        kept = value if len(value) <= 20 else [*value[:4], f"({len(value) - 16:,} left out)", *value[-12:]]
        return [_cut(item, most) for item in kept]
    return value


def _sessions(stores: Stores, caller: Caller, given: Sessions) -> Any:
    since = clock.now() - timedelta(days=given.days)
    page = groups.groups(
        stores, caller.project_id, "session", since=since, q=given.q, limit=given.limit, cursor=given.cursor or None
    )
    return {"sessions": page.items, "next": page.next}


def _session(stores: Stores, caller: Caller, given: OneSession) -> Any:
    page = groups.conversation(
        stores, caller.project_id, given.session_id, limit=given.limit, cursor=given.cursor or None
    )
    turns = [
        {
            "trace_id": span.trace_id,
            "start_ns": span.start_ns,
            "status": span.status,
            "input": _cut(span.input_messages[-1:], _PART),
            "output": _cut(span.output_messages, _PART),
        }
        for span in page.items
    ]
    return {"session_id": given.session_id, "turns": turns, "next": page.next}


def _scores(stores: Stores, caller: Caller, given: Scores) -> Any:
    which = ScoreFilter(**given.model_dump(exclude={"limit", "cursor"}))
    page = scores.list_scores(stores, caller.project_id, which, limit=given.limit, cursor=given.cursor or None)
    return {"scores": _cut([vars_of(row) for row in page.items], _PART) if page.items else [], "next": page.next}


def vars_of(row: Any) -> dict[str, Any]:
    """A record without the ids that only Noria needs."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__ if name not in {"author_id", "key"}}


def _over_time(stores: Stores, caller: Caller, given: OverTime) -> Any:
    until = clock.now()
    since = until - timedelta(hours=given.hours)
    which = TraceFilter(q=given.q, live=True)
    found = traffic.over_time(stores, caller.project_id, since, until, which=which, steps=given.steps)
    return {"since": since, "until": until, "pieces": found}


def _by_endpoint(stores: Stores, caller: Caller, given: ByEndpoint) -> Any:
    since = clock.now() - timedelta(hours=given.hours)
    return {"since": since, "rows": traffic.summary(stores, caller.project_id, given.endpoint, since)}


def _give_score(stores: Stores, caller: Caller, given: GiveScore) -> Any:
    source: ScoreSource = given.source
    new = NewScore(
        name=given.name,
        value=given.value,
        source=source,
        trace_id=given.trace_id,
        span_id=given.span_id,
        comment=given.comment,
        key=f"mcp {caller.id}",
    )
    [score] = scores.give_scores(stores, caller, [new])
    return {"score_id": score.score_id, "trace_id": score.trace_id, "kept": True}


def _help(_stores: Stores, _caller: Caller, _given: Nothing) -> Any:
    fields = {name: f"{field.help}{_choices(field.choices)}" for name, field in filters.FIELDS.items()}
    return {
        "fields": fields | {"score.NAME": "a score by number or label", "attr.KEY": "an attribute of any span"},
        "operators": ": or = (is), != (is not), <, <=, >, >= for numbers, dollars and times; - before a part turns it around",
        "words": "Words and texts in quotes are looked for in input and output; parts beside each other must all hold; * stands for anything.",
        "examples": [
            'status:error since:24h "refund"',
            "model:gpt-4o* cost>0.01 -tag:test",
            "score.helpful<0.5 kind:tool",
        ],
    }


def _choices(choices: tuple[str, ...]) -> str:
    return f" ({', '.join(choices)})" if choices else ""
