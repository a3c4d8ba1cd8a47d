"""How many tokens a request is before it is sent: /v1/messages/count_tokens.

The decision to know: who can count is asked. A provider that speaks this dialect (Anthropic, llama.cpp's server since late
2025) gets `count_request(body)` at its own count_tokens; for every other one there is only `count_tokens`, an estimate that
says that it is one.
"""

from typing import Any

from noria.gateway.dialects.base import Json

_COUNTED = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "speed",
    "context_management",
    "mcp_servers",
)
_IMAGE_TOKENS = 1_600
"""Anthropic's figure for a picture at its largest size (docs, "Vision"); sizes are not looked at."""
_MESSAGE_TOKENS = 4


def count_request(body: Json) -> Json:
    """What a provider's count_tokens takes of a request, without `model`."""
    return {name: body[name] for name in _COUNTED if name in body}


def count_tokens(body: Json) -> Json:
    """{"input_tokens": an estimate, "estimated": true}: ASCII text at 4 characters a token, other text at 1.5."""
    tokens = _tokens(body.get("system")) + _tokens(body.get("tools"))
    for message in body.get("messages") or ():
        tokens += _MESSAGE_TOKENS + (_tokens(message.get("content")) if isinstance(message, dict) else 0)
    return {"input_tokens": max(round(tokens), 1), "estimated": True}


def _tokens(value: Any) -> float:
    """Texts, keys and numbers, wherever they stand; base64 is counted as a picture, never as text."""
    tokens, waiting = 0.0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            tokens += len(item) / 4 if item.isascii() else len(item) / 1.5
        elif isinstance(item, dict):
            if item.get("type") in ("base64", "url", "file"):
                tokens += _IMAGE_TOKENS
                continue
            waiting.extend(inner for name, inner in item.items() if name not in ("type", "cache_control", "signature"))
            tokens += len(item) / 2
        elif isinstance(item, list):
            waiting.extend(item)
        elif item is not None:
            tokens += 1
    return tokens
