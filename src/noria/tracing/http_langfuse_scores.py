"""Scores of Langfuse's clients: given one by one or in lists (as events: http_langfuse_ingestion), and read in three versions of the API."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response

from noria.core.errors import BadInput, NotFound
from noria.tracing import langfuse_scores as scores
from noria.tracing.langfuse_scores import Asked
from noria.tracing.langfuse_shapes import score, score_v3
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.langfuse import Names, PageNumber, PageSize, paged, words
from noria.web.paging import Cursor

router = APIRouter(prefix="/api/public", tags=["Langfuse: scores"])

Viewer = Annotated[Caller, allow("view")]
Giver = Annotated[Caller, allow("feedback")]
_MOST = 1000
_COMPARISONS = Literal["", ">", "<", ">=", "<=", "="]


@router.post("/scores")
def langfuse_give_scores(
    body: Annotated[dict[str, Any] | list[Any], Body()], stores: StoresDep, caller: Giver, response: Response
) -> dict[str, Any]:
    """One score gives its id; a list gives 202, or 207 with what was wrong with those that were not kept."""
    if isinstance(body, dict):
        only = scores.keep(stores, caller, [body])[0]
        if isinstance(only, BadInput):
            raise only
        return {"id": only}
    if len(body) > _MOST:
        raise BadInput(f"A list holds at most {_MOST:,} scores; none was kept.")
    outcomes = scores.keep(stores, caller, body)
    wrong = [one for one in outcomes if isinstance(one, BadInput)]
    if not wrong:
        response.status_code = 202
        return {"message": "Accepted"}
    response.status_code = 207
    errors = [{"message": f"{one.message} {one.hint}".strip()} for one in wrong]
    return {"accepted": len(outcomes) - len(wrong), "rejected": len(wrong), "errors": errors}


@router.get("/v3/scores")
def langfuse_scores_v3(
    stores: StoresDep,
    caller: Viewer,
    *,
    limit: PageSize = 50,
    cursor: Cursor = None,
    id: str = "",
    name: str = "",
    source: str = "",
    dataType: str = "",
    environment: str = "",
    authorUserId: str = "",
    value: Annotated[str, Query(description="Categories, numbers, or true and false.")] = "",
    valueMin: float | None = None,
    valueMax: float | None = None,
    traceId: str = "",
    sessionId: str = "",
    observationId: str = "",
    experimentId: str = "",
    fromTimestamp: datetime | None = None,
    toTimestamp: datetime | None = None,
) -> dict[str, Any]:
    """Scores by cursor, the newest first; lists are comma-separated."""
    asked = Asked(
        id=words(id),
        name=words(name),
        source=words(source),
        data_type=words(dataType),
        environment=words(environment),
        author=words(authorUserId),
        trace=words(traceId),
        session=words(sessionId),
        span=words(observationId),
        experiment=words(experimentId),
        text=[word.lower() if word.lower() in {"true", "false"} else word for word in words(value)],
        least=valueMin,
        most=valueMax,
        since=fromTimestamp,
        until=toTimestamp,
    )
    found = scores.read(stores, caller.project_id, _numbers(asked), limit=limit, cursor=cursor)
    return {"data": [score_v3(one) for one in found.items], "meta": {"cursor": found.next, "limit": limit}}


@router.get("/v2/scores")
def langfuse_scores_v2(
    stores: StoresDep,
    caller: Viewer,
    *,
    page: PageNumber = 1,
    limit: PageSize = 50,
    name: str = "",
    source: str = "",
    dataType: str = "",
    environment: Names = None,
    operator: _COMPARISONS = "",
    value: float | None = None,
    scoreIds: str = "",
    traceId: str = "",
    sessionId: str = "",
    observationId: str = "",
    datasetRunId: str = "",
    fromTimestamp: datetime | None = None,
    toTimestamp: datetime | None = None,
) -> dict[str, Any]:
    """Scores by page, the newest first."""
    if operator in {">", "<"}:
        raise BadInput("Scores are compared with >=, <= or =.", hint="The third version has valueMin and valueMax.")
    asked = Asked(
        id=words(scoreIds),
        name=[name] if name else [],
        source=[source] if source else [],
        data_type=[dataType] if dataType else [],
        environment=environment or [],
        trace=[traceId] if traceId else [],
        session=[sessionId] if sessionId else [],
        span=words(observationId),
        experiment=[datasetRunId] if datasetRunId else [],
        least=value if operator in {">=", "="} else None,
        most=value if operator in {"<=", "="} else None,
        since=fromTimestamp,
        until=toTimestamp,
    )
    found = scores.read(stores, caller.project_id, asked, limit=limit, offset=(page - 1) * limit)
    return paged([score(one) for one in found.items], page, limit, scores.count(stores, caller.project_id, asked))


@router.get("/v2/scores/{score_id}")
def langfuse_score(score_id: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One score."""
    found = scores.read(stores, caller.project_id, Asked(id=[score_id]), limit=1).items
    if not found:
        raise NotFound("There is no such score.", hint="It is there a second after it was given.")
    return score(found[0])


def _numbers(asked: Asked) -> Asked:
    """A single number among the values bounds from both sides."""
    if len(asked.text) == 1 and asked.least is asked.most is None:
        try:
            number = float(asked.text[0])
        except ValueError:
            return asked
        return asked.model_copy(update={"text": [], "least": number, "most": number})
    return asked
