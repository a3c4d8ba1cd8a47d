"""Scores as Langfuse's clients give and read them: any name, an id of their own, a trace, a span, a session or an experiment.

In: their JSON. Out: noria.core.records.Score. A score with the id of an earlier one replaces it, as long as what is judged and the
name are the same, because the id is the score's key.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noria.core import clock, ids
from noria.core.errors import BadInput
from noria.core.records import Score, ScoreType
from noria.stores.connect import Stores
from noria.tracing import schema, service
from noria.tracing.imports import items
from noria.tracing.langfuse_shapes import DATA_TYPES
from noria.tracing.reading import ask, nanoseconds
from noria.web.auth import Caller
from noria.web.paging import Page, cut, decode
from noria.web.problems import describe

_TYPES: Final[Mapping[str, ScoreType]] = {
    "NUMERIC": "numeric",
    "BOOLEAN": "boolean",
    "CATEGORICAL": "categorical",
    "TEXT": "text",
}
_LONGEST: Final = {"CATEGORICAL": 200, "TEXT": 10_000, "CORRECTION": 100_000}
_MOST_METADATA: Final = 20_000
_IN_SQL: Final = "if(correction != '' AND number IS NULL AND label = '', 'CORRECTION', {rest})"
_KIND: Final = _IN_SQL.replace(
    "{rest}",
    "multiIf(value_type = 'boolean', 'BOOLEAN', number IS NOT NULL, 'NUMERIC', label != '', 'CATEGORICAL', 'TEXT')",
)
_SOURCE: Final = "multiIf(source = 'judge', 'EVAL', source = 'person', 'ANNOTATION', 'API')"
_ENVIRONMENT: Final = "JSONExtractString(attributes, 'environment')"

Text = Annotated[str, Field(max_length=256)]


class Given(BaseModel):
    """One score, in Langfuse's words."""

    model_config = ConfigDict(extra="ignore")

    id: Text | None = None
    name: str = Field(min_length=1, max_length=200)
    value: float | str
    traceId: Text | None = None
    observationId: Text | None = None
    sessionId: Text | None = None
    datasetRunId: Text | None = None
    dataType: str | None = None
    comment: str | None = Field(None, max_length=10_000)
    metadata: Any = None
    environment: Text | None = None
    timestamp: datetime | None = None


class Asked(BaseModel):
    """Which scores to read; None and [] do not restrict."""

    id: list[str] = []
    name: list[str] = []
    source: list[str] = []
    data_type: list[str] = []
    environment: list[str] = []
    trace: list[str] = []
    span: list[str] = []
    session: list[str] = []
    experiment: list[str] = []
    author: list[str] = []
    text: list[str] = []
    """Any of these categories, or "true" and "false"."""
    least: float | None = None
    most: float | None = None
    since: datetime | None = None
    until: datetime | None = None


def keep(stores: Stores, caller: Caller, given: Sequence[Any]) -> list[str | BadInput]:
    """Keep what can be kept: for each given object the score's id, or what is wrong with it. On disk when this returns.

    Raises Unavailable, and keeps nothing then.
    """
    outcomes: list[str | BadInput] = []
    scores: list[Score] = []
    for one in given:
        try:
            score = _score(caller, one)
        except BadInput as error:
            outcomes.append(error)
            continue
        scores.append(score)
        outcomes.append(score.score_id)
    if scores:
        service.keep(stores, scores, person_id=caller.id if caller.role else "")
    return outcomes


def of_traces(stores: Stores, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
    """Scores by trace, the oldest first."""
    found: dict[str, list[Score]] = defaultdict(list)
    for score in _read(stores, project_id, "trace_id IN {traces:Array(String)}", {"traces": list(trace_ids)}):
        found[score.trace_id].append(score)
    return found


def of_experiments(
    stores: Stores, project_id: str, experiment_ids: Sequence[str], groups: Sequence[str]
) -> dict[str, list[Score]]:
    """Scores of whole experiments by their ids, where `groups` asks for scores; otherwise none."""
    found: dict[str, list[Score]] = defaultdict(list)
    if "scores" not in groups:
        return found
    wanted = "trace_id = '' AND JSONExtractString(attributes, 'experiment_id') IN {ids:Array(String)}"
    for score in _read(stores, project_id, wanted, {"ids": list(experiment_ids)}):
        found[score.attributes["experiment_id"]].append(score)
    return found


def read(
    stores: Stores, project_id: str, asked: Asked, *, limit: int, cursor: str | None = None, offset: int = 0
) -> Page[Score]:
    """The newest scores first. Raises BadInput for a cursor that is not ours, Unavailable."""
    conditions, values = _conditions(asked)
    if (after := decode(cursor, int, str)) is not None:
        conditions.append("(time_ns, score_id) < ({after_time:Int64}, {after_id:String})")
        values |= {"after_time": after[0], "after_id": after[1]}
    rows = ask(
        stores,
        schema.select(
            schema.SCORE_COLUMNS,
            f"FROM scores FINAL WHERE {' AND '.join(['project_id = {project:String}', *conditions])}"
            " ORDER BY time_ns DESC, score_id DESC LIMIT {limit:UInt32} OFFSET {offset:UInt64}",
        ),
        {**values, "project": project_id, "limit": limit + 1, "offset": offset},
    )
    page = cut(rows, limit, lambda row: (row["time_ns"], row["score_id"]))
    return Page([schema.score_of(row) for row in page.items], page.next)


def count(stores: Stores, project_id: str, asked: Asked) -> int:
    """How many there are on all pages."""
    conditions, values = _conditions(asked)
    wanted = " AND ".join(["project_id = {project:String}", *conditions])
    sql = schema.select(("count() AS n",), f"FROM scores FINAL WHERE {wanted}")
    return int(ask(stores, sql, {**values, "project": project_id})[0]["n"])


def _read(stores: Stores, project_id: str, wanted: str, values: Mapping[str, Any]) -> list[Score]:
    rows = ask(
        stores,
        schema.select(
            schema.SCORE_COLUMNS,
            f"FROM scores FINAL WHERE project_id = {{project:String}} AND {wanted} ORDER BY time_ns, score_id",
        ),
        {**values, "project": project_id},
    )
    return [schema.score_of(row) for row in rows]


def _conditions(asked: Asked) -> tuple[list[str], dict[str, Any]]:
    lists = {
        "score_id": asked.id,
        "name": asked.name,
        "trace_id": [_trace_id(one) for one in asked.trace],
        "span_id": [one.lower() for one in asked.span],
        "session_id": asked.session,
        "author_id": asked.author,
        _SOURCE: asked.source,
        _KIND: asked.data_type,
        f"if({_ENVIRONMENT} = '', 'default', {_ENVIRONMENT})": asked.environment,
        "JSONExtractString(attributes, 'experiment_id')": asked.experiment,
        "if(value_type = 'boolean', if(number = 1, 'true', 'false'), toString(label))": asked.text,
    }
    conditions, values = [], dict[str, Any]()
    for number, (expression, wanted) in enumerate(lists.items()):
        if wanted:
            conditions.append(f"{expression} IN {{list{number}:Array(String)}}")
            values[f"list{number}"] = wanted
    for name, operator, bound in (("least", ">=", asked.least), ("most", "<=", asked.most)):
        if bound is not None:
            conditions.append(f"number {operator} {{{name}:Float64}}")
            values[name] = bound
    for name, operator, at in (("since", ">=", asked.since), ("until", "<", asked.until)):
        if at is not None:
            conditions.append(f"time_ns {operator} {{{name}:Int64}}")
            values[name] = nanoseconds(at)
    return conditions, values


def _score(caller: Caller, one: Any) -> Score:
    try:
        given = Given.model_validate(one)
    except ValidationError as error:
        raise BadInput(f"The score cannot be used: {describe([dict(e) for e in error.errors()])}.") from error
    target = _target(given)
    speaks_for_code = caller.role or "write_traces" in caller.permissions
    attributes = {"environment": given.environment, "metadata": given.metadata, "experiment_id": given.datasetRunId}
    kept = {name: value for name, value in attributes.items() if value}
    if len(str(given.metadata or "")) > _MOST_METADATA:
        raise BadInput(f"The score's metadata is longer than {_MOST_METADATA:,} characters.")
    return Score(
        score_id=given.id or ids.new_id(),
        project_id=caller.project_id,
        name=given.name,
        source="code" if speaks_for_code else "user",
        time_ns=nanoseconds(given.timestamp) if given.timestamp else clock.now_ns(),
        author_id=caller.id,
        attributes=kept,
        trace_id=target["trace_id"],
        span_id=target["span_id"],
        session_id=target["session_id"],
        **_worth(given),
    )


def _target(given: Given) -> dict[str, str]:
    trace_id = _trace_id(given.traceId or "")
    span_id = items.span_id(given.observationId, trace_id)
    judged = [bool(trace_id or given.sessionId), bool(given.datasetRunId)]  # some clients name a trace's session, too
    if sum(judged) != 1:
        raise BadInput("A score judges one thing.", hint="Give traceId (and observationId), sessionId or datasetRunId.")
    if span_id and not trace_id:
        raise BadInput("observationId stands beside the traceId.")
    for text in (given.name, given.sessionId or "", given.id or "", given.comment or ""):
        if "\x00" in text:
            raise BadInput("A score's texts hold no NUL.")
    return {"trace_id": trace_id, "span_id": span_id, "session_id": "" if trace_id else given.sessionId or ""}


def _trace_id(text: str) -> str:
    """As the trace has it; older SDKs name it by a UUID, or by any text."""
    return items.trace_id(text) if text.strip() else ""


def _worth(given: Given) -> dict[str, Any]:
    """The value in the fields of a score."""
    value, comment = given.value, given.comment or ""
    kind = given.dataType or ("CATEGORICAL" if isinstance(value, str) else "NUMERIC")
    if kind in {"NUMERIC", "BOOLEAN"}:
        if isinstance(value, str) or not math.isfinite(value) or abs(value) > 1e9:
            raise BadInput(f"The value of a {kind} score is a finite number, at most a billion.")
        if kind == "BOOLEAN" and value not in (0, 1):
            raise BadInput("The value of a BOOLEAN score is 0 or 1.")
        return {"number": value, "value_type": _TYPES[kind], "text": comment}
    if kind not in _LONGEST:
        raise BadInput(
            f"There is no dataType {kind[:40]!r}.", hint=f"One of {', '.join([*DATA_TYPES.values(), 'CORRECTION'])}."
        )
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST[kind] or "\x00" in value:
        raise BadInput(f"The value of a {kind} score is text of 1 to {_LONGEST[kind]:,} characters.")
    if kind == "CATEGORICAL":
        return {"label": value, "value_type": "categorical", "text": comment}
    return {"text": value, "value_type": "text"} if kind == "TEXT" else {"correction": value, "text": comment}
