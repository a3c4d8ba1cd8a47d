"""The slice manifest: what one part of the wheel adds to the product.

Parts are named as "module:attribute" and loaded only by the process that needs them, so that the gateway never
imports a table and the server never imports a trainer. `noria.app.slices` lists all manifests as one tuple; migrations,
routes, navigation, jobs, commands and erasure loop over it, so no list is kept twice.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Nav:
    """One entry of the main navigation."""

    title: str
    path: str
    group: str = ""
    order: int = 0


On = Literal["span", "trace", "traces"]
"""What an action is done to: one span, one trace, or several traces (ticked ones, or all that a search finds)."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that pages offer to do with what they show, though the page's slice does not know the slice that does it."""

    name: str
    """As in its address, /actions/{name}."""
    title: str
    """Of its button, as an imperative in English."""
    on: tuple[On, ...]
    permission: str
    """Of noria.web.auth.Permission; whoever lacks it sees no button and is refused."""
    form: str
    """"module:function" `(stores, caller, target: noria.web.actions.Target) -> noria.web.actions.Form`."""
    do: str
    """"module:function" `(stores, caller, target, fields: dict[str, str]) -> noria.web.actions.Done`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice's contributions; every field but the name may stay empty."""

    name: str
    tables: str = ""
    """Module whose import registers tables on noria.stores.sql.metadata, e.g. "noria.datasets.tables"."""
    http: str = ""
    """JSON API: "module:router" (a FastAPI APIRouter, paths below /api)."""
    pages: str = ""
    """Pages: "module:router" (a FastAPI APIRouter)."""
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Job name to "module:function"; the function takes a noria.jobs.context.JobContext and returns a JSON dict."""
    commands: tuple[str, ...] = ()
    """Click commands or groups, each "module:attribute"."""
    tools: str = ""
    """"module:function": the tools of noria.web.tools that this slice gives to assistants."""
    nav: tuple[Nav, ...] = ()
    lineage: str = ""
    """"module:function" `(stores, project_id, kind, id) -> list[Edge]`: the edges this slice knows about a node."""
    erase: str = ""
    """"module:ERASER", an Eraser: how this slice finds and erases what it holds of a person."""
    actions: tuple[Action, ...] = ()
    """What it can do with the spans and traces that pages of another slice show."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The person whose data is to be erased, as the erasers of all slices are told."""

    project_id: str
    subject_id: str
    erasure_id: str = ""
    """Empty while somebody only asks what would go."""
    before_ns: int = 2**62
    """What began later is not meant: the person may have come back, and that is another question."""


Progress = Callable[[str], None]
"""Says in words what is being done, and raises when it is to stop."""


@dataclass(frozen=True, slots=True)
class Eraser:
    """What one slice does about a person. Each function takes the stores first, may run twice, and may be killed in between."""

    find: Callable[[Any, Subject], Mapping[str, int]]
    """What is held now, by the names of things; changes nothing."""
    erase: Callable[[Any, Subject, Progress], Mapping[str, int]]
    """Removes it for good, from the files too; says how much was removed, also by an earlier, interrupted run where it can."""
    hide: Callable[[Any, Subject], None] | None = None
    """Makes it invisible before the request is answered, where that is quicker than erasing."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of lineage: `source` went into `target`. Nodes are (kind, id); titles are for people.

    Kinds: trace, score, row, dataset_version, training_run, model_version, prompt_version, evaluation, release, file.
    """

    source_kind: str
    source_id: str
    target_kind: str
    target_id: str
    relation: str
    source_title: str = ""
    target_title: str = ""


def resolve(reference: str) -> Any:
    """The object that "module:attribute" names."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)
