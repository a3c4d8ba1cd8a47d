"""The page action "Score": a person's label of a span, a trace, ticked traces, or all that a search finds.

In: the fields of one form. Out: scores of the source person under the key person:<id>, so that judging again under the same name
replaces what one said before, of each trace and each span by itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from noria.core.errors import BadInput
from noria.stores.connect import Stores
from noria.tracing import scores, selection, service
from noria.tracing.records import NewScore, ScoreView
from noria.web.actions import Done, Form, Target
from noria.web.auth import Caller

MOST: Final = 1_000
"""Traces that are judged at once: as many scores as the API takes at once."""
FEEDBACK: Final = "feedback"
"""The name of a judgement of the answer as a whole."""
_VERDICTS: Final = {"good": True, "bad": False}


def form(stores: Stores, caller: Caller, target: Target) -> Form:
    """The fields of a label, filled with what one said before of one thing. Raises BadFilter, Unavailable."""
    mine = None
    if len(target.trace_ids) == 1:
        known = service.scores_of(stores, caller.project_id, list(target.trace_ids)).get(target.trace_ids[0], [])
        mine = last_by(known, caller.id, target.span_id)
    counted = selection.counted(stores, caller.project_id, target, MOST) if target.every else {}
    return Form("tracing/_score_form.html", fields_of(mine, one=len(target.trace_ids) == 1), **counted, button=BUTTON)


BUTTON: Final = "Keep the judgement"


def fields_of(mine: ScoreView | None, *, one: bool) -> dict[str, Any]:
    """What _score_form.html is given. `one`: a single answer is judged, which can be corrected."""
    return {"mine": mine, "one": one, "typed": typed(mine) if mine else "auto"}


def typed(view: ScoreView) -> str:
    """How the form says the kind of a value."""
    if view.number is not None:
        return "verdict" if view.number in (0, 1) else "auto"
    return "category" if view.label else "text"


def last_by(known: list[ScoreView], person_id: str, span_id: str = "") -> ScoreView | None:
    """What a person last said of the answer of a trace, or of one span of it, as a whole."""
    mine = (one for one in reversed(known) if (one.author_id, one.name, one.span_id) == (person_id, FEEDBACK, span_id))
    return next(mine, None)


def judge(stores: Stores, caller: Caller, target: Target, fields: Mapping[str, str]) -> Done:
    """Keep a label of each; once this returns none can be lost. Raises BadInput, BadFilter, Unavailable."""
    judged = selection.traces(stores, caller.project_id, target, MOST)
    if not judged:
        raise BadInput("The search finds nothing; nothing was judged.", hint="Look at the list again.")
    said = label(fields)
    if said.correction and len(judged) > 1:
        raise BadInput("Several answers cannot have one correction.", hint="Correct them one by one.")
    given = [
        NewScore(
            name=said.name,
            value=said.value,
            type=said.type,
            source="person",
            trace_id=trace_id,
            span_id=target.span_id,
            comment=said.comment,
            correction=said.correction,
            key=f"person:{caller.id}",
        )
        for trace_id in judged
    ]
    scores.give_scores(stores, caller, given)
    if len(target.trace_ids) != 1:
        return Done(notice="Your judgement of all of them is kept.")
    span = f"&span={target.span_id}" if target.span_id else ""
    return Done(f"/traces/{judged[0]}?judged=1{span}#feedback", "Your judgement is kept.")


def label(fields: Mapping[str, str]) -> NewScore:
    """What the form says: good or bad, or a value read as its kind says. Raises BadInput when it says nothing."""
    name = fields.get("name", "").strip() or FEEDBACK
    value, comment = fields.get("value", "").strip(), fields.get("comment", "").strip()
    correction, kind = fields.get("correction", "").strip(), fields.get("kind", "auto")
    verdict = fields.get("verdict", "")
    if verdict and verdict not in _VERDICTS:
        raise BadInput("An answer is good or bad.")
    if verdict and value and name == FEEDBACK:
        raise BadInput("An answer is good or bad, or has a value.", hint="Give the value a name of its own.")
    if verdict and not value:
        return NewScore(name, _VERDICTS[verdict], comment=comment, correction=correction)
    if value and kind == "text":
        return NewScore(name, value if not comment else f"{value}\n{comment}", type="text", correction=correction)
    if value:
        return NewScore(name, _read(value, kind), comment=comment, correction=correction)
    if correction:
        return NewScore(name, None, comment=comment, correction=correction)
    if comment:
        return NewScore(name, comment, type="text")
    raise BadInput("The judgement says nothing.", hint="Say good or bad, give a value, a correction or a comment.")


def _read(value: str, kind: str) -> float | str:
    if kind == "category":
        return value
    try:
        return float(value)
    except ValueError as error:
        if kind == "number":
            raise BadInput("The value is no number.", hint="Like 0.5 or 3; or choose another kind.") from error
        return value
