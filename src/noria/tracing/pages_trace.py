"""Pages of one trace, whatever its size, and of two beside each other.

A trace's page is its outline, a piece at a time, and the payloads of two spans at most: the one that tells what the trace was
about, and the one that was chosen. Without scripts the pieces are pages; with them they come while one scrolls.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from noria.core import clock
from noria.core.errors import BadInput
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import filters, labels, media, outline, service, views
from noria.tracing.filters import BadFilter
from noria.tracing.records import Outline, ScoreView, Step, Totals
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.langfuse import Reference, references, slug
from noria.web.templates import render, see_other

router = APIRouter()

Viewer = Annotated[Caller, allow("view")]
SpanId = Annotated[str, Query(max_length=16)]
At = Annotated[int | None, Query(ge=0, le=10_000_000, alias="from")]
_FILES: Final = 20
"""Media files of one span that its page shows."""
_YOUNG: Final = timedelta(hours=1)
"""How long after a trace its page keeps asking for new judgements."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A span with its place in the trace and its payload."""

    step: Step
    span: dict[str, Any]

    @property
    def light(self) -> dict[str, Any]:
        """The span without what is too long for a page."""
        found: dict[str, Any] = views.lightened(self.span)
        return found

    @property
    def asked(self) -> list[views.Turn]:
        return views.turns(self.span.get("input_messages", []))

    @property
    def answered(self) -> list[views.Turn]:
        return views.turns(self.span.get("output_messages", []))

    @property
    def documents(self) -> list[views.Document]:
        """What it found, when it is a retrieval."""
        return views.documents(self.span.get("output_messages", [])) if self.step.kind == "retrieval" else []

    @property
    def files(self) -> list[Reference]:
        """Media files that the span speaks of, each once."""
        found = references(
            [self.span.get("input_messages"), self.span.get("output_messages"), self.span.get("attributes")]
        )
        return list({one.media_id: one for one in found}.values())[:_FILES]

    @property
    def title(self) -> str:
        said = next((turn.text for turn in reversed(self.asked) if turn.text), "")
        return said or str(self.span["name"])


@dataclass(frozen=True, slots=True)
class Opened:
    """A trace as its page shows it."""

    whole: Outline
    top: Shown
    chosen: Shown
    at: int
    """Place of the chosen span in reading order."""
    scores: list[ScoreView]
    used: Totals
    """Of all its model calls; of the top span alone for the moment in which the trace has no row yet."""
    models: list[str]


def _open(stores: Stores, project_id: str, trace_id: str, span_id: str = "") -> Opened:
    whole = outline.read(stores, project_id, trace_id)
    places = whole.places
    chosen = span_id if span_id in places else whole.head
    spans = outline.spans(stores, project_id, trace_id, [whole.head, chosen])

    def shown(one: str) -> Shown:
        step = whole.steps[places[one]]
        found: Span | None = spans.get(one)
        return Shown(step, found.to_dict() if found else {"span_id": one, "name": step.name, "kind": step.kind})

    scores = service.scores_of(stores, project_id, [whole.trace_id]).get(whole.trace_id, [])
    top = shown(whole.head)
    names = ("input_tokens", "output_tokens", "cached_tokens", "cost_micros")
    own = Totals(calls=1, **{name: top.span.get(name, 0) for name in names})
    if top.span.get("price_version") and not top.span.get("endpoint"):
        own = replace(own, estimated_micros=own.cost_micros)
    used, models = outline.told(stores, whole, project_id) or (own, [top.span.get("served_model", "")])
    return Opened(whole, top, shown(chosen), places[chosen], scores, used, [one for one in models if one])


@router.get("/traces/compare")
def compare_page(
    request: Request, stores: StoresDep, caller: Viewer, t: Annotated[list[str] | None, Query(max_length=20)] = None
) -> Response:
    """Two traces beside each other."""
    traces = [part for given in t or () for part in given.split()]
    if len(traces) != 2:
        raise BadInput("Two traces are compared, no more and no fewer.", hint="Tick two in the list.")
    nothing: list[Opened] = []
    found, away = views.reach(lambda: [_open(stores, caller.project_id, one) for one in traces], nothing)
    if len(found) != 2:
        return render(request, caller, "tracing/away.html", away=away, trace_id=" · ".join(traces))
    answers = [views.pretty("\n".join(turn.text for turn in one.top.answered)) for one in found]
    edits = views.difference(*answers)
    return render(
        request,
        caller,
        "tracing/compare.html",
        pair=found,
        answers=answers,
        same=answers[0] == answers[1],
        edits=edits if views.alike(edits) else [],
        opinions=[views.opinion(one.scores) for one in found],
    )


@router.post("/traces/compare")
def compare_ticked(_: Viewer, t: Annotated[list[str] | None, Form()] = None) -> Response:
    """The ticked traces, as the address of the page that compares them. Changes nothing."""
    return see_other(f"/traces/compare?{urlencode([('t', one[:32]) for one in (t or [])[:20]])}")


@router.get("/traces/{trace_id}/spans/{span_id}.json")
def span_file(stores: StoresDep, caller: Viewer, trace_id: str, span_id: str) -> Response:
    """One span whole, as a file: pages show only the beginning of what is long."""
    found = outline.spans(stores, caller.project_id, trace_id, [span_id.lower()]).get(span_id.lower())
    if found is None:
        raise outline.missing()
    headers = {"content-disposition": f'attachment; filename="span-{found.span_id}.json"'}
    data = orjson.dumps(found.to_dict(), default=str, option=orjson.OPT_INDENT_2)
    return Response(data, media_type="application/json", headers=headers)


@router.get("/traces/{trace_id}")
def trace_page(
    *,
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    trace_id: str,
    span: SpanId = "",
    at: At = None,
    find: Annotated[str, Query(max_length=1000)] = "",
    judged: bool = False,
) -> Response:
    """What was asked and answered, by what, what people thought, and then every figure."""
    opened, away = views.reach(lambda: _open(stores, caller.project_id, trace_id, span), None)
    if opened is None:
        return render(request, caller, "tracing/away.html", away=away, trace_id=trace_id)
    whole = opened.whole
    found, refused = _search(stores, caller.project_id, whole, find)
    start = opened.at // views.PIECE * views.PIECE if at is None else min(at, max(len(whole.steps) - 1, 0))
    steps = whole.steps[start : start + views.PIECE] if found is None else found
    return render(
        request,
        caller,
        "tracing/trace.html",
        **_judgements(opened),
        top=opened.top,
        used=opened.used,
        models=opened.models,
        chosen=opened.chosen,
        place=opened.at,
        title=opened.top.title,
        inner=opened.chosen.step.span_id != opened.top.step.span_id,
        bars=views.waterfall(whole, steps),
        start=start,
        piece=views.PIECE,
        find=find,
        found=None if found is None else len(found),
        refused=refused,
        most=outline.FOUND,
        drawn=media.SHOWN,
        slug=slug,
        term=filters.term,
        live=judged or clock.now() - whole.start < _YOUNG,
        **labels.fields_of(labels.last_by(opened.scores, caller.id), one=True),
    )


@router.get("/traces/{trace_id}/fragments/spans")
def spans_part(
    request: Request, stores: StoresDep, caller: Viewer, trace_id: str, *, at: At = 0, span: SpanId = ""
) -> Response:
    """A piece of the waterfall: rows of a table."""
    whole = outline.read(stores, caller.project_id, trace_id)
    steps = whole.steps[at or 0 : (at or 0) + views.PIECE]
    bars = views.waterfall(whole, steps)
    return render(request, caller, "tracing/_spans.html", trace=whole, bars=bars, on=span, start=at or 0)


@router.get("/traces/{trace_id}/feedback")
def feedback_part(request: Request, stores: StoresDep, caller: Viewer, trace_id: str) -> Response:
    """The part of a trace's page that follows its judgements."""
    opened = _open(stores, caller.project_id, trace_id)
    return render(request, caller, "tracing/_feedback.html", **_judgements(opened), live=True)


def _search(stores: Stores, project_id: str, whole: Outline, find: str) -> tuple[list[Step] | None, BadFilter | None]:
    """The spans that were looked for, in reading order; None when none were."""
    if not find.strip():
        return None, None
    try:
        return outline.found_in(stores, project_id, whole, find), None
    except BadFilter as error:
        return None, error


def _judgements(opened: Opened) -> dict[str, Any]:
    """Who said what, newest first, with corrections as differences from the answer."""
    given = "\n".join(turn.text for turn in opened.top.answered)
    scores = [
        (score, views.sign(score), views.corrected(given, score.correction) if score.correction else [])
        for score in reversed(opened.scores)
    ]
    return {"trace": opened.whole, "scores": scores}
