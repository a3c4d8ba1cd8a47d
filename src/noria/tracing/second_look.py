"""What a tailer has yet to look at again, because another machine's tailer may have written of the same traces in the same moment.

Only where several may share the store (`spans_url`); the embedded store has one tailer. Each says in the store that it carries, so that one that
is alone there need not look. What a batch tells of is noted on disk before the batch
is stored, and forgotten when it was looked at, SECONDS to twice that later: whoever dies in between looks when it is back. Two files take turns,
one is written while the other waits (JSON lines: project, trace, and span where a log event told of one).
"""

import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from noria.core import clock, ids
from noria.core.records import Span
from noria.stores.connect import Stores
from noria.stores.journal import refusal
from noria.stores.spans import NoTable
from noria.tracing import erasure, joining, mending, schema
from noria.tracing.estimates import estimates

logger = logging.getLogger("noria.tracing")

SECONDS: Final = 2.0
"""More than a batch takes from its look to its insert, and a replica from one to the other."""
_BEAT: Final = 60.0
"""Seconds between two times that a tailer says it carries."""
_OTHERS: Final = "SELECT count() AS n FROM carriers WHERE carrier != {me:String} AND at > now() - 300"
_FRESH: Final = "second-look.new"
_WAITING: Final = "second-look.due"
_Note = tuple[str, ...]


class SecondLook:
    """The one of a tailer. Not for two threads."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._prices = estimates(stores.settings.folder.prices)
        self._shared = bool(stores.settings.spans_url)
        self._fresh: set[_Note] = set()
        self._waiting: set[_Note] = set()
        self._turned: float | None = None
        self._me = ids.new_id()
        self._said: float | None = None

    def forget(self) -> None:
        """Read what is noted from disk again: another tailer of this folder was at work."""
        self._turned = None

    def note(self, records: Iterable[dict[str, Any]]) -> None:
        """These spans and messages are about to be stored. Raises Unavailable when that cannot be noted."""
        if not self._shared:
            return
        self._begin()
        new = {note for record in records if (note := _note(record))} - self._fresh
        if not new:
            return
        self._say()
        try:
            with self._path(_FRESH).open("ab") as file:
                file.write(_lines(new))
                file.flush()
                os.fdatasync(file.fileno())
        except OSError as error:
            raise refusal(error) from error
        self._fresh |= new

    def turn(self) -> int:
        """Look at what waits, if it is time to; how many traces were mended. Raises Unavailable, and then looks again the next time."""
        if not self._shared:
            return 0
        began = self._begin()
        if time.monotonic() - began < SECONDS:
            return 0
        mended = self._look() if self._waiting and self._others() else 0
        if self._fresh:
            self._path(_FRESH).replace(self._path(_WAITING))
        elif self._waiting:
            self._path(_WAITING).unlink()
        self._waiting, self._fresh = self._fresh, set()
        self._turned = time.monotonic()
        return mended

    def _begin(self) -> float:
        """When the files last took turns; the first time, take up what an earlier life left."""
        if self._turned is None:
            left = [path for name in (_WAITING, _FRESH) if (path := self._path(name)).exists()]
            self._waiting, self._fresh = set(), {note for path in left for note in _read(path)}
            if left:  # in one file, and without a line that was torn
                temporary = self._path(f".{_FRESH}")
                temporary.write_bytes(_lines(self._fresh))
                temporary.replace(self._path(_FRESH))
                self._path(_WAITING).unlink(missing_ok=True)
            self._turned = time.monotonic()
        return self._turned

    def _say(self) -> None:
        """That this tailer carries; before its first batch, so that whoever looks after that knows of it."""
        if self._said is not None and time.monotonic() - self._said < _BEAT:
            return
        with suppress(NoTable):  # made by a Noria that knew of no others: then everybody looks
            self._stores.spans.insert("carriers", ("carrier",), [[self._me]], token=ids.new_id())
        self._said = time.monotonic()

    def _others(self) -> bool:
        """Whether another one carried in the last minutes. Whoever did so earlier, and wakes up, looks itself."""
        try:
            return bool(self._stores.spans.query(_OTHERS, {"me": self._me})[0]["n"])
        except NoTable:
            return True

    def _look(self) -> int:
        now = clock.now_ns()
        spans = self._stores.spans
        late = joining.late(
            spans, {(note[0], note[1], note[2]) for note in self._waiting if len(note) == 3}, self._prices
        )
        if late:
            rows = list(map(schema.span_row, late))
            spans.insert("spans", (*schema.SPAN_COLUMNS, "facts"), rows, token=f"late/{ids.new_id()}")
        wrong = mending.different(spans, {(note[0], note[1]) for note in self._waiting}) | _traces(late)
        mended = mending.mend(spans, wrong, now)
        if mended:
            self._hide(mended)
            logger.info(
                "%d traces had spans from another machine at the same moment; their rows are whole now.", len(mended)
            )
        return len(mended)

    def _hide(self, mended: list[mending.Trace]) -> None:
        """What was erased while it was written anew."""
        try:
            gone = erasure.written_down(self._stores, mended)
        except NoTable:  # nobody was ever erased here
            return
        for project, erasure_id in gone:
            erasure.delete_traces(self._stores, project, erasure_id)

    def _path(self, name: str) -> Path:
        return self._stores.settings.folder.journal / name


def _note(record: dict[str, Any]) -> _Note:
    """Of a span that others may tell of as well, or of messages; () for others."""
    places = tuple(str(record.get(name) or "") for name in ("project_id", "trace_id", "span_id"))
    if record.get("type") in {"content", "piece"}:
        return places
    alone = record.get("endpoint") and not record.get("parent_id")
    return () if record.get("type") == "score" or alone else places[:2]


def _lines(notes: Iterable[_Note]) -> bytes:
    return b"".join(orjson.dumps(note) + b"\n" for note in notes)


def _read(path: Path) -> Iterable[_Note]:
    for line in path.read_bytes().splitlines():
        try:
            note = tuple(orjson.loads(line))
        except (ValueError, TypeError):  # the last line, torn
            continue
        if len(note) in {2, 3} and all(isinstance(part, str) for part in note):
            yield note


def _traces(spans: Iterable[Span]) -> set[mending.Trace]:
    return {(span.project_id, span.trace_id) for span in spans}
