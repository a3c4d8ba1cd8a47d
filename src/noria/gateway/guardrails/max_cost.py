"""Guardrail of kind `max_cost`: a request that could cost more than `micros` micro-dollars is not sent.

What it will cost is known only afterwards. The estimate is a bound as far as one can be had without a tokenizer: a token for every
three bytes of what is sent (English has about four, Korean about three), and all the tokens that the request allows the answer, times
`n`; 4,096 where it sets no limit. A release without prices costs nothing here.
"""

from typing import Any, Final

from noria.gateway.ask import Ask
from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Check, Outcome, Turn, register
from noria.gateway.steps import Steps
from noria.gateway.usage import Usage
from noria.registry.snapshot import ReleaseEntry

_BYTES_A_TOKEN: Final = 3
_UNLIMITED: Final = 4_096
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@register("max_cost")
class MaxCost(Check):
    def __init__(self, options: Json, steps: Steps) -> None:
        self._most = int(options["micros"])

    async def before(self, turn: Turn) -> Outcome | None:
        estimate = estimated_micros(turn.ask, turn.release)
        if estimate <= self._most:
            return None
        reason = (
            f"It could cost {estimate / 1e6:.4f} dollars, more than the {self._most / 1e6:.4f} that this endpoint allows; "
            "send less, or lower max_tokens."
        )
        return Outcome("refuse", reason=reason, details={"estimated_micros": estimate, "most_micros": self._most})


def estimated_micros(ask: Ask, release: ReleaseEntry) -> int:
    """What a request could cost, in micro-dollars."""
    given = {**release.parameters, **ask.chat}
    limit = next((given[name] for name in _LIMITS if _is_count(given.get(name))), _UNLIMITED)
    times = given["n"] if _is_count(given.get("n")) else 1
    prompt = release.prompt
    own = len(prompt.template) + sum(len(message.get("content", "")) for message in prompt.messages) if prompt else 0
    return Usage(input=(ask.size + own) // _BYTES_A_TOKEN, output=limit * times).cost_micros(release)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0
