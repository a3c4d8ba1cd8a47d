"""Values from outside, read without trusting them: the small words that all files about Responses share.

`text`, `count`, `mapping` and `objects` are for what a provider sent: what is odd becomes empty. `wanted_*` are for what a
caller sent: what is odd is BadInput that names the field.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json

_MOST = 10**9
_LATEST = 10**11


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count(value: Any) -> int:
    return min(value, _MOST) if type(value) is int and value > 0 else 0


def moment(value: Any) -> int:
    """Seconds since 1970; 0 when there is no sensible time."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if known and 0 <= value < _LATEST else 0


def mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def whole_text(parts: list[str]) -> str:
    """Pieces put together; half surrogate pairs that a provider split over two chunks meet again, lone ones become U+FFFD."""
    joined = "".join(parts)
    if joined.isascii():
        return joined
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def wanted_text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise BadInput(f'"{field}" must be text.')
    return value


def wanted_object(value: Any, field: str) -> Json:
    if not isinstance(value, dict):
        raise BadInput(f'"{field}" must be an object.')
    return value


def wanted_list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadInput(f'"{field}" must be a list.')
    return value


def given(fields: Json, *names: str) -> Json:
    """Those of `names` that have a value."""
    return {name: fields[name] for name in names if fields.get(name) is not None}


def rest(fields: Json, *known: str) -> Json:
    """What has a value beside the `known` names: it passes on under its own name."""
    return {name: value for name, value in fields.items() if name not in known and value is not None}
