"""A whole answer: Anthropic's message as a chat completion, and back.

The decision to know: what a chat message has no word for stands beside its text under a name of its own and comes back as it
was: `thinking_blocks` (thinking with its signature, and redacted thinking, verbatim), `provider_blocks` (what server tools did)
and `citations`. A client that sends the message back in the next request gets thinking with tools right.
"""

import os
import time

from noria.core.errors import ProviderFailed
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient, terms
from noria.gateway.dialects.messages.errors import reported

THOUGHTS = ("thinking", "redacted_thinking")


def to_answer(answer: Json) -> Json:
    """A message as a chat completion. Raises ProviderFailed when it is none."""
    if answer.get("type") == "error":
        raise reported(answer)
    if not isinstance(answer.get("content"), list):
        raise ProviderFailed("The provider answered with something that is no message.")
    message = spoken(lenient.objects(answer["content"]))
    end = terms.finish(answer, calls="tool_calls" in message)
    told: Json = {
        "id": lenient.text(answer.get("id")),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": lenient.text(answer.get("model")),
        "choices": [{"index": 0, "message": message, "logprobs": None, **end}],
    }
    if usage := terms.chat_usage(answer.get("usage")):
        told["usage"] = usage
    known = ("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage")
    return {**lenient.without(answer, *known), **told}


def spoken(blocks: list[Json]) -> Json:
    """The blocks of an assistant as one chat message."""
    texts = [block for block in blocks if block.get("type") == "text"]
    thoughts = [block for block in blocks if block.get("type") in THOUGHTS]
    calls = [call(block) for block in blocks if block.get("type") == "tool_use"]
    others = [block for block in blocks if block.get("type") not in ("text", "tool_use", *THOUGHTS)]
    content = "".join(lenient.text(block.get("text")) for block in texts)
    message: Json = {"role": "assistant", "content": content if content or not calls else None}
    if reasoning := "".join(lenient.text(block.get("thinking")) for block in thoughts):
        message["reasoning_content"] = reasoning
    if kept := [block for block in thoughts if block.get("signature") or block["type"] == "redacted_thinking"]:
        message["thinking_blocks"] = kept
    if others:
        message["provider_blocks"] = others
    if citations := [one for block in texts for one in lenient.objects(block.get("citations"))]:
        message["citations"] = citations
    if calls:
        message["tool_calls"] = calls
    return message


def call(block: Json) -> Json:
    """A tool_use block as a tool call."""
    function = {"name": lenient.text(block.get("name")), "arguments": lenient.arguments(block.get("input"))}
    extras = lenient.without(block, "type", "id", "name", "input")
    return {"id": lenient.text(block.get("id")), "type": "function", "function": function, **extras}


def from_answer(chat: Json, model: str) -> Json:
    """A chat completion as a message; its first choice, since Anthropic knows no `n`."""
    choice = next(iter(lenient.objects(chat.get("choices"))), {})
    message = lenient.obj(choice.get("message"))
    refusal = lenient.text(message.get("refusal"))
    blocks = said(message)
    told: Json = {
        "id": lenient.text(chat.get("id")) or message_id(),
        "type": "message",
        "role": "assistant",
        "model": lenient.text(chat.get("model")) or model,
        "content": blocks,
        **terms.stop(choice, calls=any(block["type"] == "tool_use" for block in blocks), refusal=refusal),
        "usage": terms.message_usage(chat.get("usage")),
    }
    return {**kept_fields(chat), **told}


def said(message: Json) -> list[Json]:
    """A provider's chat message as blocks, in the order in which Anthropic's models speak."""
    blocks = lenient.objects(message.get("thinking_blocks"))
    reasoning = lenient.text(message.get("reasoning_content")) or lenient.text(message.get("reasoning"))
    if reasoning and not any(block.get("thinking") for block in blocks):
        blocks.insert(0, {"type": "thinking", "thinking": reasoning, "signature": ""})
    blocks += lenient.objects(message.get("provider_blocks"))
    blocks = [block for block in blocks if isinstance(block.get("type"), str)]
    content = message.get("content")
    parts = [content] if isinstance(content, str) else [part.get("text") for part in lenient.objects(content)]
    written = "".join(map(lenient.text, parts)) + lenient.text(message.get("refusal"))
    if written:
        citations = lenient.objects(message.get("citations"))
        blocks.append({"type": "text", "text": written, **({"citations": citations} if citations else {})})
    for one in lenient.objects(message.get("tool_calls")):
        function = lenient.obj(one.get("function"))
        name, given = lenient.text(function.get("name")), lenient.tool_input(function.get("arguments"))
        extras = lenient.without(one, "id", "type", "function", "index")
        known = lenient.text(one.get("id")) or call_id()
        blocks.append({"type": "tool_use", "id": known, "name": name, "input": given, **extras})
    return blocks


def kept_fields(chat: Json) -> Json:
    """The fields of an Anthropic answer that chat carries for it."""
    names = ("container", "diagnostics", "context_management")
    return {name: chat[name] for name in names if chat.get(name) is not None}


def message_id() -> str:
    return f"msg_{os.urandom(12).hex()}"


def call_id() -> str:
    return f"toolu_{os.urandom(12).hex()}"
