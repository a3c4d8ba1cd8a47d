"""Batches of events as Langfuse's SDK 2 sends them, and clients of its time.

Scores are scores; traces, spans, generations and events are pieces of spans (noria.tracing.pieces). Each event answers for itself, and what
is told as a success is on disk.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body

from noria.core.errors import BadInput, NoriaError
from noria.stores.connect import Stores
from noria.tracing import langfuse_scores as scores
from noria.tracing import pieces
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter(prefix="/api/public", tags=["Langfuse: traces"])

_MOST: Final = 1000
_SCORE: Final = "score-create"
_LOG: Final = "sdk-log"


@router.post("/ingestion", status_code=207)
def langfuse_ingestion(
    body: Annotated[dict[str, Any], Body()], stores: StoresDep, caller: Annotated[Caller, allow("feedback")]
) -> dict[str, list[dict[str, Any]]]:
    """A batch of events: scores, and pieces of traces and observations; each event answers for itself."""
    batch = body.get("batch")
    if not isinstance(batch, list) or len(batch) > _MOST:
        raise BadInput(f"batch is a list of at most {_MOST:,} events; nothing was kept.")
    events = [event if isinstance(event, dict) else {} for event in batch]
    wrong = _keep_pieces(stores, caller, events)
    given = [(number, event) for number, event in enumerate(events) if event.get("type") == _SCORE]
    outcomes = scores.keep(stores, caller, [_judgement(event) for _, event in given])
    for (number, _), outcome in zip(given, outcomes, strict=True):
        if isinstance(outcome, BadInput):
            wrong[number] = (400, outcome)
    answer: dict[str, list[dict[str, Any]]] = {"successes": [], "errors": []}
    for number, event in enumerate(events):
        name = str(event.get("id", ""))[:256]
        if number not in wrong:
            answer["successes"].append({"id": name, "status": 201})
            continue
        status, error = wrong[number]
        answer["errors"].append(
            {"id": name, "status": status, "message": error.message, "error": error.hint or error.message}
        )
    return answer


def _keep_pieces(stores: Stores, caller: Caller, events: list[dict[str, Any]]) -> dict[int, tuple[int, NoriaError]]:
    """Journal what tells of spans; the events that were not kept, by their place. Raises Unavailable, and keeps nothing then."""
    kept: list[dict[str, Any]] = []
    wrong: dict[int, tuple[int, NoriaError]] = {}
    for number, event in enumerate(events):
        kind = event.get("type")
        if kind in {_SCORE, _LOG}:
            continue
        try:
            if not isinstance(kind, str) or kind not in pieces.KINDS:
                raise BadInput(
                    f"Events of the type {str(kind)[:40]!r} are not taken here.",
                    hint=f"Known are {', '.join([*pieces.KINDS, _SCORE, _LOG])}.",
                )
            if "write_traces" not in caller.permissions:
                told = BadInput("This key may not write traces.", hint="Make a key with the scope write_traces.")
                wrong[number] = (403, told)
                continue
            kept.append(pieces.record_of(event, caller))
        except BadInput as error:
            wrong[number] = (400, error)
    if kept:
        stores.journal.append(kept)
    return wrong


def _judgement(event: dict[str, Any]) -> Any:
    body = event.get("body")
    return {"timestamp": event.get("timestamp"), **body} if isinstance(body, dict) else body
