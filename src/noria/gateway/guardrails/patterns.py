"""Guardrails of kind `deny` and `allow`: patterns that must not, or of which one must, stand in a text.

Options: `patterns` (RE2), `ignore_case`, `message` (what a refused caller reads), `action` (refuse, flag). `deny` reads everything that
the caller can fill, whoever's turn it is said to be; `allow` reads the last message of the user, or the answer.
"""

from collections.abc import Sequence
from typing import ClassVar

from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Check, Outcome, Turn, register
from noria.gateway.guardrails.linear import compiled, found_in
from noria.gateway.guardrails.texts import answered, apart, asked, texts
from noria.gateway.steps import Steps


class _Patterns(Check):
    reason: ClassVar[str]

    def __init__(self, options: Json, steps: Steps) -> None:
        ignore_case = bool(options.get("ignore_case"))
        self._patterns = [compiled(pattern, ignore_case) for pattern in options["patterns"]]
        self._message = options.get("message") or self.reason
        self._refuses = options.get("action", "refuse") == "refuse"

    async def _search(self, found: Sequence[str]) -> list[int]:
        return await apart(sum(map(len, found)), lambda: found_in(self._patterns, found))

    def _outcome(self, details: Json) -> Outcome:
        return Outcome("refuse" if self._refuses else "flag", reason=self._message, details=details)


@register("deny")
class Deny(_Patterns):
    reason = "It holds something that this endpoint does not take or give."

    async def before(self, turn: Turn) -> Outcome | None:
        return await self._check(asked(turn.ask))

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        return await self._check(answered(answer))

    async def _check(self, found: list[str]) -> Outcome | None:
        hits = await self._search(found)
        return self._outcome({"patterns": hits}) if hits else None


@register("allow")
class Allow(_Patterns):
    reason = "It is not among what this endpoint takes or gives."

    async def before(self, turn: Turn) -> Outcome | None:
        whole = asked(turn.ask)
        last = next((m for m in reversed(turn.ask.messages) if m.get("role") == "user"), None)
        return await self._check(list(texts(last.get("content"))) if last else whole)

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        return await self._check(answered(answer))

    async def _check(self, found: list[str]) -> Outcome | None:
        return None if await self._search(found) else self._outcome({})
