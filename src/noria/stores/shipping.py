"""Reads the journals of all writers and says what has been shipped on.

Out come batches: a stretch of one segment, whose name (writer, segment, offsets) is written to `shipped.json` beside the segments
before anybody ships it. Whoever dies in between gets the same batch under the same name again, so that a store that
knows the name can refuse the second copy. A segment that is shipped and that nobody writes any more is deleted.
"""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from noria.stores.journal import MAGIC, Frame, Gap, frames, is_written, refusal, segments

logger = logging.getLogger("noria.journal")

POSITIONS: Final = "shipped.json"
DAMAGED: Final = ".damaged"
REJECTED: Final = "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one stretch of one segment, in the order in which they were appended."""

    writer: Path
    segment: str
    start: int
    end: int
    records: list[dict[str, Any]]
    again: bool = False
    """Whether somebody may have shipped it, or a part of it, before."""

    @property
    def token(self) -> str:
        """The name under which this batch is inserted, now and in every replay."""
        return f"{self.writer.name}/{self.segment}:{self.start}-{self.end}"


class JournalReader:
    """The one reader of a journal folder; its user holds a lock so that there is no second."""

    def __init__(self, root: Path, *, batch_bytes: int = 8 * 1024 * 1024, batch_records: int = 5_000) -> None:
        self._root = root
        self._batch_bytes = batch_bytes
        self._batch_records = batch_records
        self._positions: dict[Path, dict[str, dict[str, int]]] = {}
        self._said: set[str] = set()

    def batches(self) -> Iterator[Batch]:
        """What is not shipped yet. Ship each batch, then call `done` with it, before asking for the next."""
        if not self._root.is_dir():
            return
        for writer in sorted(path for path in self._root.iterdir() if path.is_dir()):
            for path in segments(writer):
                yield from self._of_segment(writer, path)

    def done(self, batch: Batch) -> None:
        """`batch` is in the store; it will not come again."""
        positions = self._of_writer(batch.writer)
        positions[batch.segment] = {"done": batch.end}
        self._save(batch.writer)

    def forget(self) -> None:
        """Read the positions from disk again: another reader was at work."""
        self._positions.clear()

    def reject(self, batch: Batch, record: dict[str, Any]) -> None:
        """Keep a record that nobody understands beside the segments, for a person to look at."""
        with (batch.writer / REJECTED).open("ab") as file:
            file.write(orjson.dumps({"batch": batch.token, "record": record}) + b"\n")

    def _of_segment(self, writer: Path, path: Path) -> Iterator[Batch]:
        written = is_written(path)  # asked before its size is read: a writer's last words come before its end
        size = path.stat().st_size
        while (start := self._position(writer, path).get("done", 0)) < size:
            batch = self._next(writer, path, start, final=not written)
            if batch is None:
                break
            yield batch
        if not written:
            self._remove(writer, path, start, size)

    def _next(self, writer: Path, path: Path, start: int, *, final: bool) -> Batch | None:
        planned = self._position(writer, path).get("next")
        records, end = self._read(path, start, planned, final=final)
        if end == start and planned is None:
            return None
        if planned is None:
            self._of_writer(writer)[path.name] = {"done": start, "next": end}
            self._save(writer)
        # The planned end also names a batch of which a power cut has since taken a part: it may be in the store.
        return Batch(writer, path.name, start, planned or end, records, again=planned is not None)

    def _read(self, path: Path, start: int, planned: int | None, *, final: bool) -> tuple[list[dict[str, Any]], int]:
        """Records from `start` to the planned end, or as many as make a batch, and where they end."""
        records: list[dict[str, Any]] = []
        end = start
        limit = self._batch_bytes if planned is None else planned - start
        while end == start:  # more than once only for a frame that is larger than a batch
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(limit)
            for piece in frames(data, start, final=final and start + len(data) >= path.stat().st_size):
                end = piece.end
                if isinstance(piece, Frame):
                    records.extend(piece.records)
                else:
                    self._say_damage(path, piece)
                if planned is None and len(records) >= self._batch_records:
                    break
            if len(data) < limit or planned is not None:
                break
            limit *= 2
        return records, end

    def _remove(self, writer: Path, path: Path, done: int, size: int) -> None:
        """Forget a finished segment; one with damage in the middle is kept aside for whoever can read more from it."""
        if size > max(done, len(MAGIC)):
            logger.warning("The last %d bytes of %s were torn by the death of its writer.", size - done, path.name)
        if any(name.startswith(f"{path}:") for name in self._said):
            path.rename(path.with_suffix(DAMAGED))
        else:
            path.unlink()
        if self._of_writer(writer).pop(path.name, None) is not None:
            self._save(writer)

    def _say_damage(self, path: Path, gap: Gap) -> None:
        name = f"{path}:{gap.start}"
        if name not in self._said:
            self._said.add(name)
            logger.error("Bytes %d to %d of %s are damaged; what follows is kept.", gap.start, gap.end, path.name)

    def _position(self, writer: Path, path: Path) -> dict[str, int]:
        return self._of_writer(writer).get(path.name, {})

    def _of_writer(self, writer: Path) -> dict[str, dict[str, int]]:
        if writer not in self._positions:
            try:
                found = json.loads((writer / POSITIONS).read_bytes())
                self._positions[writer] = {name: at for name, at in found.items() if (writer / name).exists()}
            except FileNotFoundError:
                self._positions[writer] = {}
        return self._positions[writer]

    def _save(self, writer: Path) -> None:
        """Raises Unavailable on a full or broken disk; then memory is what the disk says, so no batch goes under a name that is not kept."""
        temporary = writer / f".{POSITIONS}"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(self._positions[writer], file)
                file.flush()
                os.fdatasync(file.fileno())
            temporary.replace(writer / POSITIONS)
        except OSError as error:
            self._positions.pop(writer, None)
            raise refusal(error) from error
