"""An endpoint's guardrails, in their order, around one request.

In: a request whose endpoint has guardrails. Out: the request as it may go on, the answer as it may go on, or GuardrailRefused. The
decision to know: those that look at answers need all of it, so the provider is then asked for a whole answer, which the caller gets as a
stream if it wanted one. What fired is noted on the span: kind, when, action, milliseconds, never a text.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import Final, Literal

from noria.core.errors import NoriaError
from noria.gateway import usage
from noria.gateway.access import Route
from noria.gateway.ask import Ask
from noria.gateway.calls import Asked, Calls
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.chat import CHAT
from noria.gateway.failures import GuardrailFailed, GuardrailRefused
from noria.gateway.guardrails import (  # noqa: F401 - each registers its kind
    injection,
    max_cost,
    patterns,
    pii,
    schema,
    secrets,
    step,
)
from noria.gateway.guardrails.base import KINDS, Check, CheckFailed, Outcome, Turn, Unreadable
from noria.gateway.guardrails.restoring import Restoring
from noria.gateway.steps import Steps
from noria.gateway.upstream import Stream, Whole
from noria.registry.policy import Guardrail
from noria.registry.snapshot import EndpointEntry

_log = logging.getLogger("noria.gateway")
When = Literal["before", "after"]
_MOST_ENDPOINTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Placed:
    """One guardrail of a policy, ready to be used; `check` is None when its options cannot be."""

    guardrail: Guardrail
    check: Check | None
    trouble: CheckFailed | None = None

    def stands(self, when: When) -> bool:
        return self.guardrail.when in (when, "both")


class Guardrails:
    """The checks of all endpoints, made when first needed; one for the process."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._made: dict[str, tuple[tuple[Guardrail, ...], list[Placed]]] = {}

    def around(self, asked: Asked, calls: Calls) -> "Around":
        """The guardrails of one request; its route is chosen."""
        if asked.call.route is None:
            raise RuntimeError("a call is guarded after its route was chosen")
        return Around(self._placed(asked.call.route.endpoint), asked, asked.call.route, calls)

    def _placed(self, endpoint: EndpointEntry) -> list[Placed]:
        wanted = endpoint.policy.guardrails
        known = self._made.get(endpoint.id)
        if known is not None and (known[0] is wanted or known[0] == wanted):
            return known[1]
        placed = [self._place(guardrail) for guardrail in wanted]
        if len(self._made) >= _MOST_ENDPOINTS:
            self._made.clear()
        self._made[endpoint.id] = (wanted, placed)
        return placed

    def _place(self, guardrail: Guardrail) -> Placed:
        try:
            return Placed(guardrail, KINDS[guardrail.kind](guardrail.options, self._steps))
        except (CheckFailed, KeyError, TypeError, ValueError) as error:
            trouble = error if isinstance(error, CheckFailed) else CheckFailed("Its options cannot be used.")
            _log.error("a guardrail of kind %s cannot be used: %s", guardrail.kind, trouble.message)
            return Placed(guardrail, None, trouble)


class Around:
    """The guardrails around one request."""

    def __init__(self, placed: list[Placed], asked: Asked, route: Route, calls: Calls) -> None:
        self._before = [one for one in placed if one.stands("before")]
        self._after = [one for one in placed if one.stands("after")]
        self._asked = asked
        self._call = asked.call
        self._calls = calls
        self._limit = asyncio.timeout(None)
        self._turn = Turn(route.endpoint, route.release, asked.call.trace_id, asked.ask, self._again)

    async def before(self) -> Ask:
        """The request as it may go on, in a dialect that puts back what was taken out. Raises GuardrailRefused."""
        turn, call = self._turn, self._call
        for one in self._before:
            outcome = await self._looked(one)
            if outcome is None:
                continue
            if outcome.ask is not None:
                turn.ask = call.ask = outcome.ask
            if outcome.action == "refuse":
                raise _refusal(one.guardrail, outcome.reason)
        if turn.originals or (turn.restores and turn.ask.caller == "responses"):
            turn.ask = call.ask = replace(turn.ask, dialect=Restoring(turn.ask.dialect, turn.originals))
        return turn.ask

    def to_ask(self) -> Ask:
        """What the provider is asked for: the whole answer, when one must be seen."""
        ask = self._turn.ask
        return replace(ask, stream=False) if self._after and ask.stream else ask

    async def after(self, answer: Whole | Stream) -> Whole | Stream:
        """The answer as it may go on. Raises GuardrailRefused.

        A response is told anew here even when nothing fired: all of a conversation is then kept in one place, this one.
        """
        if not self._after or not isinstance(answer, Whole):
            return answer
        chat = answer.chat
        for one in self._after:
            outcome = await self._looked(one, chat)
            if outcome is None:
                continue
            chat = chat if outcome.answer is None else outcome.answer
            if outcome.action == "refuse":
                self._call.output = usage.whole(chat)
                raise _refusal(one.guardrail, outcome.reason)
        if chat is answer.chat and self._turn.ask.caller != "responses":
            return answer
        return Whole(openai.encoded(chat), chat, chat, CHAT)

    async def _looked(self, one: Placed, chat: Json | None = None) -> Outcome | None:
        """What a check says of the request, or of an answer, within its time. Raises when it could not be made and must be."""
        when: When = "before" if chat is None else "after"
        started = time.perf_counter()
        trouble: NoriaError | None = one.trouble
        outcome: Outcome | None = None
        if one.check is not None:
            try:
                async with asyncio.timeout(one.guardrail.timeout_ms / 1000) as self._limit:
                    looking = one.check.before(self._turn) if chat is None else one.check.after(self._turn, chat)
                    outcome = await looking
            except TimeoutError:
                trouble = CheckFailed(f"It took longer than {one.guardrail.timeout_ms} ms.")
            except CheckFailed as error:
                trouble = error
        if trouble is not None:
            self._note(one.guardrail, when, "failed", started, {"trouble": trouble.message})
            if one.guardrail.on_trouble == "closed":
                self._call.output = None if chat is None else usage.whole(chat)
                raise _failure(one.guardrail, trouble)
        elif outcome is not None:
            self._note(one.guardrail, when, outcome.action, started, outcome.details)
        return outcome

    async def _again(self, ask: Ask) -> Json:
        """One more call, which has the time limits of calls and not those of the check that wants it."""
        loop = asyncio.get_running_loop()
        left = (self._limit.when() or 0) - loop.time()
        self._limit.reschedule(None)
        answer = await self._calls.answer(replace(self._asked, ask=replace(ask, stream=False)))
        self._limit.reschedule(loop.time() + left)
        if not isinstance(answer, Whole):
            raise CheckFailed("A whole answer was asked for, and a stream came.")
        return answer.chat

    def _note(self, guardrail: Guardrail, when: When, action: str, started: float, details: Json) -> None:
        milliseconds = round((time.perf_counter() - started) * 1000, 2)
        note = {"kind": guardrail.kind, "when": when, "action": action, "ms": milliseconds, **details}
        self._call.attributes.setdefault("guardrails", []).append(note)


def _refusal(guardrail: Guardrail, reason: str) -> NoriaError:
    return GuardrailRefused(f"A guardrail of this endpoint ({guardrail.kind}) refused it. {reason}")


def _failure(guardrail: Guardrail, trouble: NoriaError) -> NoriaError:
    """What cannot be checked does not pass: for ever, when that lies in what was sent, else until the check works again."""
    if isinstance(trouble, Unreadable):
        return _refusal(guardrail, trouble.message)
    return GuardrailFailed(
        f"A guardrail of this endpoint ({guardrail.kind}) could not be applied. Nothing passes without it."
    )
