"""What an attribute's value means for a field: counts, money, times, usage objects. Values that cannot be right give None, and the
attribute stays as it came."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from noria.tracing.dialects.messages import decoded, written

_MOST_TOKENS: Final = 10**9
_MOST_DOLLARS: Final = 10**6
_HOST: Final = re.compile(r"[a-z0-9.:-]{1,253}")
_PROTOCOLS: Final = frozenset({"chat", "responses", "completion", "messages", "embedding", "generative-ai", "image"})

MORE: Final = {
    "cost_usd": "dollars",
    "cost": "an object of dollars",
    "usage": "an object of token counts",
    "response_usage": "an answer with its usage in it",
    "response_id": "the provider's number of the answer, by which one call is known wherever it is told of",
    "written_tokens": "tokens of the input that the provider wrote to its cache",
    "address": "the host that was called, or its URL",
    "first_token_seconds": "seconds after the start",
    "first_token_millis": "milliseconds after the start",
    "first_token_time": "the moment, in ISO 8601",
    "level": "ERROR for a step that failed",
    "tool_name": "what was called",
    "tool_call_id": "the call that a tool's result answers",
}
"""What tables may name beside the fields of a span."""


def text(value: Any) -> str | None:
    """A short text; JSON's quotes around one come off."""
    found = decoded(value) if isinstance(value, str) and value[:1] == '"' else value
    return written(found)[:500] if found not in (None, "", [], {}) else None


def provider(value: Any) -> str | None:
    """Small letters, and without the protocol that Vercel appends: openai.responses is openai."""
    name = (text(value) or "").lower()
    head, dot, tail = name.rpartition(".")
    return (head if dot and tail in _PROTOCOLS else name) or None


def host(value: Any) -> str | None:
    """Of an address or a URL, in small letters; None for words that are neither."""
    return _host(value.lower()) if isinstance(value, str) and len(value) <= 500 else None


@lru_cache(maxsize=200)
def _host(name: str) -> str | None:
    try:
        found = urlsplit(name if "//" in name else f"//{name}").hostname or ""
    except ValueError:
        return None
    return found if _HOST.fullmatch(found) else None


def count(value: Any) -> int | None:
    """A number of tokens."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def whole(value: Any) -> int | None:
    """A version: 3, "3" and "v3" are the third."""
    if isinstance(value, str):
        digits = value.strip().lower().removeprefix("v")
        value = int(digits) if digits.isdecimal() and len(digits) < 10 else None
    return count(value)


def micros(value: Any) -> int | None:
    """Dollars as micro-dollars."""
    try:
        dollars = float(value)
    except (TypeError, ValueError):
        return None
    return round(dollars * 1_000_000) if math.isfinite(dollars) and 0 <= dollars <= _MOST_DOLLARS else None


def costs(value: Any) -> int | None:
    """The total of an object of dollars, or the sum of its parts."""
    found = decoded(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        return micros(found)
    for name in ("total", "total_cost"):
        if (given := micros(found.get(name))) is not None:
            return given
    parts = [given for item in found.values() if (given := micros(item)) is not None]
    return sum(parts) if parts else None


def flag(value: Any) -> bool | None:
    """True or false, however it is written."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def tags(value: Any) -> list[str] | None:
    """A list of words."""
    found = decoded(value) if isinstance(value, str) else value
    if isinstance(found, str):
        found = [found]
    return [written(item)[:200] for item in found[:100]] if isinstance(found, list) and found else None


def moment(value: Any) -> int | None:
    """An ISO time as nanoseconds; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(str(decoded(str(value))).replace("Z", "+00:00"))
    except ValueError:
        return None
    return round(found.timestamp() * 1_000_000) * 1000 if found.tzinfo else None


def after(unit: int) -> Callable[[Any], int | None]:
    """Nanoseconds of a time span given in units of `unit` nanoseconds."""

    def read(value: Any) -> int | None:
        right = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value * unit < 86_400 * 10**9
        return round(value * unit) if right else None

    return read


def usage(value: Any) -> dict[str, int] | None:
    """input_tokens, output_tokens, cached_tokens, written_tokens, reasoning_tokens of an object of token counts, whoever wrote it."""
    found = decoded(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        return None
    counted = _flat(found)
    read = {name: _first(counted, names) for name, names in _USAGE.items()}
    if "candidatestokencount" in counted:
        read["output_tokens"] += read["reasoning_tokens"]  # Gemini counts thoughts apart
    elif counted.get("total") != read["input_tokens"] + read["output_tokens"] and "input" in counted:
        # Langfuse's kinds of usage are disjoint
        read["input_tokens"] += sum(n for name, n in counted.items() if name.startswith(("input_", "cache_")))
        read["output_tokens"] += sum(n for name, n in counted.items() if name.startswith("output_"))
    return read if any(read.values()) else None


def usage_within(value: Any) -> dict[str, int] | None:
    """The usage object of a provider's answer."""
    found = decoded(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        return None
    return next((usage(found[name]) for name in ("usage", "usage_metadata", "usageMetadata") if found.get(name)), None)


_USAGE: Final = {
    "input_tokens": ("prompt_tokens", "input_tokens", "prompttokencount", "prompt_token_count", "input"),
    "output_tokens": (
        *("completion_tokens", "output_tokens", "candidatestokencount", "candidates_token_count", "output"),
    ),
    "cached_tokens": (
        *("cached_tokens", "input_cached_tokens", "cache_read_input_tokens", "cachedcontenttokencount"),
        *("cached_content_token_count", "input_cache_read", "cache_read"),
    ),
    "written_tokens": (
        *("cache_creation_input_tokens", "cache_write_tokens", "input_cache_creation", "cache_creation"),
        "cache_write_input_tokens",
    ),
    "reasoning_tokens": ("reasoning_tokens", "output_reasoning_tokens", "thoughtstokencount", "thoughts_token_count"),
}


def _flat(found: Mapping[str, Any]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name, item in found.items():
        for inner, value in item.items() if isinstance(item, dict) else ((name, item),):
            if (number := count(value)) is not None:
                counted.setdefault(str(inner).lower(), number)
    if "candidates_token_count" in counted:
        counted["candidatestokencount"] = counted["candidates_token_count"]
    return counted


def _first(counted: Mapping[str, int], names: tuple[str, ...]) -> int:
    return next((counted[name] for name in names if name in counted), 0)


READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "written_tokens"), count),
    "provider": provider,
    "address": host,
    "prompt_version": whole,
    "streamed": flag,
    "tags": tags,
    "cost_usd": micros,
    "cost": costs,
    "usage": usage,
    "response_usage": usage_within,
    "first_token_seconds": after(10**9),
    "first_token_millis": after(10**6),
    "first_token_time": moment,
}
"""How a field's value is read; all others are short texts."""
