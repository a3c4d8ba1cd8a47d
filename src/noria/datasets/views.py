"""What the pages of datasets show, worked out: rows for reading, a cleaning's report and its changes in words.

In: records of this slice. Out: small frozen objects and sentences to translate; cleaning itself writes plain English.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from noria.datasets import changes
from noria.datasets.records import Example, message_text

TITLES: Final[dict[str, str]] = {
    "exact_duplicate": "Exact duplicates",
    "near_duplicate": "Near duplicates",
    "leakage": "Leakage",
    "conflict": "Conflicts",
    "too_long": "Too long",
    "too_short": "Too short",
    "encoding": "Broken encoding",
    "masked": "Personal data",
    "unreadable": "Lost letters",
}
"""What pages call the reasons of `changes.REASONS`."""
DETAILS: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(?P<share>\d+)% alike", "{share} % alike"),
        (r"also in (?P<split>[\w.-]+): the same row", "the same row is in {split}"),
        (r"also in (?P<split>[\w.-]+): (?P<share>\d+)% alike", "{share} % alike to a row of {split}"),
        (r"(?P<n>[\d,]+) characters, robust z (?P<z>[+-][\d.]+)", "{n} characters, robust z {z}"),
        (r"letters were lost before the import.*", "letters were lost before the import (U+FFFD)"),
    )
)
"""Details of a change as cleaning writes them, and how pages say them in two languages."""
MASKED: Final[dict[str, str]] = {
    "EMAIL": "e-mail addresses: {n}",
    "PHONE": "phone numbers: {n}",
    "CARD": "card numbers: {n}",
    "RRN": "resident registration numbers: {n}",
    "SSN": "social security numbers: {n}",
}
"""How many of each kind of personal data were replaced."""


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a cleaning's report: so many rows were `action` for `reason`."""

    action: Literal["removed", "changed", "reported"]
    reason: str
    title: str
    meaning: str
    rows: int


@dataclass(frozen=True, slots=True)
class Said:
    """A row as it is read: what was asked, message by message, and the target."""

    row_id: str
    split: str
    asked: list[tuple[str, str]]
    """(role, text)"""
    target: str
    is_json: bool
    origin: dict[str, Any]
    meta: dict[str, Any]


def found_by_cleaning(report: dict[str, Any]) -> list[Found]:
    """The lines of a cleaning's report, most rows first within each kind; empty when no cleaning made the version."""
    return [
        Found(action, reason, TITLES.get(reason, reason), changes.REASONS.get(reason, reason), rows)
        for action in ("removed", "changed", "reported")
        for reason, rows in sorted(report.get(action, {}).items(), key=lambda entry: -entry[1])
        if isinstance(rows, int)
    ]


def said(example: Example) -> Said:
    """A row for reading."""
    target = example.target
    return Said(
        row_id=example.row_id,
        split=example.split,
        asked=[(str(message.get("role", "")), message_text(message)) for message in example.input],
        target=target,
        is_json=_is_json(target),
        origin=example.source,
        meta=example.meta,
    )


def detail_words(detail: str) -> list[tuple[str, dict[str, str]]]:
    """A change's detail as sentences to translate, each with its values; what nobody knows stays as it is."""
    for pattern, words in DETAILS:
        if match := pattern.fullmatch(detail):
            return [(words, match.groupdict())]
    masked = [part.partition(" ") for part in detail.split(", ")]
    if all(kind.upper() in MASKED for kind, _, _ in masked):
        return [(MASKED[kind.upper()], {"n": count}) for kind, _, count in masked]
    return [("{detail}", {"detail": detail})] if detail else []


def changed(change: changes.ChangedRow) -> dict[str, Any]:
    """A change with the rows it speaks of, for reading."""
    rows = {name: getattr(change, name) for name in ("before", "after", "other")}
    shown = {name: said(example) if example else None for name, example in rows.items()}
    return {"change": change, "details": detail_words(change.detail), **shown}


def _is_json(text: str) -> bool:
    if text[:1] not in {"{", "["}:
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
