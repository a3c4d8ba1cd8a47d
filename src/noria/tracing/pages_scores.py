"""The page of scores: what users, people, code and judges said, together and one by one, each leading to what it speaks of."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from noria.core import clock
from noria.core.errors import BadInput
from noria.tracing import scores, tally, views
from noria.tracing.records import ScoreFilter, ScoreRow
from noria.web import charts
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.i18n import of_request, words
from noria.web.paging import Cursor, Limit, Page
from noria.web.templates import render

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
TIMES: Final = (1, 7, 30, 90)
SOURCES: Final = ("user", "person", "code", "judge")
KINDS: Final = ("numeric", "boolean", "categorical", "text")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the page says."""

    name: Annotated[str, Query(max_length=64)] = ""
    source: Literal["", "user", "person", "code", "judge"] = ""
    kind: Literal["", "numeric", "categorical", "boolean", "text"] = ""
    label: Annotated[str, Query(max_length=200)] = ""
    least: Annotated[str, Query(max_length=40)] = ""
    most: Annotated[str, Query(max_length=40)] = ""
    trace: Annotated[str, Query(max_length=32)] = ""
    days: Annotated[int, Query(ge=1, le=3650)] = 30

    def which(self, since: datetime) -> ScoreFilter:
        """Raises BadInput for a bound that is no number."""
        return ScoreFilter(
            trace_id=self.trace.strip(),
            name=self.name.strip(),
            source=self.source,
            type=self.kind,
            label=self.label.strip(),
            least=_number(self.least),
            most=_number(self.most),
            since=since,
        )

    @property
    def narrowed(self) -> bool:
        """Whether it asks for less than all scores of the time."""
        return replace(self, days=30) != Asked()


@router.get("/scores")
def scores_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    asked: Annotated[Asked, Depends()],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The scores of a time together, then one by one, the newest first."""
    now = clock.now()
    since = now - timedelta(days=asked.days)
    which, project = asked.which(since), caller.project_id
    nothing: Page[ScoreRow] = Page([])
    page, away = views.reach(lambda: scores.list_scores(stores, project, which, limit=limit, cursor=cursor), nothing)
    none: list[tally.Tally] = []
    tallies, _ = views.reach(lambda: tally.by_name(stores, project, which), none)
    no_points: list[tally.Point] = []
    chosen = tallies[0] if len(tallies) == 1 else None
    points, _ = views.reach(lambda: tally.over_time(stores, project, which, since, now), no_points)
    say = words(of_request(request))
    return render(
        request,
        caller,
        "tracing/scores.html",
        page=page,
        away=away,
        asked=asked,
        tallies=tallies,
        total=sum(one.count for one in tallies),
        interval=views.interval,
        spec=_curve(points, chosen, say("mean"), say("scores")) if len(points) > 1 else None,
        of=chosen,
        times=TIMES,
        sources=SOURCES,
        kinds=KINDS,
        download=_download(which),
    )


def _curve(points: list[tally.Point], of: tally.Tally | None, mean: str, count: str) -> charts.Spec:
    """The mean of one name over time where it has numbers; else how many scores there were."""
    numbers = of is not None and of.mean is not None
    name = mean if numbers else count
    rows: list[dict[str, Any]] = [
        {
            "time": point.time.strftime("%Y-%m-%dT%H:%M:00Z"),
            name: round(point.mean, 4) if numbers and point.mean is not None else point.count,
        }
        for point in points
        if not numbers or point.mean is not None
    ]
    return charts.line(rows, x="time", y=name, y_title=name, time=True, zero=True, height=140)


def _download(which: ScoreFilter) -> str:
    """The address of the same scores as JSON."""
    names = ("trace_id", "name", "source", "type", "label", "least", "most")
    values = {name: getattr(which, name) for name in names if getattr(which, name) not in ("", None)}
    since = {"since": which.since.isoformat()} if which.since else {}
    return f"/api/scores?{urlencode({**values, **since, 'limit': 500})}"


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise BadInput("A bound of a value is a number.", hint="Like 0.5.") from error
