"""The messages of a chat body, as Anthropic's `system` and `messages`.

In: chat messages of any origin. Out: blocks. The decisions to know: all results of one turn's tools stand in one user message,
with what the user says next; signed thinking goes back in front of what followed it. Reasoning without a signature (another
model's) is left out, because Anthropic refuses it and it is no part of a conversation elsewhere either; so is a
message's `name`, which has no word.
"""

import re
from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient
from noria.gateway.dialects.messages.blocks import to_blocks

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


def conversation(messages: Any) -> tuple[str | list[Json], list[Json]]:
    """(system, messages). Raises BadInput that names the field."""
    if not isinstance(messages, list):
        raise BadInput('"messages" must be a list.')
    system: list[Json] = []
    told: list[Json] = []
    results: list[Json] | None = None
    """The content of the user message that holds the results of tools, while it may still grow."""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BadInput(f'"{where}" must be an object.')
        role, content = message.get("role"), message.get("content")
        if role in ("system", "developer"):
            system += to_blocks(content, f"{where}.content")
        elif role == "tool":
            if results is None:
                results = []
                told.append({"role": "user", "content": results})
            results.append(_result(message, where))
        elif role == "user":
            blocks = to_blocks(content, f"{where}.content")
            if results is not None:
                results += blocks
            else:
                told.append({"role": "user", "content": content if isinstance(content, str) else blocks})
            results = None
        elif role == "assistant":
            results = None
            if blocks := _assistant(message, where):
                told.append({"role": "assistant", "content": _shortest(blocks)})
        else:
            raise BadInput(f'"{where}.role" must be system, developer, user, assistant or tool.')
    return _shortest(system), told


def _shortest(blocks: list[Json]) -> str | list[Json]:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _result(message: Json, where: str) -> Json:
    told: Json = {"type": "tool_result", "tool_use_id": _id(message.get("tool_call_id"), f"{where}.tool_call_id")}
    if blocks := to_blocks(message.get("content"), f"{where}.content"):
        told["content"] = _shortest(blocks)
    return {**told, **lenient.without(message, "role", "tool_call_id", "content", "name")}


def _assistant(message: Json, where: str) -> list[Json]:
    if message.get("function_call") is not None or message.get("audio") is not None:
        raise BadInput(f'"{where}" holds a function_call or audio, which do not work here.', hint="Use tool_calls.")
    blocks = [
        block
        for block in lenient.objects(message.get("thinking_blocks"))
        if (block.get("type") == "thinking" and block.get("signature")) or block.get("type") == "redacted_thinking"
    ]
    blocks += [block for block in lenient.objects(message.get("provider_blocks")) if isinstance(block.get("type"), str)]
    texts = to_blocks(message.get("content"), f"{where}.content")
    if (citations := lenient.objects(message.get("citations"))) and texts and "citations" not in texts[-1]:
        texts[-1] = {**texts[-1], "citations": citations}
    blocks += texts
    if refusal := lenient.text(message.get("refusal")):
        blocks.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise BadInput(f'"{where}.tool_calls" must be a list.')
    return blocks + [_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls or ())]


def _call(call: Any, where: str) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadInput(f'"{where}.function" must be an object with a "name".')
    told = {
        "type": "tool_use",
        "id": _id(call.get("id"), f"{where}.id"),
        "name": function["name"],
        "input": lenient.tool_input(function.get("arguments")),
    }
    return {**told, **lenient.without(call, "id", "type", "function", "index")}


def _id(value: Any, where: str) -> str:
    """Ids of other providers hold characters that Anthropic refuses; call and result change alike."""
    if not isinstance(value, str) or not value:
        raise BadInput(f'"{where}" must be text.')
    return _FOREIGN.sub("_", value)
