"""Pages of tracing: the list, and the parts that the endpoint's page embeds; one trace is in pages_trace, users in pages_people.

While the span store is away every page still opens and says so; nothing that was journalled is lost meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from noria.core import clock
from noria.core.errors import BadInput
from noria.registry import service as registry
from noria.stores.connect import Stores
from noria.tracing import (
    filters,
    pages_figures,
    pages_imports,
    pages_media,
    pages_people,
    pages_scores,
    pages_trace,
    saved,
    selection,
    service,
    traffic,
    views,
)
from noria.tracing.filters import BadFilter
from noria.tracing.records import TraceFilter, TraceRow, Traffic
from noria.web.actions import MOST_TICKED
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.i18n import of_request, words
from noria.web.paging import Cursor, Limit, Page
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Endpoint = Annotated[str, Query(max_length=200)]
Text = Annotated[str, Query(max_length=500)]
Columns = Annotated[Sequence[str], Query(max_length=20)]

_COUNTED: Final = 100
_FOUND: Final = 10_000
"""So many results of a search are counted: as many as become a dataset at once."""
_NEWEST: Final = 5
_TAILED: Final = 50
_COOKIE: Final = "trace_columns"
COLUMNS: Final = (
    *("answered", "endpoint", "release", "model", "latency", "first_token", "tokens", "cost"),
    *("session", "user", "tags", "feedback", "when"),
)
"""What the list can show beside the question."""
_USUAL: Final = ("answered", "release", "latency", "tokens", "feedback", "when")


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address of the list says. All but `q` and `traffic` are forms and links that write the language into `q`."""

    q: Annotated[str, Query(max_length=4000)] = ""
    traffic: Literal["live", "evaluation", "all"] = "live"
    endpoint: Text | None = None
    release: Text | None = None
    status: Text | None = None
    arm: Text | None = None
    session: Text | None = None
    feedback: Literal["", "yes", "no"] | None = None

    @property
    def written(self) -> str | None:
        """`q` with what the other fields say; None when they say nothing. Raises BadFilter."""
        fields = {"endpoint", "release", "status", "arm", "session"}
        changes = {name: value.strip() for name in sorted(fields) if (value := getattr(self, name)) is not None}
        if self.feedback is None and not changes:
            return None
        q = filters.replaced(self.q, {**changes, **({} if self.feedback is None else {"has": ""})})
        return filters.joined([q, {"yes": "has:feedback", "no": "-has:feedback"}.get(self.feedback or "", "")])

    def which(self, **more: Any) -> TraceFilter:
        return TraceFilter(q=self.written or self.q, live=selection.LIVE[self.traffic], **more)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the list, or why there is none."""

    page: Page[TraceRow]
    away: views.Away | None = None
    refused: BadFilter | None = None


def _find(stores: Stores, project_id: str, asked: Filters, *, limit: int, cursor: str | None) -> Found:
    try:
        which = asked.which()
        service.conditions_of(which)
    except BadFilter as error:
        return Found(_nothing(), refused=error)
    read = partial(service.list_traces, stores, project_id, which, limit=limit, cursor=cursor)
    page, away = views.reach(read, _nothing())
    return Found(page, away)


@router.get("/traces")
def list_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    asked: Annotated[Filters, Depends()],
    tail: bool = False,
    c: Columns = (),
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The newest traces first."""
    if c:  # kept in a cookie, so that links need not carry it
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "c"]
        chosen = RedirectResponse(f"/traces?{urlencode(rest)}", 303)
        names = ".".join(name for name in COLUMNS if name in c)
        chosen.set_cookie(_COOKIE, names, max_age=31_536_000, httponly=True, samesite="lax")
        return chosen
    found = _find(stores, caller.project_id, asked, limit=limit, cursor=cursor)
    if found.refused is None and (written := asked.written) is not None:
        kept = {key: value for key, value in request.query_params.multi_items() if key in {"limit", "tail"}}
        shown = {"traffic": asked.traffic} if asked.traffic != "live" else {}
        return RedirectResponse(f"/traces?{urlencode({'q': written, **shown, **kept})}", 303)
    return render(
        request,
        caller,
        "tracing/list.html",
        status=400 if found.refused else 200,
        **_list(found, _columns(request)),
        asked=asked,
        terms=[] if found.refused else filters.pieces(asked.q),
        without=lambda terms, place: filters.joined(typed for n, (typed, _) in enumerate(terms) if n != place),
        chosen=_chosen(asked.q, found),
        tail=tail and cursor is None and not found.refused,
        first=cursor is None,
        newest=found.page.items[0].start.isoformat() if found.page.items else "",
        endpoints=registry.list_endpoints(stores, caller.project_id, limit=200).items,
        saved=saved.list_views(stores, caller.project_id, caller.id) if caller.kind == "person" else [],
        fields=filters.FIELDS.values(),
        all_columns=COLUMNS,
        gateway=stores.settings.gateway_url,
        server=stores.settings.public_url or stores.settings.server_url,
        most_ticked=MOST_TICKED,
    )


@router.get("/traces/fragments/rows")
def rows_part(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    asked: Annotated[Filters, Depends()],
) -> Response:
    """The newest traces as they come."""
    found = _find(stores, caller.project_id, asked, limit=_TAILED, cursor=None)
    return render(request, caller, "tracing/_rows.html", **_list(found, _columns(request)), tail=True)


@router.get("/traces/fragments/fresh")
def fresh_part(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    asked: Annotated[Filters, Depends()],
    after: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """How many traces have come since the list was shown, as a link that shows them."""
    since = _time(after) + timedelta(microseconds=1) if after else None
    page, _ = views.reach(
        lambda: service.list_traces(stores, caller.project_id, asked.which(since=since), limit=_COUNTED),
        _nothing(),
    )
    return render(request, caller, "tracing/_fresh.html", count=len(page.items), more=page.next is not None)


@router.get("/traces/fragments/count")
def count_part(
    *, request: Request, stores: StoresDep, caller: Viewer, asked: Annotated[Filters, Depends()]
) -> Response:
    """How many traces a search finds; it is asked for once, after the list is shown."""
    count = service.count_traces(stores, caller.project_id, asked.which(), _FOUND + 1)
    return render(request, caller, "tracing/_count.html", count=min(count, _FOUND), more=count > _FOUND)


@router.post("/traces/views")
def save_view(
    stores: StoresDep,
    caller: Viewer,
    *,
    name: Annotated[str, Form()],
    q: Annotated[str, Form()] = "",
    traffic: Annotated[Literal["live", "evaluation", "all"], Form()] = "live",
    columns: Annotated[str, Form()] = "",
) -> Response:
    """Keep this list under a name."""
    chosen = [one for one in columns.split(".") if one in COLUMNS]
    saved.save_view(
        stores, project_id=caller.project_id, person_id=caller.id, name=name, q=q, traffic=traffic, columns=chosen
    )
    return see_other(f"/traces?{_address(q, traffic, chosen)}", "The view is saved.")


@router.post("/traces/views/{view_id}/delete")
def delete_view(stores: StoresDep, caller: Viewer, view_id: str) -> Response:
    """Forget a view."""
    saved.delete_view(stores, project_id=caller.project_id, person_id=caller.id, view_id=view_id)
    return see_other("/traces", "The view is deleted.")


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


def _list(found: Found, columns: list[str]) -> dict[str, Any]:
    return {
        "page": found.page,
        "away": found.away,
        "refused": found.refused,
        "columns": columns,
        "opinion": views.opinion,
        "address": _address,
    }


def _columns(request: Request) -> list[str]:
    """The columns that were chosen last, else the usual ones."""
    names = request.cookies.get(_COOKIE, "").split(".")
    return [name for name in COLUMNS if name in names] or list(_USUAL)


def _address(q: str, traffic: str, columns: Sequence[str]) -> str:
    return urlencode(
        [("q", q), *([("traffic", traffic)] if traffic != "live" else []), *(("c", one) for one in columns)]
    )


def _chosen(q: str, found: Found) -> dict[str, str]:
    """What the form of choices shows as chosen."""
    terms = filters.parse(q) if found.refused is None else ()
    judged = [one.negated for one in terms if one.field == "has" and one.value == "feedback"]
    names = ("endpoint", "release", "status", "arm", "session")
    chosen = {name: filters.value_of(terms, name) for name in names}
    return chosen | {"feedback": ("no" if judged[0] else "yes") if judged else ""}


def _nothing() -> Page[TraceRow]:
    return Page([])


def _time(text: str) -> datetime:
    """A moment in ISO 8601. Raises BadInput."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput("That is no moment.", hint="Like 2026-05-01T12:00:00+00:00.") from error


router.include_router(pages_figures.router)
router.include_router(pages_imports.router)
router.include_router(pages_media.router)
router.include_router(pages_people.router)
router.include_router(pages_scores.router)
router.include_router(pages_trace.router)
