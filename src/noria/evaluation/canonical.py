"""When two answers are the same: JSON objects by value, labels by normal form, text by its characters.

Strings are compared in Unicode's composed form (NFC), so that Korean typed on different systems is equal, and without
white space around them. Types count: 5 is not "5" (a program that gets the call would care), but 5 is 5.0.
"""

import json
import unicodedata
from typing import Any


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is, or None. Strict: nothing around it, no NaN or Infinity."""
    try:
        value = json.loads(text.strip(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def canonical(value: Any) -> str:
    """One text for all equal JSON values: keys sorted, strings in normal form, whole floats as integers."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def plain_text(text: str) -> str:
    """NFC, without white space at the ends."""
    return unicodedata.normalize("NFC", text).strip()


def label(text: str) -> str:
    """A label's normal form: NFC, trimmed, case folded, inner white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def fields(value: dict[str, Any]) -> dict[str, str]:
    """Path to canonical value of each field except the call's `name`; nested objects are opened, lists compared whole."""
    found: dict[str, str] = {}
    for key, inner in value.items():
        if key != "name":
            _open(_step(key), inner, found)
    return found


def _open(path: str, value: Any, found: dict[str, str]) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _open(f"{path}.{_step(key)}", inner, found)
    else:
        found[path] = canonical(value)


def _step(key: str) -> str:
    return json.dumps(plain_text(key), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {plain_text(key): _plain(item) for key, item in value.items()}
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
