"""Pages of tracing: the list, one trace, and the parts that the endpoint's page embeds.

While the span store is away every page still opens and says so; nothing that was journalled is lost meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from noria.core import clock
from noria.core.errors import BadInput
from noria.registry import service as registry
from noria.tracing import service, traffic, views
from noria.tracing.records import Trace, TraceFilter, TraceRow, Traffic
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.i18n import of_request, words
from noria.web.paging import Cursor, Limit, Page
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Judge = Annotated[Caller, allow("feedback")]
Endpoint = Annotated[str, Query(max_length=200)]
Text = Annotated[str, Query(max_length=500)]

_LIVE: Final = {"live": True, "evaluation": False, "all": None}
_COUNTED: Final = 100
_NEWEST: Final = 5
_YOUNG: Final = timedelta(hours=1)
"""How long after a trace its page keeps asking for new judgements."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the form above the list says; empty text does not restrict."""

    q: Text = ""
    endpoint: Text = ""
    release: Annotated[str, Query(max_length=9)] = ""
    status: Literal["", "ok", "error"] = ""
    arm: Literal["", "primary", "canary", "shadow", "candidate"] = ""
    feedback: Literal["", "yes", "no"] = ""
    session: Text = ""
    traffic: Literal["live", "evaluation", "all"] = "live"

    @property
    def narrowed(self) -> bool:
        """Whether a list could be empty because of what was asked for."""
        return any((self.q, self.endpoint, self.release, self.status, self.arm, self.feedback, self.session))

    @property
    def more(self) -> bool:
        """Whether something is set that the form shows only when opened."""
        return any((self.release, self.status, self.arm, self.feedback, self.session))

    def which(self, **more: Any) -> TraceFilter:
        release = self.release.strip()
        if release and not (release.isascii() and release.isdecimal()):
            raise BadInput("A release is a number.", hint="Like 2.")
        return TraceFilter(
            q=self.q,
            endpoint=self.endpoint.strip(),
            release=int(release) if release else None,
            status=self.status,
            arm=self.arm,
            feedback=self.feedback or None,
            session=self.session.strip(),
            live=_LIVE[self.traffic],
            **more,
        )


@router.get("/traces")
def list_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    filters: Annotated[Filters, Depends()],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The newest traces first."""
    which = filters.which()
    page, away = views.reach(
        lambda: service.list_traces(stores, caller.project_id, which, limit=limit, cursor=cursor), _nothing()
    )
    return render(
        request,
        caller,
        "tracing/list.html",
        page=page,
        away=away,
        filters=filters,
        first=cursor is None,
        newest=page.items[0].start.isoformat() if page.items else "",
        endpoints=registry.list_endpoints(stores, caller.project_id, limit=200).items,
        opinion=views.opinion,
        gateway=stores.settings.gateway_url,
    )


@router.get("/traces/fragments/fresh")
def fresh_part(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    filters: Annotated[Filters, Depends()],
    after: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """How many traces have come since the list was shown, as a link that shows them."""
    since = _time(after) + timedelta(microseconds=1) if after else None
    page, _ = views.reach(
        lambda: service.list_traces(stores, caller.project_id, filters.which(since=since), limit=_COUNTED),
        _nothing(),
    )
    more = page.next is not None
    return render(request, caller, "tracing/_fresh.html", count=len(page.items), more=more, filters=filters)


@router.get("/traces/fragments/traffic")
def traffic_part(request: Request, stores: StoresDep, caller: Viewer, endpoint: Endpoint) -> Response:
    """One endpoint's last hour: requests a minute of each arm, and the arms' figures."""
    now = clock.now()
    nothing: tuple[list[Traffic], list[Traffic]] = ([], [])
    (minutes, sums), away = views.reach(
        lambda: (
            traffic.traffic(stores, caller.project_id, endpoint, 59),
            traffic.summary(stores, caller.project_id, endpoint, now - timedelta(minutes=60)),
        ),
        nothing,
    )
    say = words(of_request(request))
    spec = views.per_minute(minutes, now, 60, lambda row: f"{say('release')} {row.release} · {say(row.arm)}")
    return render(
        request,
        caller,
        "tracing/_traffic.html",
        endpoint=endpoint,
        spec=spec if minutes else None,
        arms=views.arms(sums),
        away=away,
    )


@router.get("/traces/fragments/newest")
def newest_part(request: Request, stores: StoresDep, caller: Viewer, endpoint: Endpoint = "") -> Response:
    """The newest traces of an endpoint, or of all of them."""
    page, away = views.reach(
        lambda: service.list_traces(
            stores, caller.project_id, TraceFilter(endpoint=endpoint, live=True), limit=_NEWEST
        ),
        _nothing(),
    )
    return render(request, caller, "tracing/_newest.html", endpoint=endpoint, rows=page.items, away=away)


@router.get("/traces/{trace_id}")
def trace_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    trace_id: str,
    span: Annotated[str, Query(max_length=16)] = "",
    judged: bool = False,
) -> Response:
    """What was asked and answered, by what, what people thought, and then every figure."""
    trace, away = views.reach(lambda: _trace(stores, caller.project_id, trace_id), None)
    if trace is None:
        return render(request, caller, "tracing/away.html", away=away, trace_id=trace_id)
    top = views.head(trace)
    chosen = next((node for node in trace.spans if node.span["span_id"] == span), top)
    asked, answered = _inside(top.span)
    return render(
        request,
        caller,
        "tracing/trace.html",
        **_judgements(trace, top.span),
        top=top,
        chosen=chosen,
        asked=asked,
        answered=answered,
        title=next((turn.text for turn in reversed(asked) if turn.text), "") or top.span["name"],
        inner=None if chosen is top else _inside(chosen.span),
        bars=views.waterfall(trace),
        live=judged or clock.now() - trace.start < _YOUNG,
        mine=next((one for one in reversed(trace.scores) if one.author_id == caller.id), None),
    )


@router.get("/traces/{trace_id}/feedback")
def feedback_part(request: Request, stores: StoresDep, caller: Viewer, trace_id: str) -> Response:
    """The part of a trace's page that follows its judgements."""
    trace = _trace(stores, caller.project_id, trace_id)
    top = views.head(trace)
    return render(request, caller, "tracing/_feedback.html", **_judgements(trace, top.span), live=True)


@router.post("/traces/{trace_id}/feedback")
def judge(
    stores: StoresDep,
    caller: Judge,
    trace_id: str,
    *,
    verdict: Annotated[Literal["", "good", "bad"], Form()] = "",
    correction: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
) -> Response:
    """A person's judgement; judging again replaces it."""
    service.give_feedback(
        stores,
        project_id=caller.project_id,
        author_id=caller.id,
        source="person",
        trace_id=trace_id,
        value={"good": 1.0, "bad": 0.0}.get(verdict),
        text=text.strip(),
        correction=correction.strip(),
        key=f"person:{caller.id}",
    )
    return see_other(f"/traces/{trace_id}?judged=1#feedback", "Your judgement is kept. It shows here in a moment.")


def _nothing() -> Page[TraceRow]:
    return Page([])


def _time(text: str) -> datetime:
    """A moment in ISO 8601. Raises BadInput."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput("That is no moment.", hint="Like 2026-05-01T12:00:00+00:00.") from error


def _trace(stores: StoresDep, project_id: str, trace_id: str) -> Trace:
    return service.get_trace(stores, project_id, trace_id)


def _judgements(trace: Trace, span: dict[str, Any]) -> dict[str, Any]:
    """Who said what, newest first, with corrections as differences from the answer."""
    given = "\n".join(turn.text for turn in views.turns(span.get("output_messages", [])))
    scores = [
        (score, views.sign(score), views.difference(given, score.correction) if score.correction else [])
        for score in reversed(trace.scores)
    ]
    return {"trace": trace, "scores": scores}


def _inside(span: dict[str, Any]) -> tuple[list[views.Turn], list[views.Turn]]:
    return views.turns(span.get("input_messages", [])), views.turns(span.get("output_messages", []))
