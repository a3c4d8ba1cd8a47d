"""Checks of documents that people write (policies, limits): each says the path of what is wrong and what it may be.

In: a value and its path, like "guardrails[0].options.patterns". Out: the value. All raise BadInput.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from noria.core.errors import BadInput


def fields(value: Any, where: str, known: Collection[str], *, required: Collection[str] = ()) -> dict[str, Any]:
    """An object that has no other fields than `known`; a name that nearly is one is suggested."""
    if not isinstance(value, Mapping):
        raise BadInput(f"{where or 'The document'} is an object.", hint=_listed(known))
    for name in value:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            owner = where or "A document of this kind"
            hint = f"Did you mean {near[0]}?" if near else _listed(known)
            raise BadInput(f"{owner} has no field {str(name)[:60]!r}.", hint=hint)
    for name in required:
        if name not in value:
            raise BadInput(f"{path(where, name)} is missing.", hint=_listed(known))
    return dict(value)


def path(where: str, name: str) -> str:
    """The path of a field inside of `where`."""
    return f"{where}.{name}" if where else name


def number(value: Any, where: str, least: float, most: float, hint: str = "") -> float:
    """A number from `least` to `most`."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not least <= value <= most:  # NaN is not, either
        raise BadInput(f"{where} is a number from {least:,g} to {most:,.10g}.", hint=hint)
    return float(value)


def whole(value: Any, where: str, least: int, most: int, hint: str = "") -> int:
    """A whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise BadInput(f"{where} is a whole number from {least:,} to {most:,}.", hint=hint)
    return value


def choice(value: Any, where: str, allowed: Collection[str]) -> str:
    """One of a few words; a word that nearly is one is suggested."""
    if not isinstance(value, str) or value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"Did you mean {near[0]}?" if near else ""
        raise BadInput(f"{where} is one of {', '.join(allowed)}.", hint=hint)
    return value


def text(value: Any, where: str, most: int, *, empty: bool = True) -> str:
    """Text of at most `most` characters."""
    if not isinstance(value, str) or len(value) > most or not (empty or value.strip()):
        raise BadInput(f"{where} is text of {'at most' if empty else '1 to'} {most:,} characters.")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadInput(f"{where} holds a character that cannot be kept.", hint="No NUL and no half of a pair.")
    return value


def json_object(value: Any, where: str, most: int) -> dict[str, Any]:
    """An object of JSON, of at most `most` bytes when written."""
    try:
        written = orjson.dumps(value) if isinstance(value, dict) else b""
    except (TypeError, RecursionError):
        written = b""
    if not written or len(written) > most or b"\\u0000" in written:
        raise BadInput(f"{where} is an object of JSON of at most {most:,} bytes.", hint="No NUL, no half of a pair.")
    found: dict[str, Any] = value
    return found


def flag(value: Any, where: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise BadInput(f"{where} is true or false.")
    return value


def listed(value: Any, where: str, most: int, *, least: int = 0) -> list[Any]:
    """A list of `least` to `most` items."""
    if not isinstance(value, list | tuple) or not least <= len(value) <= most:
        raise BadInput(f"{where} is a list of {f'{least} to' if least else 'at most'} {most} items.")
    return list(value)


def _listed(known: Collection[str]) -> str:
    return f"Its fields: {', '.join(known)}."
