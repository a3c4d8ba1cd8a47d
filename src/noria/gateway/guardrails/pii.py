"""Guardrail of kind `pii`: personal data of known shapes is replaced by placeholders, and put back in the answer.

Options: `kinds` (EMAIL, PHONE, CARD, RRN, SSN), `restore` (put the caller's data back, true), `action` (mask, refuse, flag). The model, the
span and the cache see [EMAIL_1]; only the caller sees what stood there. With `when: after` or `both`, personal data that the answer
brings up by itself is replaced too, and not put back. What the patterns find and miss: noria.governance.privacy.patterns.
"""

from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Check, Outcome, Turn, register
from noria.gateway.guardrails.texts import answered, apart, asked, rewritten, with_texts
from noria.gateway.steps import Steps
from noria.governance.privacy.masking import Masker
from noria.governance.privacy.patterns import Found, find

_REASON = "It holds personal data, which this endpoint does not take or give."


@register("pii")
class Pii(Check):
    def __init__(self, options: Json, steps: Steps) -> None:
        self._kinds = frozenset(options.get("kinds") or ("EMAIL", "PHONE", "CARD", "RRN", "SSN"))
        self._restores = options.get("restore", True) is True
        self._action = options.get("action", "mask")

    async def before(self, turn: Turn) -> Outcome | None:
        masker = turn.notes["pii"] = Masker(self._find, brackets="[]")
        ask = await apart(sum(map(len, asked(turn.ask))), lambda: rewritten(turn.ask, masker.text))
        turn.restores = turn.restores or (self._restores and self._action == "mask")
        if not masker.counts:
            return None
        details = dict(masker.counts)
        if self._action == "flag":
            return Outcome("flag", details=details)
        if self._restores:
            turn.originals |= masker.originals
        return Outcome(self._action, ask=ask, reason=_REASON, details=details)

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        # The request's own masker: what the caller said keeps its placeholder, and new data gets another one.
        masker: Masker = turn.notes.get("pii") or Masker(self._find, brackets="[]")
        known = dict(masker.counts)
        told = await apart(sum(map(len, answered(answer))), lambda: with_texts(answer, masker.text))
        if told is answer:
            return None
        details = {kind: count - known.get(kind, 0) for kind, count in masker.counts.items()}
        if self._action == "flag":
            return Outcome("flag", details=details)
        return Outcome(self._action, answer=told, reason=_REASON, details=details)

    def _find(self, text: str) -> list[Found]:
        return [found for found in find(text) if found.kind in self._kinds]
