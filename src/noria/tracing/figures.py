"""Figures of model calls over a time: in all, in equal pieces of it, and by what they have in common (endpoint, model, user, …).

Everything is counted from the calls that `traces` holds, each once, by when the call began. A filter in the language of traces lets traces
through; what it says of endpoint, release, arm, model, provider and prompt is also asked of each call.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from noria.core.errors import BadInput
from noria.stores.connect import Stores
from noria.tracing import conditions, filters, service
from noria.tracing.reading import ask, moment, nanoseconds
from noria.tracing.records import Figures, Share, TraceFilter

By = Literal["endpoint", "release", "model", "provider", "prompt", "arm", "user", "session", "key"]
BY: Final[tuple[By, ...]] = get_args(By)
MOST: Final = 100
"""Groups that are told apart; what is in none of them is summed up."""
_DAY: Final = 86_400_000_000_000
"""How much later than its trace a call may begin and still be counted."""
_NAMED: Final[dict[By, str]] = {
    "endpoint": "c_endpoint",
    "release": "if(c_endpoint = '', '', concat(c_endpoint, '@',"
    " toString(if(c_requested_release > 0, c_requested_release, c_release))))",
    "model": "if(c_served_model = '', c_requested_model, c_served_model)",
    "provider": "c_provider",
    "prompt": "if(c_prompt_name = '', '', concat(c_prompt_name, '@', toString(c_prompt_version)))",
    "arm": "c_arm",
    "user": "subject_id",
    "session": "session_id",
    "key": "key_id",
}
_USED: Final = (
    "start_ns",
    "end_ns",
    "first_token_ns",
    "status",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_micros",
)
_ARRAYS: Final = (
    *("endpoint", "release", "requested_release", "arm", "provider", "served_model", "requested_model"),
    *("prompt_name", "prompt_version"),
)
_SUMS: Final = """count() AS requests, countIf(c_status = 'error') AS errors, sum(c_input_tokens) AS input_tokens,
    sum(c_output_tokens) AS output_tokens, sum(c_cached_tokens) AS cached_tokens, sum(c_cost_micros) AS cost_micros,
    quantilesTDigest(0.5, 0.95, 0.99)(toFloat32((c_end_ns - c_start_ns) / 1e6)) AS latencies,
    quantileTDigestIf(0.5)(toFloat32((c_first_token_ns - c_start_ns) / 1e6), c_first_token_ns > 0) AS first_token"""
_PLAIN: Final = ("requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost_micros")


@dataclass(frozen=True, slots=True)
class Question:
    """Which calls: of a project, between two moments, in traces that a filter lets through (live ones only, unless `live` is None)."""

    project_id: str
    since: datetime
    until: datetime
    q: str = ""
    live: bool | None = True

    def __post_init__(self) -> None:
        if self.until <= self.since:
            raise BadInput("The time ends before it begins.", hint="`until` must be later than `since`.")


def whole(stores: Stores, asked: Question) -> Figures:
    """All of them in one. Raises BadFilter, Unavailable."""
    sql, values = _query(asked, "", "")
    return _figures(ask(stores, sql, values)[0], asked.since)


def over_time(
    stores: Stores, asked: Question, *, steps: int = 60, by: By | None = None, names: Sequence[str] = ()
) -> list[tuple[str, Figures]]:
    """(name, figures) in at most `steps` equal pieces of the time, empty ones left out; with `by` for each of `names` and, as "", the rest.

    Raises BadFilter, Unavailable.
    """
    step = step_ns(asked, steps)
    piece = "{from_ns:Int64} + intDiv(c_start_ns - {from_ns:Int64}, {step:Int64}) * {step:Int64}"
    name = f"if(has({{names:Array(String)}}, {_NAMED[by]}), {_NAMED[by]}, '')" if by else "''"
    sql, values = _query(
        asked, f"{piece} AS bucket, {name} AS named, ", "GROUP BY bucket, named ORDER BY bucket, named"
    )
    rows = ask(stores, sql, {**values, "step": step, "names": list(names)})
    return [(row["named"], _figures(row, moment(row["bucket"]))) for row in rows]


def shares(stores: Stores, asked: Question, by: By, *, most: int = MOST) -> list[Share]:
    """Figures of each endpoint, model, …: what costs most first, then what is asked most. Raises BadFilter, Unavailable."""
    sql, values = _query(
        asked,
        f"{_NAMED[by]} AS named, uniq(trace_id) AS traces, ",
        "GROUP BY named ORDER BY cost_micros DESC, requests DESC, named LIMIT {most:UInt32}",
    )
    rows = ask(stores, sql, {**values, "most": most})
    return [Share(row["named"], row["traces"], _figures(row, asked.since)) for row in rows]


def step_ns(asked: Question, steps: int) -> int:
    """Length of one piece: a minute, or whole minutes."""
    minute = 60_000_000_000
    return max(-(-(nanoseconds(asked.until) - nanoseconds(asked.since)) // (steps * minute)), 1) * minute


def _query(asked: Question, what: str, rest: str) -> tuple[str, dict[str, Any]]:
    """SELECT `what` and sums over single calls."""
    terms = filters.parse(asked.q)
    which = service.conditions_of(TraceFilter(q=asked.q, live=asked.live))
    each = conditions.Where(values=which.values)
    called = [conditions.in_one_call(each, term) for term in terms if term.field in conditions.OF_CALLS]
    text = f"{what} {' '.join(called)}"
    read = [*_USED, *(name for name in _ARRAYS if f"c_{name}" in text)]
    traces = [
        "project_id = {project:String}",
        "listed_ns >= {from_ns:Int64} - {day:Int64}",
        "listed_ns < {to_ns:Int64}",
    ]
    calls = ["c_start_ns >= {from_ns:Int64}", "c_start_ns < {to_ns:Int64}", *called]
    arrays = ", ".join(f"calls.{name} AS c_{name}" for name in read)
    sql = (
        f"SELECT {what}{_SUMS} FROM traces FINAL ARRAY JOIN {arrays}"  # noqa: S608 - values are bound
        f" WHERE {' AND '.join([*traces, *which.conditions, *calls])} {rest}"
    )
    bound = {
        "project": asked.project_id,
        "from_ns": nanoseconds(asked.since),
        "to_ns": nanoseconds(asked.until),
        "day": _DAY,
    }
    return sql, {**each.values, **bound}


def _figures(row: dict[str, Any], time: datetime) -> Figures:
    p50, p95, p99 = (None if math.isnan(value) else round(value, 1) for value in row["latencies"])
    first = row["first_token"]
    return Figures(
        time=time,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        first_token_ms=None if math.isnan(first) else round(first, 1),
        **{name: row[name] for name in _PLAIN},
    )
