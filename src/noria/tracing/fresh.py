"""Labels that people have just given in this process, until the span store has them: what one says shows at once.

A label is journalled first and carried to the store within about a second; until then the ones given here are laid over what
the store knows. Nothing depends on it: another process, or this one after a restart, sees them a moment later.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from noria.core.records import Score
from noria.tracing.reading import moment
from noria.tracing.records import ScoreView

_SECONDS: Final = 30.0
_KNOWN: Final = 2_000
_lock = threading.Lock()
_given: OrderedDict[tuple[str, str], tuple[float, dict[tuple[str, str], Score]]] = OrderedDict()
"""By project and trace: until when, and the scores by name and key."""


def remember(scores: Iterable[Score]) -> None:
    """Keep these for a while; only those of traces, which are what pages show, and which replace each other by their key."""
    now = time.monotonic()
    with _lock:
        for score in scores:
            if not (score.trace_id and score.key):
                continue
            place = (score.project_id, score.trace_id)
            _, known = _given.pop(place, (0.0, {}))
            known[score.name, score.key] = score
            _given[place] = (now + _SECONDS, known)
        while _given and (len(_given) > _KNOWN or next(iter(_given.values()))[0] < now):
            _given.popitem(last=False)


def over(project_id: str, trace_id: str, stored: list[ScoreView]) -> list[ScoreView]:
    """`stored` with what was just given in place of what it replaces, oldest first."""
    with _lock:
        until, known = _given.get((project_id, trace_id), (0.0, {}))
        given = [] if until < time.monotonic() else [view(score) for score in known.values()]
    ids = {one.score_id for one in stored}
    fresh = {_place(one): one for one in given if one.score_id not in ids}
    if not fresh:
        return stored
    kept = [one for one in stored if _place(one) not in fresh or one.time > fresh[_place(one)].time]
    newer = {_place(one) for one in kept}
    new = [one for place, one in fresh.items() if place not in newer]
    return sorted([*kept, *new], key=lambda one: (one.time, one.score_id))


def view(score: Score) -> ScoreView:
    """A score as it is shown."""
    names = ("score_id", "span_id", "name", "source", "number", "label", "text", "correction", "author_id")
    return ScoreView(time=moment(score.time_ns), **{name: getattr(score, name) for name in names})


def _place(one: ScoreView) -> tuple[str, ...]:
    return (one.source, one.author_id, one.name, one.span_id)
