"""A chat body without the words that only Anthropic's dialect has, for a chat provider that refuses what it does not know.

In: what `Messages.to_chat` gave. Out: the body in the names of OpenAI's reference, and which names went missing, so that the
span can say so. The decision to know: llama.cpp, vLLM and most others take unknown names, so this is only for those
that do not (OpenAI itself); a picture in a tool's result, which OpenAI takes from users only, moves to a user's message.
"""

from typing import Any

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient

_BODY = frozenset(
    {
        "top_k",
        "thinking",
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "mcp_servers",
        "output_config",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
_MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call"})
_PART = frozenset({"type", "text", "image_url", "file", "input_audio", "refusal"})
_CALL = frozenset({"id", "type", "function", "custom"})


def plain(chat: Json) -> tuple[Json, list[str]]:
    """(body, names that were taken away, sorted)."""
    gone: set[str] = set()
    told = _only(chat, chat.keys() - _BODY, gone)
    told["messages"] = _messages(lenient.objects(chat.get("messages")), gone)
    if isinstance(chat.get("tools"), list):
        told["tools"] = [_tool(tool, gone) for tool in chat["tools"]]
    return told, sorted(gone)


def _only(value: Json, names: Any, gone: set[str]) -> Json:
    gone.update(value.keys() - names)
    return {name: field for name, field in value.items() if name in names}


def _tool(tool: Any, gone: set[str]) -> Any:
    known = isinstance(tool, dict) and tool.get("type") == "function"
    return _only(tool, {"type", "function"}, gone) if known else tool


def _messages(messages: list[Json], gone: set[str]) -> list[Json]:
    told: list[Json] = []
    shown: list[Json] = []
    """Pictures out of results of tools, until the last result of the turn."""
    for message in messages:
        if shown and message.get("role") != "tool":
            told.append({"role": "user", "content": shown})
            shown = []
        kept = _only(message, _MESSAGE, gone)
        if isinstance(kept.get("content"), list):
            parts = [_part(part, gone) for part in lenient.objects(kept["content"])]
            if message.get("role") == "tool":
                shown += [part for part in parts if part.get("type") != "text"]
                parts = [part for part in parts if part.get("type") == "text"]
            kept["content"] = parts or ""
        if isinstance(kept.get("tool_calls"), list):
            kept["tool_calls"] = [_only(call, _CALL, gone) for call in lenient.objects(kept["tool_calls"])]
        told.append(kept)
    return [*told, {"role": "user", "content": shown}] if shown else told


def _part(part: Json, gone: set[str]) -> Json:
    """A document given as text is text; other blocks without a word stay, and the provider says what it thinks of them."""
    if part.get("type") in ("text", "image_url", "file", "input_audio", "refusal"):
        return _only(part, _PART, gone)
    source = lenient.obj(part.get("source"))
    if part.get("type") == "document" and source.get("type") == "text":
        title = lenient.text(part.get("title"))
        gone.update(part.keys() - {"type", "source", "title"})
        return {"type": "text", "text": (f"{title}\n\n" if title else "") + lenient.text(source.get("data"))}
    return part
