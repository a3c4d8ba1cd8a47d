"""Values of a provider's JSON, read without trusting them: what is missing or of another type is the empty one."""

from typing import Any

from noria.gateway import payload
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.openai import encoded

_MAX_TOKENS = 10**9
BROKEN = "INVALID_JSON"
"""The key under which a call's arguments stand that are no JSON object (Anthropic, "Fine-grained tool streaming")."""


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count(value: Any) -> int:
    return min(value, _MAX_TOKENS) if type(value) is int and value > 0 else 0


def obj(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def arguments(value: Any) -> str:
    """A call's input as the JSON text that chat has for it."""
    return encoded(obj(value)).decode()


def tool_input(value: Any) -> Json:
    """A call's arguments, JSON text in chat, as the object that Anthropic wants."""
    if isinstance(value, dict):
        return value
    written = text(value)
    if not written.strip():
        return {}
    try:
        told = payload.tolerant(written.encode("utf-8", "surrogatepass"))
    except ValueError:
        return {BROKEN: written}
    return told if isinstance(told, dict) else {BROKEN: written}


def without(value: Json, *names: str) -> Json:
    """The fields that no translation names: they pass on as they are."""
    return {name: field for name, field in value.items() if name not in names}
