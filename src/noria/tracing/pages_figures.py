"""The dashboard and the cost explorer: model calls over any time, by whatever they have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from noria.core import clock
from noria.core.errors import BadInput, Sentence
from noria.stores.connect import Stores
from noria.tracing import figures, filters, views
from noria.tracing.figures import BY, By, Question
from noria.tracing.reading import moment, nanoseconds
from noria.tracing.records import Figures, Share
from noria.web import charts
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.i18n import of_request, words
from noria.web.templates import render

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
Words = Annotated[str, Query(max_length=4000)]
Moment = Annotated[str, Query(max_length=40)]

TIMES: Final = {"1h": 1 / 24, "24h": 1.0, "7d": 7.0, "30d": 30.0, "90d": 90.0}
"""Names of the usual times, and their days."""
_STEPS: Final = 60
_CURVES: Final = 4
"""Groups with a curve of their own; the others share one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What both pages show; `curves` are figures over time by name, empty pieces as None."""

    whole: Figures
    before: Figures
    """The same length of time just before."""
    shares: Sequence[Share]
    times: Sequence[datetime]
    curves: dict[str, list[Figures | None]]
    all: list[Figures | None]


@router.get("/dashboard")
def dashboard_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    time: Moment = "24h",
    since: Moment = "",
    until: Moment = "",
    q: Words = "",
    by: By = "endpoint",
) -> Response:
    """How the models do: requests, errors, latency, tokens and cost."""
    context = _context(stores, caller, time=time, since=since, until=until, q=q, by=by)
    found: Shown | None = context["found"]
    say = words(of_request(request))
    specs = _dashboard(found, say) if found and found.whole.requests else {}
    return render(request, caller, "tracing/dashboard.html", specs=specs, **context)


@router.get("/costs")
def costs_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    time: Moment = "30d",
    since: Moment = "",
    until: Moment = "",
    q: Words = "",
    by: By = "model",
) -> Response:
    """What the models cost, and who or what causes it."""
    context = _context(stores, caller, time=time, since=since, until=until, q=q, by=by)
    found: Shown | None = context["found"]
    say = words(of_request(request))
    spec = (
        _grouped(found, say, lambda one: one.cost_micros / 1e6, say("US dollars"))
        if found and found.whole.requests
        else None
    )
    return render(request, caller, "tracing/costs.html", spec=spec, **context)


def _context(stores: Stores, caller: Caller, *, time: str, since: str, until: str, q: str, by: By) -> dict[str, Any]:
    start, end, named = _time(time, since, until)
    found: Shown | None = None
    refused = away = None
    try:
        asked = Question(caller.project_id, start, end, q)
        filters.parse(q)
        found, away = views.reach(lambda: _read(stores, asked, by), None)
    except BadInput as error:
        refused = error
    return {
        "found": found,
        "away": away,
        "refused": refused,
        "q": q,
        "by": by,
        "time": named,
        "since": since,
        "until": until,
        "start": start,
        "end": end,
        "times": TIMES,
        "choices": BY,
        "traces": lambda name: _traces(q, by, name, start, end),
    }


def _read(stores: Stores, asked: Question, by: By) -> Shown:
    shares = figures.shares(stores, asked, by)
    names = [share.name for share in shares[:_CURVES]]
    step = figures.step_ns(asked, _STEPS)
    first = nanoseconds(asked.since)
    times = [moment(at) for at in range(first, nanoseconds(asked.until), step)]
    places = {at: place for place, at in enumerate(times)}

    def laid_out(rows: Sequence[tuple[str, Figures]]) -> dict[str, list[Figures | None]]:
        curves: dict[str, list[Figures | None]] = {}
        for name, one in rows:
            if one.time in places:
                curves.setdefault(name, [None] * len(times))[places[one.time]] = one
        return curves

    length = asked.until - asked.since
    before = Question(asked.project_id, asked.since - length, asked.since, asked.q, asked.live)
    curves = laid_out(figures.over_time(stores, asked, steps=_STEPS, by=by, names=names))
    return Shown(
        whole=figures.whole(stores, asked),
        before=figures.whole(stores, before),
        shares=shares,
        times=times,
        curves={name: curves[name] for name in dict.fromkeys([*names, ""]) if name in curves},
        all=laid_out(figures.over_time(stores, asked, steps=_STEPS)).get("", [None] * len(times)),
    )


def _time(name: str, since: str, until: str) -> tuple[datetime, datetime, str]:
    """(start, end, name of the usual time or ""). Raises BadInput."""
    now = clock.now()
    if since:
        return _moment(since), _moment(until) if until else now, ""
    if name not in TIMES:
        raise BadInput(
            Sentence("{name!r} is no time.", name=name[:20]),
            hint=Sentence("One of {times}, or since and until.", times=", ".join(TIMES)),
        )
    return now - timedelta(days=TIMES[name]), now, name


def _moment(text: str) -> datetime:
    """ISO 8601, UTC when it names no zone. Raises BadInput."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(Sentence("{text!r} is no moment.", text=text), hint="Like 2026-05-01T12:00.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _traces(q: str, by: By, name: str, start: datetime, end: datetime) -> str:
    """The filter that lists what a group's calls are in; "" for a group that the language cannot name."""
    if not name:
        return ""
    endpoint, _, number = name.rpartition("@")
    own = [filters.term("endpoint", endpoint), f"release:{number}"] if by == "release" else [filters.term(by, name)]
    bounds = [f"since:{start:%Y-%m-%dT%H:%M:%S}", f"until:{end:%Y-%m-%dT%H:%M:%S}"]
    return filters.joined([q, *own, *bounds])


def _dashboard(found: Shown, say: Callable[[str], str]) -> dict[str, charts.Spec]:
    latency = []
    for name, value in (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms")):
        latency += [(name, time, getattr(one, value) / 1000 if one else None) for time, one in _points(found)]
    first = [
        ("", time, one.first_token_ms / 1000 if one and one.first_token_ms is not None else None)
        for time, one in _points(found)
    ]
    tokens = [(say("in"), time, one.input_tokens if one else 0) for time, one in _points(found)]
    tokens += [(say("out"), time, one.output_tokens if one else 0) for time, one in _points(found)]
    errors = [("", time, 100 * one.errors / one.requests if one else 0) for time, one in _points(found)]
    return {
        "requests": _grouped(found, say, lambda one: one.requests, say("requests")),
        "errors": _lines(errors, say, "%"),
        "latency": _lines(latency, say, say("seconds")),
        "first": _lines(first, say, say("seconds")) if any(value is not None for _, _, value in first) else {},
        "tokens": _lines(tokens, say, say("tokens")),
        "cost": _grouped(found, say, lambda one: one.cost_micros / 1e6, say("US dollars")),
    }


def _points(found: Shown) -> list[tuple[datetime, Figures | None]]:
    return list(zip(found.times, found.all, strict=True))


def _grouped(found: Shown, say: Callable[[str], str], value: Callable[[Figures], float], title: str) -> charts.Spec:
    """A curve for each group that has one."""
    points = [
        (name or say("others"), time, value(one) if one else 0)
        for name, curve in found.curves.items()
        for time, one in zip(found.times, curve, strict=True)
    ]
    return _lines(points, say, title)


def _lines(points: Sequence[tuple[str, datetime, float | None]], say: Callable[[str], str], title: str) -> charts.Spec:
    named = len({name for name, _, _ in points}) > 1
    rows = [
        {say("time"): f"{time:%Y-%m-%dT%H:%M:%SZ}", say("group"): name, title: round(value, 6)}
        for name, time, value in points
        if value is not None
    ]
    spec = charts.line(
        rows, x=say("time"), y=title, series=say("group") if named else None, time=True, zero=True, y_title=title
    )
    if points:  # all charts of a page show the same time, also where little happened
        times = [time for _, time, _ in points]
        spec["encoding"]["x"]["scale"] = {"domain": [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (min(times), max(times))]}
    return spec
