"""What may be used: by a key, an endpoint or a project. A leaf that the gateway imports.

A limit that is 0 does not limit. Kept as JSON without its zeros, so that most rows hold "{}".
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from noria.core import checks


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be used, by a key, an endpoint or a project. Money is in micro-dollars, days and months are UTC's."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent: int = 0
    day_micros: int = 0
    month_micros: int = 0


NO_LIMITS: Final = Limits()
NAMES: Final[tuple[str, ...]] = tuple(one.name for one in fields(Limits))
MOST: Final[dict[str, int]] = {
    "requests_per_minute": 10_000_000,
    "tokens_per_minute": 100_000_000_000,
    "concurrent": 1_000_000,
    "day_micros": 10**15,
    "month_micros": 10**15,
}
"""The largest value that each takes: a billion dollars, and more than any machine does."""


def check_limits(raw: Any, where: str = "limits") -> Limits:
    """The limits in `raw`. Raises BadInput that names the field, below `where`, and what it may be."""
    given = checks.fields(raw, where, NAMES)
    for name, value in given.items():
        checks.whole(value, f"{where}.{name}", 0, MOST[name], "0: not limited.")
    return Limits(**given)


def decode_limits(raw: Mapping[str, Any] | None) -> Limits:
    """The limits that were kept in `raw`; what this version does not know is dropped."""
    kept = {name: raw[name] for name in NAMES if raw.get(name)} if raw else {}
    return Limits(**kept) if kept else NO_LIMITS


def sparse(limits: Limits) -> dict[str, int]:
    """Only what limits something."""
    return {name: value for name in NAMES if (value := getattr(limits, name))}
