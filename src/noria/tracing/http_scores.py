"""JSON API of scores, and the one path where anybody may give feedback: by a signed link."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from noria.core.records import ScoreSource
from noria.tracing import scores
from noria.tracing.records import NewScore, ScoreFilter, ScoreRow
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(prefix="/api", tags=["scores"])
Type = Literal["", "numeric", "categorical", "boolean", "text"]
_ANYWHERE = {"access-control-allow-origin": "*", "access-control-allow-headers": "content-type"}


class ScoreBody(BaseModel):
    """One score."""

    name: str = Field(description="What is judged: small letters, digits, '_', '.', '-'.")
    value: StrictBool | StrictInt | StrictFloat | StrictStr = Field(
        description="A number, true or false, a category, or a text."
    )
    type: Type = Field("", description="Only needed for text; everything else shows in the value.")
    source: ScoreSource = Field(
        "user", description="Who judged: a user, a person who labels, code, or a model as judge."
    )
    trace_id: str = Field("", description="The trace that is judged; or session_id.")
    span_id: str = Field("", description="A span of the trace.")
    session_id: str = Field("", description="The session that is judged.")
    comment: str = Field("", description="Why.")
    key: str = Field("", description="A score of the same target, name and key replaces what was there.")
    time: datetime | None = Field(None, description="When it was judged; now.")


class ScoreBatch(BaseModel):
    """Many scores at once: all are kept or none."""

    scores: list[ScoreBody] = Field(min_length=1, max_length=1000)


class LinkFeedback(BaseModel):
    """A user's judgement by a link."""

    name: str = "feedback"
    value: float | None = None
    label: str = Field("", max_length=200)
    text: str = Field("", max_length=10_000)
    correction: str = Field("", max_length=20_000)


def _signed(request: Request, stores: StoresDep) -> scores.SignedFeedback:
    state = request.app.state
    if not hasattr(state, "signed_feedback"):
        state.signed_feedback = scores.SignedFeedback(stores)
    found: scores.SignedFeedback = state.signed_feedback
    return found


@router.post("/scores", status_code=202)
def give_scores(
    body: ScoreBody | ScoreBatch, stores: StoresDep, caller: Annotated[Caller, allow("feedback")]
) -> dict[str, list[dict[str, str]]]:
    """Give one score, or up to 1,000 as {"scores": [...]}; once accepted they cannot be lost. Give keys, so that you may send again."""
    given = body.scores if isinstance(body, ScoreBatch) else [body]
    kept = scores.give_scores(stores, caller, [NewScore(**score.model_dump()) for score in given])
    return {"items": [{"score_id": score.score_id} for score in kept]}


@router.get("/scores")
def list_scores(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    trace_id: str = "",
    span_id: str = "",
    session_id: str = "",
    name: str = "",
    source: Literal["", "user", "person", "code", "judge"] = "",
    type: Type = "",
    label: str = "",
    author_id: str = "",
    least: float | None = None,
    most: float | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ScoreRow]:
    """The newest scores first; `least` and `most` bound numbers, `since` and `until` the time of judging."""
    which = ScoreFilter(
        trace_id=trace_id,
        span_id=span_id,
        session_id=session_id,
        name=name,
        source=source,
        type=type,
        label=label,
        author_id=author_id,
        least=least,
        most=most,
        since=since,
        until=until,
    )
    return scores.list_scores(stores, caller.project_id, which, limit=limit, cursor=cursor)


@router.options("/feedback/signed/{token}", include_in_schema=False)
async def may_give_signed_feedback() -> Response:
    """Whether a page of another origin may give feedback: any may."""
    return Response(status_code=204, headers={**_ANYWHERE, "access-control-allow-methods": "POST"})


@router.post("/feedback/signed/{token}", status_code=202)
def give_signed_feedback(
    token: str,
    body: LinkFeedback,
    response: Response,
    signed: Annotated[scores.SignedFeedback, Depends(_signed)],
) -> dict[str, Any]:
    """Judge an answer by the link in its header x-noria-feedback-url: no key is needed, a browser may call it from any page."""
    response.headers.update(_ANYWHERE)
    score = signed.give(token, **body.model_dump())
    return {"score_id": score.score_id, "trace_id": score.trace_id}
