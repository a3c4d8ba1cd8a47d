"""Guardrail of kind `step`: a process of the team's own decides (docs/steps.md).

Options: `url`, and `payload`, which the step gets as it is. The step may refuse, note something on the span, or give other messages. It
sees what the guardrails before it have left: after `pii` it sees placeholders.
"""

from typing import Any

from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Check, CheckFailed, Outcome, Turn, Unreadable, register
from noria.gateway.guardrails.texts import choices, retold, with_messages
from noria.gateway.steps import StepFailed, Steps

_REASON = "A check of this endpoint's team does not let it pass."


@register("step")
class Step(Check):
    def __init__(self, options: Json, steps: Steps) -> None:
        self._url = str(options["url"])
        self._payload = options.get("payload") or {}
        self._steps = steps

    async def before(self, turn: Turn) -> Outcome | None:
        if not turn.ask.messages:
            raise Unreadable("A request without messages is not shown to steps.")
        told = await self._ask(turn, "before", {})
        messages = told.get("messages")
        if messages is not None and not _are_messages(messages):
            raise CheckFailed("The step gave messages that are none.")
        ask = None if messages is None else retold(turn.ask, messages)
        return self._outcome(told, ask=ask)

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        messages = [choice.get("message") for choice in choices(answer)]
        told = await self._ask(turn, "after", {"answer": messages})
        other = told.get("answer")
        if other is not None and not (_are_messages(other) and len(other) == len(messages)):
            raise CheckFailed("The step gave an answer that is none.")
        return self._outcome(told, answer=None if other is None else with_messages(answer, other))

    async def _ask(self, turn: Turn, when: str, more: Json) -> Json:
        question = {
            "step": "guardrail",
            "when": when,
            "project": turn.endpoint.project_id,
            "endpoint": turn.endpoint.name,
            "release": turn.release.number,
            "trace_id": turn.trace_id,
            "messages": turn.ask.messages,
            "payload": self._payload,
            **more,
        }
        try:
            return await self._steps.call(self._url, question)
        except StepFailed as error:
            raise CheckFailed(error.message) from error

    def _outcome(self, told: Json, **changed: Any) -> Outcome | None:
        verdict = told.get("verdict", "pass")
        if verdict not in {"pass", "refuse", "flag"}:
            raise CheckFailed("The step gave a verdict that is none.")
        reason, details = told.get("reason"), _details(told.get("details"))
        if verdict == "refuse":
            return Outcome(
                "refuse", reason=reason[:300] if isinstance(reason, str) and reason else _REASON, details=details
            )
        if any(value is not None for value in changed.values()):
            return Outcome("replace", details=details, **changed)
        return Outcome("flag", details=details) if verdict == "flag" else None


def _are_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in value)
    )


def _details(value: Any) -> Json:
    """At most 20 numbers and short words of the step's own, for the span."""
    if not isinstance(value, dict):
        return {}
    kept = [(str(name)[:40], word[:100] if isinstance(word, str) else word) for name, word in value.items()]
    return dict([(name, word) for name, word in kept if isinstance(word, str | int | float)][:20])
