"""Pages of users and sessions: who asked, what it cost, and one conversation from its first question to its last answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from noria.core import clock
from noria.core.errors import NotFound
from noria.core.records import Span
from noria.tracing import filters, groups, service, views
from noria.tracing.filters import BadFilter
from noria.tracing.reading import moment
from noria.tracing.records import Group, ScoreView
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page
from noria.web.templates import render

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Words = Annotated[str, Query(max_length=1000)]
Days = Annotated[int, Query(ge=1, le=3650)]
_TIMES: Final = (1, 7, 30, 90)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One trace of a conversation: what is new in it, and the answer."""

    span: Span
    start: datetime
    seconds: float
    asked: list[views.Turn]
    answered: list[views.Turn]
    opinion: views.Opinion


@router.get("/users")
def users_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    q: Words = "",
    days: Days = 30,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Who asked last, and what each caused."""
    context = _grouped(stores, caller, "user", q=q, days=days, limit=limit, cursor=cursor)
    return render(request, caller, "tracing/groups.html", by="user", **context)


@router.get("/sessions")
def sessions_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    q: Words = "",
    days: Days = 30,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Conversations, the latest first."""
    context = _grouped(stores, caller, "session", q=q, days=days, limit=limit, cursor=cursor)
    return render(request, caller, "tracing/groups.html", by="session", **context)


@router.get("/sessions/{session_id:path}")
def session_page(
    request: Request, stores: StoresDep, caller: Viewer, session_id: str, *, cursor: Cursor = None
) -> Response:
    """One conversation as it was had."""
    nothing: Page[Span] = Page([])
    read = partial(groups.conversation, stores, caller.project_id, session_id, cursor=cursor)
    page, away = views.reach(read, nothing)
    if not page.items and not away:
        raise NotFound(
            "There is no such session.", hint="A trace is there a second after its answer; older ones expire."
        )
    traces = [span.trace_id for span in page.items]
    unjudged: dict[str, list[ScoreView]] = {}
    scores, _ = views.reach(lambda: service.scores_of(stores, caller.project_id, traces), unjudged)
    return render(
        request,
        caller,
        "tracing/session.html",
        session_id=session_id,
        exchanges=_exchanges(page.items, scores),
        users=list(dict.fromkeys(span.subject_id for span in page.items if span.subject_id)),
        page=page,
        away=away,
        term=filters.term,
    )


def _grouped(stores: StoresDep, caller: Caller, by: groups.By, *, q: str, days: int, **where: Any) -> dict[str, Any]:
    nothing: Page[Group] = Page([])
    refused = away = None
    page = nothing
    since = clock.now() - timedelta(days=days)
    try:
        filters.parse(q)
        page, away = views.reach(
            lambda: groups.groups(stores, caller.project_id, by, since=since, q=q, **where), nothing
        )
    except BadFilter as error:
        refused = error
    return {"page": page, "away": away, "refused": refused, "q": q, "days": days, "times": _TIMES, "term": filters.term}


def _exchanges(spans: list[Span], scores: dict[str, list[ScoreView]]) -> list[Exchange]:
    """A client sends all that was said before with each question: only what follows the last answer is new."""
    found: list[Exchange] = []
    for span in spans:
        last = max((n for n, said in enumerate(span.input_messages) if said.get("role") == "assistant"), default=-1)
        new = span.input_messages[last + 1 :]
        if found:
            new = [said for said in new if said.get("role") != "system"]
        found.append(
            Exchange(
                span=span,
                start=moment(span.start_ns),
                seconds=max(span.end_ns - span.start_ns, 0) / 1e9,
                asked=views.turns(new or span.input_messages[-1:]),
                answered=views.turns(span.output_messages),
                opinion=views.opinion(scores.get(span.trace_id, [])),
            )
        )
    return found
