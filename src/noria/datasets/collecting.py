"""The page action "Add to dataset": a span, a trace, ticked traces, or all that a search finds, into a dataset that is chosen or named."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from noria.core.errors import BadInput
from noria.datasets import service, start
from noria.datasets.from_traces import FEW, FEW_ROWS, MOST, Selection, add, answer_of, latest
from noria.datasets.records import message_text
from noria.stores.connect import Stores
from noria.tracing import selection
from noria.tracing.calls import top_calls
from noria.web.actions import Done, Form, Target
from noria.web.auth import Caller

SPLITS: Final = ("train", "validation", "test")
_COUNTED: Final = 1_000
"""So many are counted before the form is shown; the job takes up to MOST."""


def form(stores: Stores, caller: Caller, target: Target) -> Form:
    """Which dataset and split; of one call also what would become the row. Raises BadFilter, Unavailable."""
    project = caller.project_id
    counted: dict[str, Any] = {}
    if target.every:
        counted = selection.counted(stores, project, target, _COUNTED)
        counted = {} if counted["more"] else counted
    names = [one.name for one in service.list_datasets(stores, project, limit=500).items]
    call = None
    if len(target.trace_ids) == 1:
        chosen = {target.trace_ids[0]: target.span_id} if target.span_id else None
        call = next(top_calls(stores, project, target.trace_ids, chosen), None)
    said = answer_of(call) if call else []
    text = message_text(said[-1]) if said else ""
    context = {"names": names, "splits": SPLITS, "call": call, "target_text": text, "most": MOST}
    return Form("datasets/_collect_form.html", context, **counted)


def collect(stores: Stores, caller: Caller, target: Target, fields: Mapping[str, str]) -> Done:
    """Add them now when they are few, else by a job that the dataset's page follows. Raises BadInput, BadFilter, Unavailable."""
    name = fields.get("new", "").strip() or fields.get("dataset", "").strip()
    if not name:
        raise BadInput("No dataset is named.", hint="Choose one, or name a new one.")
    split = fields.get("split", "train")
    which = Selection(target.trace_ids, target.span_id, target.q, target.traffic, target.until)
    base = latest(stores, caller.project_id, name)
    if target.trace_ids and len(target.trace_ids) <= FEW and (base is None or base.rows <= FEW_ROWS):
        version = add(stores, project_id=caller.project_id, name=name, which=which, split=split, actor_id=caller.id)
        return Done(f"/datasets/{quote(name, safe='')}?version={version.number}", "A new version is written.")
    job = start.from_traces(stores, caller.project_id, caller.id, name=name, which=which, split=split)
    here = f"/datasets/{quote(name, safe='')}" if base else "/datasets"
    return Done(f"{here}?job={job.id}")
