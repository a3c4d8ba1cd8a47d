"""A whole answer of Gemini's as a chat completion.

The decision to know: thoughts become `reasoning_content`, images `images`, and parts that chat has no word for (executed code)
stand in `extra_content.google.parts` of the message, from where a following request sends them back.
"""

import time
from typing import Any

from noria.core.errors import ProviderFailed
from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.gemini import terms
from noria.gateway.failures import ProviderRefused


def to_answer(answer: Json) -> Json:
    """Raises ProviderFailed when it is none."""
    if answer.get("error"):
        raise reported(answer["error"])
    candidates = values.objects(answer.get("candidates"))
    block = terms.blocked(answer)
    if not candidates and block is None:
        raise ProviderFailed("The provider answered with something that is no completion.")
    choices = [_choice(candidate, place) for place, candidate in enumerate(candidates)]
    if not choices and block:
        message = {"role": "assistant", "content": None, "refusal": block.pop("why")}
        choices = [{"index": 0, "message": message, "logprobs": None, **block}]
    told: Json = {
        "id": values.text(answer.get("responseId")) or values.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": values.text(answer.get("modelVersion")),
        "choices": choices,
    }
    if (counts := terms.usage(answer.get("usageMetadata"))) is not None:
        told["usage"] = counts
    return told


def reported(error: Any) -> ProviderFailed:
    """The error that Google sends in the place of an answer."""
    detail = values.obj(error)
    status = detail.get("code")
    return ProviderRefused(
        status if type(status) is int and 400 <= status < 600 else 502,
        values.text(detail.get("message"))[:2000] or "The provider broke off with an error.",
        code=values.text(detail.get("status"))[:200] or "provider_error",
    )


def _choice(candidate: Json, place: int) -> Json:
    message: Json = {"role": "assistant", "content": None}
    content: list[str] = []
    thoughts: list[str] = []
    others: list[Json] = []
    calls: list[Json] = []
    images: list[Json] = []
    for part in values.objects(values.obj(candidate.get("content")).get("parts")):
        if "functionCall" in part:
            calls.append(terms.call(part))
        elif isinstance(part.get("text"), str):
            (thoughts if part.get("thought") is True else content).append(part["text"])
            message |= terms.signed(part)
        elif picture := terms.image(part):
            images.append(picture)
            message |= terms.signed(part)
        else:
            others.append(part)
    if content or not calls:
        message["content"] = "".join(content)
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if images:
        message["images"] = images
    if others:
        google = values.obj(values.obj(message.get("extra_content")).get("google"))
        message["extra_content"] = {"google": {**google, "parts": others}}
    if calls:
        message["tool_calls"] = calls
    reason = values.text(candidate.get("finishReason")) or "STOP"
    return {
        "index": terms.index(candidate, place),
        "message": message,
        "logprobs": terms.logprobs(candidate),
        **terms.finish(reason, calls=bool(calls)),
        **terms.kept(candidate),
    }
