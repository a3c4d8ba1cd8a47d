"""A caller's request in Anthropic's dialect, as a chat body.

In: a body that `check` has let through. Out: chat's `messages` and parameters. The decisions to know: results of tools stand in
a user's message there and are messages of their own here, before whatever else the user said; names that chat has no word for
(`top_k`, `thinking`, `cache_control`, …) pass on as they are, and `plain` takes them away for a provider that would
refuse them.
"""

from typing import Any

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient
from noria.gateway.dialects.messages.answers import spoken
from noria.gateway.dialects.messages.blocks import to_part

_TRANSLATED = (
    "model",
    "stream",
    "messages",
    "system",
    "stop_sequences",
    "tools",
    "tool_choice",
    "metadata",
    "output_config",
    "output_format",
    "service_tier",
)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = {"max": "xhigh"}
_TIERS = {"standard_only": "default"}


def to_chat(body: Json) -> Json:
    """The request as a chat body, without `model` and `stream`."""
    messages: list[Json] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _content(body["system"])})
    for message in body["messages"]:
        messages += _messages(message)
    chat = {name: value for name, value in body.items() if name not in _TRANSLATED and value is not None}
    chat["messages"] = messages
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    if isinstance(tier := body.get("service_tier"), str):
        chat["service_tier"] = _TIERS.get(tier, tier)
    metadata = dict(body.get("metadata") or {})
    if user := metadata.pop("user_id", None):
        chat["user"] = user
    if metadata:
        chat["metadata"] = metadata
    return {**chat, **_tools(body), **_output(body)}


def _messages(message: Json) -> list[Json]:
    role, content = message["role"], message["content"]
    if isinstance(content, str) or role == "system":
        return [{"role": role, "content": _content(content)}]
    if role == "assistant":
        return [_assistant(content)]
    told = [_result(block) for block in content if block["type"] == "tool_result"]
    rest = [block for block in content if block["type"] != "tool_result"]
    if rest or not told:
        told.append({"role": "user", "content": _content(rest)})
    return told


def _content(content: Any) -> Any:
    """Text, or parts: one bare text is told as text, since not every chat provider takes parts everywhere."""
    if isinstance(content, str):
        return content
    if not content:
        return ""
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        return content[0]["text"]
    return [to_part(block) for block in content]


def _result(block: Json) -> Json:
    content = block.get("content")
    told = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _content(content or "")}
    return {**told, **lenient.without(block, "type", "tool_use_id", "content")}


def _assistant(blocks: list[Json]) -> Json:
    """As an answer, but marks on a text (`cache_control`, `citations`) stay where they are: it is told in parts then."""
    texts = [block for block in blocks if block["type"] == "text"]
    if all(block.keys() == {"type", "text"} for block in texts):
        return spoken(blocks)
    message = lenient.without(spoken(blocks), "citations")
    return {**message, "content": texts}


def _tools(body: Json) -> Json:
    told: Json = {}
    if tools := body.get("tools"):
        told["tools"] = [_tool(tool) for tool in tools]
    choice = body.get("tool_choice")
    if not choice:
        return told
    if choice["type"] == "tool":
        told["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    else:
        told["tool_choice"] = _CHOICES[choice["type"]]
    if isinstance(choice.get("disable_parallel_tool_use"), bool):
        told["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]
    return told


def _tool(tool: Json) -> Json:
    """A function; a server's tool (it has a type of its own) has no word in chat and stays as it is."""
    if tool.get("type") not in (None, "custom"):
        return tool
    function: Json = {"name": tool["name"]}
    if tool.get("description") is not None:
        function["description"] = tool["description"]
    function["parameters"] = tool["input_schema"]
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    extras = lenient.without(tool, "type", "name", "description", "input_schema", "strict")
    return {"type": "function", "function": function, **extras}


def _output(body: Json) -> Json:
    """The shape of the answer and the effort put into it. `output_format` is the beta's name for the shape."""
    told: Json = {}
    config = dict(body.get("output_config") or {})
    shape = config.pop("format", None) or body.get("output_format")
    if isinstance(shape, dict) and isinstance(shape.get("schema"), dict):
        schema = {"name": "answer", "schema": shape["schema"], "strict": True}
        told["response_format"] = {"type": "json_schema", "json_schema": schema}
    effort = config.pop("effort", None)
    if isinstance(effort, str):
        told["reasoning_effort"] = _EFFORTS.get(effort, effort)
    if config:
        told["output_config"] = config
    return told
