"""Traces, observations, sessions and experiments as Langfuse's clients read them back (docs/moving-from-langfuse.md)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from noria.core.errors import BadInput, NotFound
from noria.tracing import langfuse_reading as reading
from noria.tracing import langfuse_scores as scores
from noria.tracing import langfuse_shapes as shapes
from noria.tracing.imports import items
from noria.tracing.langfuse_filters import Conditions, groups, of_filter, of_own_id, of_parameters
from noria.tracing.reading import moment
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.langfuse import Names, PageNumber, PageSize, paged, time_text, words
from noria.web.paging import Cursor

router = APIRouter(prefix="/api/public", tags=["Langfuse: traces"])

Viewer = Annotated[Caller, allow("view")]
Level = Literal["DEBUG", "DEFAULT", "WARNING", "ERROR"]
_FIELDS = "core, io, scores, observations, metrics; all when left out."
_FILTER = "A JSON list of conditions, as Langfuse's documentation has them."


@router.get("/traces")
def langfuse_traces(
    stores: StoresDep,
    caller: Viewer,
    *,
    page: PageNumber = 1,
    limit: PageSize = 50,
    userId: str = "",
    name: str = "",
    sessionId: str = "",
    fromTimestamp: datetime | None = None,
    toTimestamp: datetime | None = None,
    orderBy: str = "timestamp.desc",
    tags: Names = None,
    environment: Names = None,
    fields: Annotated[str, Query(description=_FIELDS)] = "",
) -> dict[str, Any]:
    """Traces by page, the newest first."""
    column, _, direction = orderBy.partition(".")
    if column != "timestamp" or direction.lower() not in {"", "asc", "desc"}:
        raise BadInput("Traces are ordered by their time.", hint="orderBy=timestamp.asc or timestamp.desc.")
    found = reading.traces(
        stores,
        caller.project_id,
        page=page,
        limit=limit,
        name=name,
        user=userId,
        session=sessionId,
        tags=tags or (),
        environments=environment or (),
        since=fromTimestamp,
        until=toTimestamp,
        oldest_first=direction.lower() == "asc",
    )
    judged = scores.of_traces(stores, caller.project_id, [told.about[0].trace_id for told in found.traces])
    items = []
    for told in found.traces:
        item = shapes.trace(told)
        item["observations"] = told.span_ids
        item["scores"] = [score.score_id for score in judged.get(item["id"], [])]
        items.append(_without(item, fields))
    return paged(items, page, limit, found.total)


@router.get("/traces/{trace_id}")
def langfuse_trace(
    trace_id: str, stores: StoresDep, caller: Viewer, fields: Annotated[str, Query(description=_FIELDS)] = ""
) -> dict[str, Any]:
    """One trace with all its observations and scores."""
    spans = reading.trace_spans(stores, caller.project_id, trace_id)
    whole = shapes.trace(shapes.Told.of(spans, spans))
    whole["observations"] = [shapes.observation(span) for span in spans]
    judged = scores.of_traces(stores, caller.project_id, [spans[0].trace_id])
    whole["scores"] = [shapes.score(score) for found in judged.values() for score in found]
    return _without(whole, fields)


@router.get("/observations")
def langfuse_observations(
    stores: StoresDep,
    caller: Viewer,
    *,
    page: PageNumber = 1,
    limit: PageSize = 50,
    name: str | None = None,
    userId: str | None = None,
    type: str | None = None,
    traceId: str | None = None,
    level: Level | None = None,
    parentObservationId: str | None = None,
    environment: Names = None,
    fromStartTime: datetime | None = None,
    toStartTime: datetime | None = None,
    version: str | None = None,
    filter: Annotated[str, Query(max_length=20_000, description=_FILTER)] = "",
) -> dict[str, Any]:
    """Observations by page, the newest first."""
    given = {"name": name, "userId": userId, "type": type, "traceId": traceId, "level": level}
    given |= {"parentObservationId": parentObservationId, "version": version}
    asked = _asked({**given, "environment": environment}, filter)
    found = reading.observations(
        stores,
        caller.project_id,
        asked,
        limit=limit,
        offset=(page - 1) * limit,
        since=fromStartTime,
        until=toStartTime,
    )
    total = reading.count_observations(stores, caller.project_id, asked, fromStartTime, toStartTime)
    return paged([shapes.observation(span) for span in found.items], page, limit, total)


@router.get("/observations/{observation_id}")
def langfuse_observation(observation_id: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """One observation."""
    asked = [of_own_id(observation_id)]
    found = reading.observations(stores, caller.project_id, asked, limit=1).items
    if not found:
        raise NotFound(
            "There is no such observation.", hint="It is there a second after it was sent; older ones expire."
        )
    return shapes.observation(found[0])


@router.get("/v2/observations")
def langfuse_observations_v2(
    stores: StoresDep,
    caller: Viewer,
    *,
    fields: Annotated[str, Query(description=f"Any of {', '.join(shapes.GROUPS)}; basic when left out.")] = "",
    limit: PageSize = 50,
    cursor: Cursor = None,
    name: str | None = None,
    userId: str | None = None,
    sessionId: str | None = None,
    type: str | None = None,
    traceId: str | None = None,
    level: Level | None = None,
    parentObservationId: str | None = None,
    isRootObservation: bool | None = None,
    environment: Names = None,
    fromStartTime: datetime | None = None,
    toStartTime: datetime | None = None,
    version: str | None = None,
    filter: Annotated[str, Query(max_length=20_000, description=_FILTER)] = "",
) -> dict[str, Any]:
    """Observations by cursor, the newest first, in groups of fields."""
    given = {"name": name, "userId": userId, "sessionId": sessionId, "type": type, "traceId": traceId, "level": level}
    given |= {"parentObservationId": parentObservationId, "version": version}
    asked = _asked({**given, "environment": environment, "isRootObservation": isRootObservation}, filter)
    found = reading.observations(
        stores, caller.project_id, asked, limit=limit, cursor=cursor, since=fromStartTime, until=toStartTime
    )
    wanted = groups(fields)
    items = [shapes.in_groups(shapes.observation(span), wanted) for span in found.items]
    return {"data": items, "meta": {"cursor": found.next}}


@router.get("/sessions")
def langfuse_sessions(
    stores: StoresDep,
    caller: Viewer,
    *,
    page: PageNumber = 1,
    limit: PageSize = 50,
    fromTimestamp: datetime | None = None,
    toTimestamp: datetime | None = None,
) -> dict[str, Any]:
    """Sessions by page, the newest first."""
    found, total = reading.sessions(
        stores, caller.project_id, page=page, limit=limit, since=fromTimestamp, until=toTimestamp
    )
    return paged([_session(caller.project_id, *one) for one in found], page, limit, total)


@router.get("/sessions/{session_id:path}")
def langfuse_session(session_id: str, stores: StoresDep, caller: Viewer) -> dict[str, Any]:
    """A session with its traces, the oldest first; at most 1,000 of them."""
    found = reading.traces(stores, caller.project_id, page=1, limit=1000, session=session_id, oldest_first=True)
    if not found.traces:
        raise NotFound("There is no such session.", hint="A session is there when one of its traces is.")
    told = _session(caller.project_id, session_id, found.traces[0].start_ns)
    return {**told, "traces": [shapes.trace(one) for one in found.traces]}


@router.get("/experiments")
def langfuse_experiments(
    stores: StoresDep,
    caller: Viewer,
    *,
    fromStartTime: datetime,
    toStartTime: datetime | None = None,
    fields: Annotated[str, Query(description="core, metadata, scores.")] = "",
    limit: PageSize = 50,
    cursor: Cursor = None,
    id: str = "",
    name: str = "",
    datasetId: str = "",
) -> dict[str, Any]:
    """Experiments by cursor, the latest first; the lists are comma-separated."""
    only = {"id": words(id), "name": words(name), "dataset.id": words(datasetId)}
    found = reading.experiments(
        stores, caller.project_id, since=fromStartTime, until=toStartTime, limit=limit, cursor=cursor, only=only
    )
    wanted = words(fields)
    judged = scores.of_experiments(stores, caller.project_id, [row["id"] for row in found.items], wanted)
    items = []
    for row in found.items:
        item = {
            "id": row["id"],
            "name": row["name"],
            "description": row["description"] or None,
            "startTime": time_text(moment(row["first"])),
            "endTime": time_text(moment(row["ended"])),
            "itemCount": row["items"],
            "datasetId": row["dataset_id"] or None,
        }
        if "metadata" in wanted:
            item["metadata"] = shapes.object_in(row["metadata"])
        if "scores" in wanted:
            item["scores"] = [shapes.score_v3(score) for score in judged.get(row["id"], [])]
        items.append(item)
    return {"data": items, "meta": {"cursor": found.next}}


@router.get("/experiment-items")
def langfuse_experiment_items(
    stores: StoresDep,
    caller: Viewer,
    *,
    fromStartTime: datetime,
    toStartTime: datetime | None = None,
    fields: Annotated[str, Query(description="core, io, metadata, scores.")] = "",
    limit: PageSize = 50,
    cursor: Cursor = None,
    experimentId: str = "",
    experimentName: str = "",
    experimentItemId: str = "",
    datasetId: str = "",
) -> dict[str, Any]:
    """What was run of each item of experiments, by cursor, the newest first."""
    only = {
        "id": words(experimentId),
        "name": words(experimentName),
        "item.id": words(experimentItemId),
        "dataset.id": words(datasetId),
    }
    found = reading.experiment_items(
        stores, caller.project_id, since=fromStartTime, until=toStartTime, limit=limit, cursor=cursor, only=only
    )
    judged = (
        scores.of_traces(stores, caller.project_id, [span.trace_id for span in found.items])
        if "scores" in words(fields)
        else None
    )
    items = [shapes.experiment_item(span, judged) for span in found.items]
    return {"data": items, "meta": {"cursor": found.next}}


def _asked(given: dict[str, Any], filter_: str) -> list[Conditions]:
    """Langfuse's rule: a filter stands in the place of the other conditions."""
    if filter_:
        return [of_filter(filter_)]
    if given.get("type"):
        given["type"] = str(given["type"]).upper()
    trace = str(given.get("traceId") or "").strip()
    if trace:
        given["traceId"] = items.trace_id(trace)
        if given.get("parentObservationId"):
            given["parentObservationId"] = items.span_id(given["parentObservationId"], given["traceId"])
    return [of_parameters(given)]


def _session(project_id: str, session_id: str, start_ns: int) -> dict[str, Any]:
    created = time_text(moment(start_ns))
    return {"id": session_id, "createdAt": created, "projectId": project_id, "environment": "default"}


def _without(trace: dict[str, Any], fields: str) -> dict[str, Any]:
    """The trace without the groups that `fields` leaves out; lists stay as empty ones, as clients expect them."""
    wanted = words(fields)
    if not wanted:
        return trace
    empty: dict[str, Any] = {"observations": [], "scores": [], "input": None, "output": None, "metadata": None}
    empty |= {"latency": -1, "totalCost": -1}
    of = {"observations": "observations", "scores": "scores", "latency": "metrics", "totalCost": "metrics"}
    return {name: empty[name] if name in empty and of.get(name, "io") not in wanted else v for name, v in trace.items()}
