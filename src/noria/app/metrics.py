"""Figures of the server process and of what it stands on, for Prometheus: GET /metrics with a key that may view.

In: the data folder, the jobs table, the span store, and what this process has counted since it started. Out: Prometheus's text format. What
model calls cost and how long they take is the gateway's `/metrics`; here is whether the installation is well.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter
from sqlalchemy import func, select
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noria.core.errors import Unavailable
from noria.jobs import tables
from noria.stores.connect import Stores
from noria.stores.journal import MAGIC, segments
from noria.stores.shipping import POSITIONS
from noria.tracing.otlp import ingest
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_STATES: Final = ("queued", "running", "done", "failed", "cancelled")
_answered: Counter[tuple[str, str]] = Counter()


class Counted:
    """Pure ASGI: counts answers by method and class of status; addresses would be series without end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _answered[scope["method"], f"{message['status'] // 100}xx"] += 1
            await send(message)

        await self._app(scope, receive, counting if scope["type"] == "http" else send)


@router.get("/metrics", include_in_schema=False)
def metrics(stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> Response:
    """What Prometheus reads (docs/metrics.md)."""
    lines = [line for family in _families(stores, caller.project_id) for line in family]
    return Response("\n".join([*lines, ""]), media_type=CONTENT_TYPE)


def _families(stores: Stores, project_id: str) -> Iterator[list[str]]:
    requests = {f'method="{method}",status="{status}"': n for (method, status), n in sorted(_answered.items())}
    yield _family("noria_http_requests_total", "counter", "Answers of the server since it started.", requests)
    spans = {f'result="{result}"': ingest.COUNTED[result] for result in ("kept", "refused")}
    yield _family("noria_ingest_spans_total", "counter", "Spans that came over OTLP since the server started.", spans)
    waiting, stalled = backlog(stores.settings.folder.journal)
    writers = {f'writer="{name}"': size for name, size in waiting.items()}
    yield _family("noria_journal_waiting_bytes", "gauge", "Bytes that wait for the span store.", writers)
    yield _family(
        "noria_journal_stalled_seconds", "gauge", "How long nothing was carried though bytes wait.", {"": stalled}
    )
    yield _family("noria_store_up", "gauge", "1 when the span store answers.", {"": _store_up(stores)})
    free = shutil.disk_usage(stores.settings.data).free
    yield _family("noria_disk_free_bytes", "gauge", "Free space on the disk of the data folder.", {"": free})
    counted = _jobs(stores, project_id)
    jobs = {f'state="{state}"': counted.get(state, 0) for state in _STATES}
    yield _family("noria_jobs", "gauge", "Jobs of the key's project by state.", jobs)


def backlog(root: Path) -> tuple[dict[str, int], float]:
    """Bytes that wait, by writer; and seconds since any of them was carried, 0 when none wait."""
    waiting: dict[str, int] = {}
    last, first = 0.0, time.time()
    for writer in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        try:
            positions = json.loads((writer / POSITIONS).read_bytes())
            last = max(last, (writer / POSITIONS).stat().st_mtime)
        except FileNotFoundError:
            positions = {}
        for path in segments(writer):
            try:
                size, done = path.stat().st_size, positions.get(path.name, {}).get("done", 0)
            except FileNotFoundError:  # carried and deleted in this moment
                continue
            first = min(first, int(path.name.partition("-")[0]) / 1e9)
            waiting[writer.name] = waiting.get(writer.name, 0) + max(size - max(done, len(MAGIC)), 0)
    return waiting, max(time.time() - (last or first), 0.0) if any(waiting.values()) else 0.0


def _store_up(stores: Stores) -> int:
    try:
        stores.spans.query("SELECT 1")
    except Unavailable:
        return 0
    return 1


def _jobs(stores: Stores, project_id: str) -> dict[str, int]:
    table = tables.jobs
    query = (
        select(table.c.state, func.count().label("number"))
        .where(table.c.project_id == project_id)
        .group_by(table.c.state)
    )
    with stores.database.read() as connection:
        return {row.state: row.number for row in connection.execute(query)}


def _family(name: str, kind: str, about: str, values: Mapping[str, float]) -> list[str]:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    return lines + [
        f"{name}{{{labels}}} {value:.10g}" if labels else f"{name} {value:.10g}" for labels, value in values.items()
    ]
