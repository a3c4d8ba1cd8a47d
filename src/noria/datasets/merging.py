"""Versions in, one stream of rows out: joining versions, and joining what feedback taught to a base version.

The rules to know: a row stands once, by its id and by what it says; rows of held-out splits are taken as they are; and nothing is
added to what is taught whose input is a held-out row's, because it would be measured on what it had learned.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from noria.core.records import Message
from noria.datasets.records import Example

HELD_OUT = frozenset({"test", "validation"})


@dataclass(slots=True)
class MergeReport:
    """What became of the rows that were to be added."""

    rows_before: int = 0
    added: int = 0
    replaced: int = 0
    """Taught rows that gave way to a newer one with the same id: a trace whose answer was corrected again."""
    already_there: int = 0
    held_out: int = 0
    """Not taken, because their input stands in a split that measures."""
    rows_after: int = 0
    by_split: dict[str, int] = field(default_factory=dict)


def add_rows(base: Iterable[Example], new: Iterable[Example], report: MergeReport) -> Iterator[Example]:
    """The base rows in their order, then the new ones. `new` is kept in memory, `base` is streamed."""
    fresh = {row.row_id: row for row in new}
    said: set[bytes] = set()
    measured: set[bytes] = set()
    for row in base:
        report.rows_before += 1
        newer = fresh.get(row.row_id)
        if row.split in HELD_OUT:
            measured.add(_key(row.input))
            fresh.pop(row.row_id, None)
        elif newer is not None:
            del fresh[row.row_id]
            if newer.messages == row.messages:
                report.already_there += 1
            else:
                report.replaced += 1
                row = newer  # noqa: PLW2901 - the newer one takes its place
        said.add(_key(row.messages))
        yield _counted(row, report)
    for row in fresh.values():
        if row.split not in HELD_OUT and _key(row.input) in measured:
            report.held_out += 1
        elif _key(row.messages) in said:
            report.already_there += 1
        else:
            said.add(_key(row.messages))
            report.added += 1
            yield _counted(row, report)


def _counted(row: Example, report: MergeReport) -> Example:
    report.rows_after += 1
    report.by_split[row.split] = report.by_split.get(row.split, 0) + 1
    return row


def _key(messages: list[Message]) -> bytes:
    kept: list[Any] = [[message.get("role"), message.get("content"), message.get("tool_calls")] for message in messages]
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
