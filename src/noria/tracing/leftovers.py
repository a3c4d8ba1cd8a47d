"""What journals leave behind: segments that are still written, records that nobody understood, segments that were damaged.

A segment stays until its writer begins the next one, though all of it was carried long ago; so an erasure asks all writers to begin a new
one and waits until the old ones are gone. `rejected.jsonl` loses its lines about the subject, a damaged segment that mentions it goes whole.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from noria.core.errors import Unavailable
from noria.core.slices import Progress
from noria.stores.journal import ask_to_turn_over, segments, written_before
from noria.stores.shipping import DAMAGED, REJECTED

_PATIENCE: Final = 120.0
_TURN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Marks:
    """By what a record is known as the subject's."""

    project_id: str
    subject_id: str
    trace_ids: frozenset[str]


def turn_over(journal: Path, progress: Progress) -> None:
    """Wait until nothing that was journalled before now is in a segment. Raises Unavailable when a writer does not follow."""
    moment = ask_to_turn_over(journal)
    deadline = time.monotonic() + _PATIENCE
    while any(written_before(path, moment) for folder in _writers(journal) for path in segments(folder)):
        if time.monotonic() > deadline:
            raise Unavailable(
                "A journal was not carried within two minutes; what is in it is erased as it comes.",
                hint="See that gateway, server, worker and store run, then request the erasure again.",
            )
        progress("")
        time.sleep(_TURN)


def find(journal: Path, marks: Marks) -> int:
    """How many rejected records and damaged segments are the subject's."""
    rejected = sum(_is_theirs(line, marks) for path in _rejected(journal) for line in path.read_bytes().splitlines())
    return rejected + len(_damaged(journal, marks))


def remove(journal: Path, marks: Marks) -> int:
    """Remove them; how many they were."""
    removed = 0
    for path in list(_rejected(journal)):
        lines = path.read_bytes().splitlines()
        kept = [line for line in lines if not _is_theirs(line, marks)]
        if len(kept) == len(lines):
            continue
        removed += len(lines) - len(kept)
        # Whoever rejects meanwhile writes a file of its own; what is kept goes there only when it is whole.
        aside = path.with_name(f"{time.time_ns()}-{REJECTED}")
        path.rename(aside)
        if kept:
            with path.open("ab") as file:
                file.write(b"\n".join(kept) + b"\n")
        aside.unlink()
    for path in _damaged(journal, marks):
        path.unlink(missing_ok=True)
        removed += 1
    return removed


def _writers(journal: Path) -> list[Path]:
    return sorted(path for path in journal.iterdir() if path.is_dir()) if journal.is_dir() else []


def _rejected(journal: Path) -> Iterator[Path]:
    """Also those that a run which was killed has put aside."""
    for folder in _writers(journal):
        yield from sorted(folder.glob(f"*{REJECTED}"))


def _damaged(journal: Path, marks: Marks) -> list[Path]:
    names = [marks.subject_id.encode(errors="replace"), orjson.dumps(marks.subject_id)[1:-1]]
    names += [trace_id.encode() for trace_id in marks.trace_ids]
    found = []
    for folder in _writers(journal):
        for path in sorted(folder.glob(f"*{DAMAGED}")):
            content = path.read_bytes()
            if any(name in content for name in names):
                found.append(path)
    return found


def _is_theirs(line: bytes, marks: Marks) -> bool:
    try:
        record: Any = orjson.loads(line)["record"]
        if record.get("project_id") not in (marks.project_id, None):
            return False
        return record.get("subject_id") == marks.subject_id or str(record.get("trace_id")).lower() in marks.trace_ids
    except (ValueError, TypeError, KeyError, AttributeError):
        return marks.subject_id.encode(errors="replace") in line
