"""Figures over time: requests, errors, tokens, cost, latency and feedback of each release, and the answers that were judged.

A request belongs to the release that the rollout chose, also when another one answered in its place: an arm's failures
stay with the arm. What is counted are model calls, wherever they stand in their trace; feedback on a trace is that of its first call. Traffic
that no user caused (live = false) is left out unless asked for.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from noria.core import clock
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import schema
from noria.tracing.reading import OF_TRACES, ask, moment, nanoseconds
from noria.tracing.records import FeedbackRow, Traffic
from noria.tracing.service import scores_of

Judged = Literal["correction", "positive"]

_MINUTE: Final = 60_000_000_000
_CHUNK: Final = 200
_GOOD: Final = ("good", "positive", "correct", "yes", "up", "thumbs_up", "like")
_FEEDBACK: Final = "(source = 'user' OR (source = 'person' AND name = 'feedback'))"
"""Scores that say whether an answer is good; a person's labels under other names say something else (ScoreView.is_feedback)."""
_DAY: Final = 86_400_000_000_000
"""How much later than its trace a model call may begin and still be counted."""
_FIGURES: Final = """
SELECT BUCKET AS bucket, min(start_ns) AS first, endpoint, if(requested_release > 0, requested_release, release) AS chosen, arm,
    count() AS requests, countIf(status = 'error') AS errors,
    countIf(requested_release > 0 AND release != requested_release AND status != 'error') AS fallbacks,
    sum(input_tokens) AS tokens_in, sum(output_tokens) AS tokens_out, sum(cost_micros) AS cost,
    quantilesTDigest(0.5, 0.95)((end_ns - start_ns) / 1e6) AS latencies,
    sum(arraySum(arrayMap(x -> x.2, mine))) AS feedback_total, sum(arraySum(arrayMap(x -> x.3, mine))) AS feedback_count
FROM (
    SELECT COLUMNS, arrayFilter(x -> x.1 = span_id OR (nth = 1 AND NOT has(ids, x.1)), given.said) AS mine
    FROM (
        SELECT trace_id, calls.span_id AS ids, arrayEnumerate(ids) AS numbers, CALLS
        FROM traces FINAL WHERE project_id = {project:String} AND listed_ns >= {since:Int64} - {day:Int64}
    ) AS t ARRAY JOIN numbers AS nth, ARRAYS
    LEFT JOIN (
        SELECT trace_id, groupArray((span_id, total, times)) AS said FROM (
            SELECT trace_id, span_id, ifNull(sum(number), 0) AS total, count(number) AS times FROM scores FINAL
            WHERE project_id = {project:String} AND FEEDBACK AND time_ns >= {since:Int64}
            GROUP BY trace_id, span_id
        ) GROUP BY trace_id
    ) AS given ON given.trace_id = t.trace_id
    WHERE CONDITIONS
)
GROUP BY bucket, endpoint, chosen, arm ORDER BY bucket, endpoint, chosen, arm
""".replace("FEEDBACK", _FEEDBACK)
_READ: Final = (
    *("span_id", "start_ns", "end_ns", "endpoint", "release", "requested_release", "arm", "status"),
    *("input_tokens", "output_tokens", "cost_micros"),
)
_PLAIN: Final = ("endpoint", "arm", "requests", "errors", "fallbacks")


def traffic(
    stores: Stores, project_id: str, endpoint: str = "", minutes: int = 60, *, live_only: bool = True
) -> list[Traffic]:
    """Figures per minute, release and arm over the last `minutes`; minutes without requests are left out."""
    since = nanoseconds(clock.now() - timedelta(minutes=minutes)) // _MINUTE * _MINUTE
    return _figures(
        stores, project_id, endpoint, since, bucket=f"intDiv(start_ns, {_MINUTE}) * {_MINUTE}", live_only=live_only
    )


def summary(
    stores: Stores, project_id: str, endpoint: str = "", since: datetime | None = None, *, live_only: bool = True
) -> list[Traffic]:
    """Figures per release and arm since `since` (None: all that is kept); `time` is that of the first request."""
    start = nanoseconds(since) if since is not None else 0
    return _figures(stores, project_id, endpoint, start, bucket="0", live_only=live_only)


def feedback_rows(
    stores: Stores,
    project_id: str,
    endpoint: str,
    since_ns: int = 0,
    only_with: Sequence[Judged] = ("correction", "positive"),
) -> Iterator[FeedbackRow]:
    """Answers of `endpoint` that somebody corrected or found good (a value above 0, or a label that says so), oldest first."""
    wanted = {
        "correction": "correction != ''",
        "positive": f"{_FEEDBACK} AND (number > 0 OR lower(label) IN {{good:Array(String)}})",
    }
    judged = ask(
        stores,
        schema.select(
            ("trace_id", "min(time_ns) AS first"),
            "FROM scores FINAL WHERE project_id = {project:String} AND source IN ('user', 'person')"
            f" AND time_ns >= {{since:Int64}} AND ({' OR '.join(wanted[kind] for kind in only_with) or '0'})"
            " GROUP BY trace_id ORDER BY first, trace_id",
        ),
        {"project": project_id, "since": since_ns, "good": list(_GOOD)},
    )
    for at in range(0, len(judged), _CHUNK):
        yield from _rows_of(stores, project_id, endpoint, [row["trace_id"] for row in judged[at : at + _CHUNK]])


def _rows_of(stores: Stores, project_id: str, endpoint: str, traces: list[str]) -> Iterator[FeedbackRow]:
    found = ask(
        stores,
        schema.select(
            schema.SPAN_COLUMNS,
            f"{OF_TRACES} AND endpoint = {{endpoint:String}} AND status = 'ok' ORDER BY start_ns",
        ),
        {"project": project_id, "traces": traces, "endpoint": endpoint},
    )
    answers: dict[str, list[Span]] = {}
    for span in map(schema.span_of, found):
        answers.setdefault(span.trace_id, []).append(span)
    scores = scores_of(stores, project_id, list(answers))
    for trace_id in traces:
        if trace_id not in answers:
            continue
        judged = {score.span_id for score in scores.get(trace_id, [])}
        span = next((one for one in answers[trace_id] if one.span_id in judged), answers[trace_id][0])
        yield FeedbackRow(
            trace_id=trace_id,
            span_id=span.span_id,
            endpoint=span.endpoint,
            release=span.release,
            time=moment(span.start_ns),
            session_id=span.session_id,
            subject_id=span.subject_id,
            input_messages=span.input_messages,
            output_messages=span.output_messages,
            scores=scores.get(trace_id, []),
        )


def _figures(
    stores: Stores, project_id: str, endpoint: str, since: int, *, bucket: str, live_only: bool
) -> list[Traffic]:
    conditions = "start_ns >= {since:Int64}"
    conditions += " AND endpoint = {endpoint:String}" if endpoint else " AND endpoint != ''"
    conditions += " AND live" if live_only else ""
    read = (*_READ, "live") if live_only else _READ
    sql = _FIGURES.replace("BUCKET", bucket).replace("COLUMNS", ", ".join(_READ)).replace("CONDITIONS", conditions)
    sql = sql.replace("CALLS", ", ".join(f"calls.{name} AS c_{name}" for name in read))
    sql = sql.replace("ARRAYS", ", ".join(f"c_{name} AS {name}" for name in read))
    rows = ask(stores, sql, {"project": project_id, "since": since, "endpoint": endpoint, "day": _DAY})
    return [_traffic(row) for row in rows]


def _traffic(row: dict[str, Any]) -> Traffic:
    p50, p95 = row["latencies"]
    count = row["feedback_count"]
    return Traffic(
        time=moment(row["bucket"] or row["first"]),
        release=row["chosen"],
        p50_ms=round(p50, 1),
        p95_ms=round(p95, 1),
        feedback_mean=row["feedback_total"] / count if count else None,
        feedback_count=count,
        input_tokens=row["tokens_in"],
        output_tokens=row["tokens_out"],
        cost_micros=row["cost"],
        **{name: row[name] for name in _PLAIN},
    )
