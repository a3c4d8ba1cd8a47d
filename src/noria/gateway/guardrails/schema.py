"""Guardrail of kind `schema`: the answer is JSON that fits a schema, or its caller does not get it.

Options: `schema` (draft 2020-12; references stay inside it), `repair` (one more call, true). An answer in a Markdown fence is taken out of it. One
that does not fit is shown to the model once more together with what is wrong; what both calls cost is in the usage. Answers that call
tools are not looked at.
"""

import asyncio
from typing import Any

import orjson

from noria.core.errors import NoriaError
from noria.gateway.dialects.base import Json
from noria.gateway.failures import ClientLeft
from noria.gateway.guardrails.base import Check, CheckFailed, Outcome, Turn, register
from noria.gateway.guardrails.texts import choices, retold, with_messages
from noria.gateway.steps import Steps

_REASON = "The model's answer does not fit the schema of this endpoint."
_MOST_FAULTS = 8
_AT_ONCE = 20_000
_FENCE = "```"


@register("schema")
class Schema(Check):
    def __init__(self, options: Json, steps: Steps) -> None:
        import jsonschema_rs

        schema = options["schema"]
        self._repairs = options.get("repair", True) is True
        try:
            # RegexOptions: patterns by an engine whose time is linear.
            self._validator = jsonschema_rs.Draft202012Validator(
                schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
            )
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise CheckFailed("The schema cannot be used.") from error
        self._text = orjson.dumps(schema).decode()

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        told, faults = await self._fitted(answer)
        if not faults:
            return None if told is answer else Outcome("repair", answer=told, details={"calls": 0})
        details = {"faults": len(faults)}
        if not self._repairs or not turn.ask.messages:
            return Outcome("refuse", answer=answer, reason=_REASON, details=details)
        second = _with_both_usages(await self._again(turn, answer, faults), answer)
        told, left = await self._fitted(second)
        if left:
            details |= {"faults_after": len(left), "calls": 1}
            return Outcome(
                "refuse", answer=second, reason=f"{_REASON} One attempt to repair it failed.", details=details
            )
        return Outcome("repair", answer=told, details={**details, "calls": 1})

    async def _again(self, turn: Turn, answer: Json, faults: list[str]) -> Json:
        said = next(iter(choices(answer)), {}).get("message") or {}
        listed = "\n".join(f"- {fault}" for fault in faults)
        demand = (
            f"Your last answer does not fit the JSON schema that it must fit:\n{listed}\n\nThe schema: {self._text}\n\n"
            "Give the whole answer again as JSON that fits, without any words around it."
        )
        messages = [
            *turn.ask.messages,
            {"role": "assistant", "content": _content(said)},
            {"role": "user", "content": demand},
        ]
        try:
            return await turn.again(retold(turn.ask, messages))
        except ClientLeft:
            raise
        except NoriaError as error:
            raise CheckFailed(f"The answer could not be repaired: {error.code}.") from error

    async def _fitted(self, answer: Json) -> tuple[Json, list[str]]:
        """The answer with every choice as plain JSON, and what is wrong with it."""
        size = sum(len(_content(choice.get("message"))) for choice in choices(answer))
        if size <= _AT_ONCE:
            return self._looked_at(answer)
        return await asyncio.to_thread(self._looked_at, answer)

    def _looked_at(self, answer: Json) -> tuple[Json, list[str]]:
        messages, faults, changed = [], [], False
        for choice in choices(answer):
            message = choice.get("message")
            if isinstance(message, dict) and not message.get("tool_calls"):
                text = _content(message)
                plain = _unfenced(text)
                faults += self._faults(plain)
                if plain != text:
                    message, changed = {**message, "content": plain}, True
            messages.append(message)
        return (with_messages(answer, messages) if changed else answer), faults[:_MOST_FAULTS]

    def _faults(self, text: str) -> list[str]:
        try:
            value = orjson.loads(text)
        except ValueError:
            return ["It is not JSON."]
        try:
            found = self._validator.iter_errors(value)
            return [_fault(error) for _, error in zip(range(_MOST_FAULTS), found, strict=False)]
        except ValueError:  # nested deeper than the validator goes
            return ["It is nested too deeply."]


def _fault(error: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
    return f"{place.lstrip('.') or 'the answer'}: {error.message}"[:300]


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _unfenced(text: str) -> str:
    """What stands in a text's only Markdown fence; the text as it is when it is JSON or has no such thing."""
    if text.count(_FENCE) != 2:
        return text
    inside = text.split(_FENCE)[1]
    first, _, rest = inside.partition("\n")
    return (rest if first.strip().lower() in {"", "json"} else inside).strip()


def _with_both_usages(second: Json, first: Json) -> Json:
    """The second answer with the usage of both: both were paid."""
    a, b = first.get("usage"), second.get("usage")
    if not isinstance(a, dict) or not isinstance(b, dict):
        return second
    return {**second, "usage": _sum(a, b)}


def _sum(a: Json, b: Json) -> Json:
    told = {**a, **b}
    for name in a.keys() & b.keys():
        if isinstance(a[name], dict) and isinstance(b[name], dict):
            told[name] = _sum(a[name], b[name])
        elif type(a[name]) is int and type(b[name]) is int:
            told[name] = a[name] + b[name]
    return told
