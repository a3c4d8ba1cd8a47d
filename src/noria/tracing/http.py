"""JSON API of tracing: traces, feedback, traffic."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from noria.core import clock
from noria.core.errors import BadInput
from noria.tracing import export, groups, outline, retention, room, service, traffic
from noria.tracing.records import Feedback, Group, Step, Trace, TraceFilter, TraceRow, Traffic
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(prefix="/api", tags=["traces"])

_Q = 'A filter, like status:error model:gpt-4o* cost>0.01 "refund"; docs/filters.md has its fields.'
Filter = Annotated[str, Query(max_length=1000, description=_Q)]
Days = Annotated[int, Query(ge=1, le=3650)]


class NewFeedback(BaseModel):
    """A user's judgement of an answer."""

    trace_id: str = Field(description="The answer's header x-noria-trace-id.")
    span_id: str = ""
    name: str = Field("feedback", description="What is judged, if an application asks more than one thing.")
    value: float | None = Field(None, description="A number: 1 and 0, 1 and -1, or whatever scale you keep to.")
    label: str = ""
    text: str = Field("", description="The user's own words.")
    correction: str = Field("", description="The answer that should have been given.")
    key: str = Field("", description="Feedback with the same trace, name and key replaces what was there.")


@router.get("/traces")
def list_traces(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    endpoint: str = "",
    release: int | None = None,
    status: Literal["", "ok", "error"] = "",
    session: str = "",
    live: bool | None = None,
    arm: Literal["", "primary", "canary", "shadow", "candidate"] = "",
    feedback: Feedback | None = None,
    model: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    q: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TraceRow]:
    """The newest traces first. Input and output are cut short; open a trace to read all of it."""
    which = TraceFilter(
        endpoint=endpoint,
        release=release,
        status=status,
        session=session,
        live=live,
        arm=arm,
        feedback=feedback,
        model=model,
        since=since,
        until=until,
        q=q,
    )
    return service.list_traces(stores, caller.project_id, which, limit=limit, cursor=cursor)


@router.get("/traces/export")
def export_traces(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    format: export.Format = "jsonl",
    q: Filter = "",
    cursor: Cursor = None,
) -> StreamingResponse:
    """Every span of the traces that `q` lets through, streamed, newest trace first; JSON lines tell cursors to go on from."""
    which = service.conditions_of(TraceFilter(q=q))
    pieces = export.stream(stores, caller.project_id, which, format, cursor)
    headers = {"content-disposition": f'attachment; filename="traces.{format}"'}
    return StreamingResponse(pieces, media_type=export.MEDIA[format], headers=headers)


@router.get("/sessions")
def list_sessions(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    days: Days = 30,
    q: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Group]:
    """Sessions of the last days, the latest first."""
    since = clock.now() - timedelta(days=days)
    return groups.groups(stores, caller.project_id, "session", since=since, q=q, limit=limit, cursor=cursor)


@router.get("/users")
def list_users(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    days: Days = 30,
    q: Filter = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Group]:
    """Users of the last days with what they caused, whoever asked last first."""
    since = clock.now() - timedelta(days=days)
    return groups.groups(stores, caller.project_id, "user", since=since, q=q, limit=limit, cursor=cursor)


@router.get("/traces/{trace_id}/spans")
def list_spans(
    trace_id: str,
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    q: Annotated[str, Query(max_length=1000, description="Words or terms; at most 200 spans are found.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Step]:
    """The outline of a trace in reading order, without payloads; for traces too large to take at once."""
    return outline.page(stores, caller.project_id, trace_id, q=q, limit=limit, cursor=cursor)


@router.get("/traces/{trace_id}")
def get_trace(trace_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> Trace:
    """One trace: its spans as a tree in reading order, and its scores."""
    return service.get_trace(stores, caller.project_id, trace_id)


@router.post("/feedback", status_code=202)
def give_feedback(body: NewFeedback, stores: StoresDep, caller: Annotated[Caller, allow("feedback")]) -> dict[str, str]:
    """Judge an answer, right after it or any time later; once accepted, the judgement cannot be lost."""
    score = service.give_feedback(
        stores,
        project_id=caller.project_id,
        author_id=caller.id,
        source="user" if caller.kind == "key" else "person",
        **body.model_dump(),
    )
    return {"score_id": score.score_id, "trace_id": score.trace_id}


@router.get("/traffic")
def get_traffic(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    endpoint: str = "",
    minutes: Annotated[int, Query(ge=1, le=43_200)] = 60,
    all_traffic: bool = False,
) -> dict[str, Any]:
    """Figures per minute for each release and arm, and their sums; evaluations are left out unless `all_traffic`."""
    points = traffic.traffic(stores, caller.project_id, endpoint, minutes, live_only=not all_traffic)
    series: dict[tuple[str, int, str], list[Traffic]] = {}
    for point in points:
        series.setdefault((point.endpoint, point.release, point.arm), []).append(point)
    return {
        "series": [
            {"endpoint": name, "release": release, "arm": arm, "points": points}
            for (name, release, arm), points in series.items()
        ]
    }


@router.get("/traffic/summary")
def get_summary(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    endpoint: str = "",
    since: datetime | None = None,
    all_traffic: bool = False,
) -> dict[str, list[Traffic]]:
    """Figures for each release and arm since a moment."""
    if since is not None and since.year < 1971:
        raise BadInput("since lies before anything that could be kept.")
    return {"items": traffic.summary(stores, caller.project_id, endpoint, since, live_only=not all_traffic)}


@router.get("/storage")
def get_storage(stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> dict[str, Any]:
    """What spans and journals take of the disk, and this project's weeks, oldest first. `level` is ok, budget or reserve."""
    found = room.look(stores.settings, stores.spans)
    own = [part for part in retention.parts(stores.spans) if part.project_id == caller.project_id]
    weeks = [{"table": part.table, "week": part.week, "rows": part.rows, "bytes": part.bytes} for part in own]
    return {**asdict(found), "used": found.used, "level": found.level, "warning": found.words(), "weeks": weeks}
