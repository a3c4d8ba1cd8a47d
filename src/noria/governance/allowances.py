"""Limits as people type and read them: numbers with separators, money in dollars. In: fields of a form or options of a
command. Out: the changes that `Limits` takes, in micro-dollars.
"""

from collections.abc import Mapping
from typing import Final

from noria.core.errors import BadInput
from noria.core.money import dollars, micros
from noria.governance.limits import NAMES, Limits

MONEY: Final[dict[str, str]] = {"day_micros": "day_dollars", "month_micros": "month_dollars"}
"""Limits that people give in dollars: the limit, and the field that it is typed into."""
FIELDS: Final[tuple[str, ...]] = tuple(MONEY.get(name, name) for name in NAMES)


def from_fields(fields: Mapping[str, str | None]) -> dict[str, int]:
    """The limits that were typed; an empty field is 0, one that is None or missing is not among them. Raises BadInput."""
    found = {}
    for name in NAMES:
        typed = fields.get(MONEY.get(name, name))
        if typed is not None:
            found[name] = micros(typed) if name in MONEY else whole(typed)
    return found


def to_fields(limits: Limits) -> dict[str, str]:
    """The same back: what a form shows in its fields; empty where nothing is limited."""
    values = {name: getattr(limits, name) for name in NAMES}
    return {MONEY.get(name, name): _shown(name, value) if value else "" for name, value in values.items()}


def whole(text: str) -> int:
    """A whole number as somebody typed it; "" is 0. Raises BadInput."""
    plain = text.strip().replace(",", "").replace("_", "")
    if not plain:
        return 0
    if not (plain.isascii() and plain.isdecimal() and len(plain) <= 18):
        raise BadInput(f"{text.strip()[:40]!r} is not a whole number.", hint="Like 600. Empty: not limited.")
    return int(plain)


def sentence(limits: Limits) -> str:
    """The limits in one line, for a terminal; "" when nothing is limited."""
    parts = [
        (limits.requests_per_minute, "{:,} requests/min"),
        (limits.tokens_per_minute, "{:,} tokens/min"),
        (limits.concurrent, "{:,} at a time"),
    ]
    said = [text.format(value) for value, text in parts if value]
    money = [(limits.day_micros, "day"), (limits.month_micros, "month")]
    return ", ".join(said + [f"${dollars(value)}/{unit}" for value, unit in money if value])


def _shown(name: str, value: int) -> str:
    return dollars(value).replace(",", "") if name in MONEY else str(value)
