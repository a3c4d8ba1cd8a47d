"""A whole answer of Converse's as a chat completion.

The decision to know: thoughts become `reasoning_content` for reading and, signed, `thinking_blocks` for going back; blocks that
chat has no word for stand in `extra_content.bedrock.blocks` of the message, from where a following request sends them back.
"""

import time

from noria.core.errors import ProviderFailed
from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.converse import terms

_KEPT = ("trace", "performanceConfig", "serviceTier", "additionalModelResponseFields")


def to_answer(answer: Json) -> Json:
    """Raises ProviderFailed when it is none."""
    content = values.obj(values.obj(answer.get("output")).get("message")).get("content")
    if not isinstance(content, list):
        if values.text(answer.get("message")) or values.text(answer.get("Message")):
            raise terms.reported("", answer)
        raise ProviderFailed("The provider answered with something that is no message.")
    message = _spoken(values.objects(content))
    end = terms.finish(values.text(answer.get("stopReason")), calls="tool_calls" in message)
    told: Json = {
        "id": values.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "",
        "choices": [{"index": 0, "message": message, "logprobs": None, **end}],
    }
    if (counts := terms.usage(answer.get("usage"))) is not None:
        told["usage"] = counts
    if kept := {name: answer[name] for name in _KEPT if answer.get(name)}:
        told["extra_content"] = {"bedrock": kept}
    return told


def image(block: Json) -> Json | None:
    """An image block with its bytes as an image with a data URL; None when it is none."""
    inner = values.obj(block.get("image"))
    data = values.text(values.obj(inner.get("source")).get("bytes"))
    if not data:
        return None
    return {"type": "image_url", "image_url": {"url": f"data:image/{values.text(inner.get('format'))};base64,{data}"}}


def _spoken(content: list[Json]) -> Json:
    texts: list[str] = []
    thoughts: list[str] = []
    lists: dict[str, list[Json]] = {"thinking_blocks": [], "citations": [], "images": [], "tool_calls": []}
    others: list[Json] = []
    for block in content:
        use, reasoning = values.obj(block.get("toolUse")), values.obj(block.get("reasoningContent"))
        if isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif reasoning:
            thoughts.append(values.text(values.obj(reasoning.get("reasoningText")).get("text")))
            if kept := terms.thought(reasoning):
                lists["thinking_blocks"].append(kept)
        elif use and "type" not in use:
            function = {"name": values.text(use.get("name")), "arguments": values.arguments(use.get("input"))}
            known = values.text(use.get("toolUseId")) or values.new_id("call_")
            lists["tool_calls"].append({"id": known, "type": "function", "function": function})
        elif cited := values.obj(block.get("citationsContent")):
            texts += [values.text(one.get("text")) for one in values.objects(cited.get("content"))]
            lists["citations"] += values.objects(cited.get("citations"))
        elif picture := image(block):
            lists["images"].append(picture)
        elif block:
            others.append(block)
    said = "".join(texts)
    message: Json = {"role": "assistant", "content": said if said or not lists["tool_calls"] else None}
    if thought := "".join(thoughts):
        message["reasoning_content"] = thought
    message |= {name: found for name, found in lists.items() if found}
    if others:
        message["extra_content"] = {"bedrock": {"blocks": others}}
    return message
