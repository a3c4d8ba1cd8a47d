"""Guardrail of kind `secrets`: keys and passwords that have a known shape.

Options: `action` (refuse, mask, flag), `message`. Shapes of the services below as they document them, read in November 2026. A secret
without a shape (a password in prose) is not found; a shape in an example is. What was found is masked in the span, also when the
request is refused, so that a secret does not go on to live among the traces.
"""

from typing import Any, Final

from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Check, Outcome, Turn, register
from noria.gateway.guardrails.linear import compiled, searchable
from noria.gateway.guardrails.texts import answered, apart, asked, rewritten, with_texts
from noria.gateway.steps import Steps

SHAPES: Final = {
    "aws_access_key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    "gitlab_token": r"\bglpat-[A-Za-z0-9_-]{20,64}\b",
    "slack_token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}\b",
    "slack_webhook": r"https://hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,32}",
    "stripe_key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}\b",
    "google_api_key": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "anthropic_key": r"\bsk-ant-[A-Za-z0-9_-]{32,200}\b",
    "openai_key": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,250}\b",
    "huggingface_token": r"\bhf_[A-Za-z]{34}\b",
    "npm_token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi_token": r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,500}\b",
    "noria_key": r"\bnoria_[A-Za-z0-9_-]{24,100}\b",
    "json_web_token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,}",
    "private_key": r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)"
    r"(?:-----END (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----|\z)",
    "password_in_url": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/:@]{3,100}@[^\s<>'\"]+",
}
_QUICK = (
    "AKIA",
    "ASIA",
    "gh",
    "glpat",
    "xox",
    "slack",
    "k_",
    "AIza",
    "sk-",
    "hf_",
    "npm_",
    "pypi-",
    "noria_",
    "eyJ",
    "KEY",
    "://",
)
"""One of these stands in every secret; most texts have none and are not searched."""


@register("secrets")
class Secrets(Check):
    def __init__(self, options: Json, steps: Steps) -> None:
        self._shapes: dict[str, Any] = {name: compiled(shape) for name, shape in SHAPES.items()}
        self._action = options.get("action", "refuse")
        self._message = options.get("message") or "It holds what looks like a key or a password."

    async def before(self, turn: Turn) -> Outcome | None:
        found = asked(turn.ask)
        names = await self._names(found)
        if not names:
            return None
        ask = await apart(sum(map(len, found)), lambda: rewritten(turn.ask, self._masked))
        return Outcome(self._action, ask=None if self._action == "flag" else ask, reason=self._message, details=names)

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        found = answered(answer)
        names = await self._names(found)
        if not names:
            return None
        told = await apart(sum(map(len, found)), lambda: with_texts(answer, self._masked))
        return Outcome(
            self._action, answer=None if self._action == "flag" else told, reason=self._message, details=names
        )

    async def _names(self, found: list[str]) -> Json:
        likely = [searchable(text) for text in found if any(part in text for part in _QUICK)]
        if not likely:
            return {}

        def search() -> list[str]:
            return [name for name, shape in self._shapes.items() if any(shape.search(text) for text in likely)]

        names = await apart(sum(map(len, likely)), search)
        return {"shapes": names} if names else {}

    def _masked(self, text: str) -> str:
        """The text with [SECRET] where one stands; the very same text when there is none."""
        if not any(part in text for part in _QUICK):
            return text
        told = searchable(text)
        for shape in self._shapes.values():
            if shape.search(told):
                told = shape.sub("[SECRET]", told)
        return text if told == searchable(text) else told
