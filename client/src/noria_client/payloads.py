"""What of an application's values is recorded: JSON of bounded size, masked before it is cut.

In: any Python value. Out: a value that json.dumps takes, with at most so many characters, items and levels, whatever it was;
objects that are no data are named by their type, because their text may be large, slow or secret. A mask that fails leaves
nothing of the text.
"""

import dataclasses
import enum
import json
import math
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from noria_client.boundary import once
from noria_client.configuration import Mask

_DEPTH: Final = 12
_ITEMS: Final = 500
_CUT: Final = "…"
_HIDDEN: Final = "(hidden)"
_SECRET: Final = re.compile(r"(?i)(^|_|-)(api_?key|password|passwd|secret|authorization|(access|refresh)_?token)$")
_AS_TEXT: Final = datetime | date | time | timedelta | Decimal | UUID | PurePath


def encoded(value: Any, name: str, *, most: int, mask: Mask | None) -> str:
    """`value` as an attribute: text as it is, everything else as JSON."""
    bounded = Bounding(name, most, mask).bounded(value)
    return bounded if isinstance(bounded, str) else json.dumps(bounded, ensure_ascii=False)


def masked_text(text: str, name: str, mask: Mask | None) -> str:
    """What the mask leaves of a text; nothing when it fails."""
    if mask is None:
        return text
    try:
        return str(mask(text, name))
    except Exception as error:  # noqa: BLE001 - a hook of the application; what it could not look at does not leave
        once(f"The masking hook failed: {type(error).__name__}; its texts are left out")
        return "(masking failed)"


def masked(value: Any, name: str, mask: Mask) -> Any:
    """A JSON value with all its texts masked."""
    if isinstance(value, str):
        return masked_text(value, name, mask)
    if isinstance(value, list):
        return [masked(item, name, mask) for item in value]
    if isinstance(value, dict):
        return {key: masked(item, name, mask) for key, item in value.items()}
    return value


class Bounding:
    """One value's way to JSON; the characters of all its texts together are counted."""

    def __init__(self, name: str, most: int, mask: Mask | None) -> None:
        self._name = name
        self._left = most
        self._mask = mask

    def bounded(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, enum.Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, str | bytes | bytearray | memoryview | _AS_TEXT):
            return self._text(value if isinstance(value, str) else _named(value))
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= _DEPTH or self._left <= 0:
            return _CUT
        self._left -= 2
        plain = _plain(value)
        if isinstance(plain, Mapping):
            return self._object(plain, depth)
        if isinstance(plain, list | tuple | AbstractSet):
            return self._list(plain, depth)
        return f"<{type(value).__module__}.{type(value).__qualname__}>"

    def _text(self, text: str) -> str:
        text = masked_text(str(text), self._name, self._mask).encode("utf-8", "replace").decode()
        room, self._left = max(self._left, 0), self._left - len(text)
        return text if len(text) <= room else text[:room] + _CUT

    def _number(self, number: float) -> Any:
        self._left -= 8
        if isinstance(number, float) and (not math.isfinite(number)):
            return str(number)
        if isinstance(number, int) and number.bit_length() > 64:
            return f"<{number.bit_length()} bits>"
        return number

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for number, (key, item) in enumerate(value.items()):
            if number >= _ITEMS or self._left <= 0:
                told[_CUT] = f"{len(value) - number} more"
                break
            name = self._text(str(key))
            told[name] = _HIDDEN if _SECRET.search(name) else self.bounded(item, depth + 1)
        return told

    def _list(self, value: Any, depth: int) -> list[Any]:
        told: list[Any] = []
        for item in islice(value, _ITEMS):
            if self._left <= 0:
                break
            told.append(self.bounded(item, depth + 1))
        if len(value) > len(told):
            told.append(f"{_CUT} {len(value) - len(told)} more")
        return told


def _named(value: Any) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _plain(value: Any) -> Any:
    """Records of the usual kinds as mappings, one level deep."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    fields = getattr(type(value), "model_fields", None)  # pydantic's models, without needing pydantic
    if isinstance(fields, Mapping):
        return dict(_members(value, fields))
    return value


def _members(value: Any, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in names:
        yield name, getattr(value, name, None)
    extra = getattr(value, "model_extra", None)
    if isinstance(extra, Mapping):
        yield from extra.items()
