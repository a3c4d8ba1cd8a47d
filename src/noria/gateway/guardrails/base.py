"""What a guardrail is to the gateway: a check that looks at a request, at an answer, or at both.

In: a `Turn`, which is one request on its way. Out: an `Outcome`, or None when the check has nothing to say. The decision to know: a
check never sends, records or raises on its own account; it says what it found, and `run` acts on that, times it and notes it on
the span. So a new kind is one file with one class, and no kind can forget its timeout.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from noria.core.errors import NoriaError
from noria.gateway.ask import Ask
from noria.gateway.dialects.base import Json
from noria.gateway.steps import Steps
from noria.registry.snapshot import EndpointEntry, ReleaseEntry

Action = Literal["refuse", "mask", "flag", "repair", "replace"]


@dataclass(slots=True)
class Turn:
    """One request, as far as checks may know of it. `ask` is what the checks before have left of it."""

    endpoint: EndpointEntry
    release: ReleaseEntry
    trace_id: str
    ask: Ask
    again: Callable[[Ask], Awaitable[Json]]
    """Asks the release once more for a whole chat answer; it costs what a call costs."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a check wants to know again when the answer comes, by kind."""
    originals: dict[str, str] = field(default_factory=dict)
    """What the caller gets in the place of placeholders that stand in the answer."""
    restores: bool = False
    """Placeholders may be put back, now or in a later turn of the conversation."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found. Nothing of the text that it found is in `reason` or `details`."""

    action: Action
    ask: Ask | None = None
    """The request as it shall go on, when the check changes it; with "refuse", as it shall be recorded."""
    answer: Json | None = None
    """The chat answer as it shall go on, or be recorded."""
    reason: str = ""
    """Why a request is refused, in words for its caller."""
    details: Json = field(default_factory=dict)
    """Numbers and names of rules, for the span."""


class CheckFailed(NoriaError):
    """A check could not be made: the guardrail's `on_trouble` decides what that means. Its message is for the span."""

    status = 503
    code = "guardrail_failed"


class Unreadable(CheckFailed):
    """What was sent cannot be checked, now or later: the caller has to send something else."""

    status = 400


class Check(Protocol):
    """One configured check. Made once for each policy, used by many requests at the same time."""

    def __init__(self, options: Json, steps: Steps) -> None:
        """Raises CheckFailed for options that cannot be used."""
        ...

    async def before(self, turn: Turn) -> Outcome | None:
        """Looks at `turn.ask` before the model is asked."""
        return None

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        """Looks at a whole chat answer before its caller gets any of it."""
        return None


KINDS: dict[str, type[Check]] = {}
"""Every kind of guardrail. `run` imports the files that fill it."""


def register(kind: str) -> Callable[[type[Check]], type[Check]]:
    """Makes a class known as a kind of guardrail."""

    def known(check: type[Check]) -> type[Check]:
        KINDS[kind] = check
        return check

    return known
