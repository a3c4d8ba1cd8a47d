"""JSON and CSV of figures: what the dashboard and the cost explorer show, for other tools."""

import csv
import io
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response

from noria.core import clock
from noria.tracing import figures
from noria.tracing.figures import By, Question
from noria.tracing.records import Figures, Share
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter(prefix="/api", tags=["figures"])


@router.get("/figures", response_model=None)
def get_figures(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    since: Annotated[datetime | None, Query(description="From this moment on; 30 days ago.")] = None,
    until: Annotated[datetime | None, Query(description="Before this moment; now.")] = None,
    q: Annotated[str, Query(max_length=4000, description="A filter in the language of traces.")] = "",
    by: Annotated[By | None, Query(description="Tell groups apart.")] = None,
    steps: Annotated[int, Query(ge=0, le=500, description="Pieces of the time; 0: the whole time in one.")] = 0,
    live: Annotated[Literal["live", "evaluation", "all"], Query(description="Which traffic.")] = "live",
    form: Annotated[Literal["json", "csv"], Query(description="CSV has one row for each group and piece.")] = "json",
) -> Response:
    """Requests, errors, tokens, cost and latency of model calls, over time and by endpoint, release, model, prompt, user, …"""
    end = until or clock.now()
    which = {"live": True, "evaluation": False, "all": None}[live]
    asked = Question(caller.project_id, since or end - timedelta(days=30), end, q, which)
    groups = figures.shares(stores, asked, by) if by else []
    names = [share.name for share in groups]
    pieces = figures.over_time(stores, asked, steps=steps, by=by, names=names) if steps else []
    if form == "csv":
        return Response(_csv(groups, pieces, figures.whole(stores, asked)), media_type="text/csv; charset=utf-8")
    answer: dict[str, Any] = {"whole": figures.whole(stores, asked), "groups": groups}
    answer["pieces"] = [{"name": name, **asdict(one)} for name, one in pieces]
    return JSONResponse(jsonable_encoder(answer))


def _csv(groups: list[Share], pieces: list[tuple[str, Figures]], whole: Figures) -> str:
    """Text in quotes where a spreadsheet would read a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["name", *Figures.__dataclass_fields__])
    rows = pieces or [(share.name, share.figures) for share in groups] or [("", whole)]
    writer.writerows([_plain(name), *asdict(one).values()] for name, one in rows)
    return out.getvalue()


def _plain(name: str) -> str:
    return f"'{name}" if name[:1] in {"=", "+", "-", "@", "\t", "\r"} else name
