"""Page actions: what a slice can do with the spans and traces that another slice's pages show.

In: the `actions` of the manifests. Out: two routes for each, `/actions/{name}` (its form, then the deed) and `/actions/{name}/form`
(the form for what was ticked, which may be too much for an address). The decision to know: a page only draws buttons with the
ids of what it shows; the slice of the action reads the rest from the stores, so neither slice imports the other.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from noria.core import clock
from noria.core.errors import BadInput
from noria.core.slices import Action, On, resolve
from noria.web.auth import Caller, Permission, allow
from noria.web.deps import StoresDep
from noria.web.templates import local_path, render, see_other, way_back

Traffic = Literal["live", "evaluation", "all"]

MOST_TICKED: Final = 500
"""Traces that may be named one by one: as many as a list shows at a time."""
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_SPAN: Final = re.compile(r"[0-9a-f]{16}")
_TRAFFIC: Final[dict[str, Traffic]] = {"live": "live", "evaluation": "evaluation", "all": "all"}
_OWN: Final = frozenset({"csrf", "t", "span", "q", "traffic", "until", "every", "next"})


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is done to."""

    on: On
    trace_ids: tuple[str, ...] = ()
    """32 hex digits each; empty for all that a search finds."""
    span_id: str = ""
    q: str = ""
    """The search, in the filter language of traces."""
    traffic: Traffic = "live"
    until: str = ""
    """ISO 8601: what came after the form was opened is not meant."""

    @property
    def every(self) -> bool:
        """Whether all that the search finds is meant."""
        return not self.trace_ids

    @property
    def fields(self) -> list[tuple[str, str]]:
        """As hidden fields of a form, or a query."""
        named = [("t", one) for one in self.trace_ids]
        if self.every:
            return [("every", "1"), ("q", self.q), ("traffic", self.traffic), ("until", self.until)]
        return [*named, ("span", self.span_id)] if self.span_id else named


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of an action: a template without its <form>, and what the template is given."""

    template: str
    context: dict[str, Any] = field(default_factory=dict)
    count: int | None = None
    """How many traces are meant, where the form found out."""
    more: bool = False
    """Whether there are more than that, which are left out."""
    button: str = ""
    """What its button says, in English; the action's title when empty."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: where to go (a path on this server; empty: back), and what to say there, in English."""

    path: str = ""
    notice: str = ""


async def _sent(request: Request) -> list[tuple[str, str]]:
    form = await request.form()
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


Sent = Annotated[list[tuple[str, str]], Depends(_sent)]


def routes(action: Action) -> APIRouter:
    """The form of an action and the action itself, behind its own permission."""
    router = APIRouter()
    permission: Permission = action.permission  # type: ignore[assignment]
    guard = allow(permission)

    def asked(
        request: Request,
        stores: StoresDep,
        caller: Annotated[Caller, guard],
        next: Annotated[str, Query(max_length=8000)] = "",
    ) -> Response:
        target = target_of(request.query_params.multi_items(), action)
        form: Form = resolve(action.form)(stores, caller, target)
        back = local_path(next) if next else way_back(request)
        return _page(request, caller, form, action=action, target=target, back=back)

    def opened(request: Request, stores: StoresDep, caller: Annotated[Caller, guard], sent: Sent) -> Response:
        target = target_of(sent, action)
        form: Form = resolve(action.form)(stores, caller, target)
        return _page(request, caller, form, action=action, target=target, back=_back(sent, request))

    def done(request: Request, stores: StoresDep, caller: Annotated[Caller, guard], sent: Sent) -> Response:
        fields = {name: value for name, value in sent if name not in _OWN}
        result: Done = resolve(action.do)(stores, caller, target_of(sent, action), fields)
        return see_other(result.path or _back(sent, request), result.notice)

    router.add_api_route(f"/actions/{action.name}", asked, methods=["GET"])
    router.add_api_route(f"/actions/{action.name}/form", opened, methods=["POST"])
    router.add_api_route(f"/actions/{action.name}", done, methods=["POST"])
    return router


def target_of(sent: list[tuple[str, str]], action: Action) -> Target:
    """What is meant by the fields of a form or an address. Raises BadInput when the action cannot be done to it."""
    last = dict(sent)
    if last.get("every"):
        traffic = _TRAFFIC.get(last.get("traffic", ""), "live")
        until = last.get("until") or clock.now().isoformat()
        target = Target("traces", q=last.get("q", "")[:4000], traffic=traffic, until=until)
    else:
        traces = list(dict.fromkeys(value.lower() for name, value in sent if name == "t"))
        span = last.get("span", "").lower()
        if not traces:
            raise BadInput("No trace is ticked.", hint="Go back and tick some, or take all that the search finds.")
        if len(traces) > MOST_TICKED or not all(_TRACE.fullmatch(one) for one in traces):
            raise BadInput(f"Traces are named by 32 hex digits each, at most {MOST_TICKED} of them.")
        if span and (len(traces) > 1 or not _SPAN.fullmatch(span)):
            raise BadInput("A span is named by 16 hex digits, beside its one trace.")
        on: On = "span" if span else "trace" if len(traces) == 1 else "traces"
        target = Target(on, tuple(traces), span)
    if target.on not in action.on and not (target.on == "trace" and "traces" in action.on):
        raise BadInput("This cannot be done to that.", hint=f"It is for: {', '.join(action.on)}.")
    return target


def _page(request: Request, caller: Caller, form: Form, **named: Any) -> Response:
    return render(request, caller, "web/action.html", form=form, **named, **form.context)


def _back(sent: list[tuple[str, str]], request: Request) -> str:
    """The page that the ticks were on, or the one that led to the form."""
    given = dict(sent).get("next", "")
    return local_path(given) if given else way_back(request)
