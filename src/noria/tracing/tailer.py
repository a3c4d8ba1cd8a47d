"""Carries journals into the span store, each record exactly once, within a second of its writing.

In come the batches of noria.stores.shipping; out go inserts into the tables, each under the batch's name. A replay after a
death inserts under the same names, which the store knows. While the store is away everything waits on disk.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from noria.core import clock, ids
from noria.core.errors import Conflict, NoriaError, Unavailable
from noria.core.records import Score, Span
from noria.governance import projects
from noria.stores.connect import Stores
from noria.stores.lock import Gate, PidLock
from noria.stores.shipping import Batch, JournalReader
from noria.stores.spans import NoTable
from noria.tracing import doubt, media_aging, migrations, pieces, retention, room, schema
from noria.tracing.erased import Erased
from noria.tracing.estimates import estimates
from noria.tracing.joining import content_row, joined
from noria.tracing.second_look import SecondLook

logger = logging.getLogger("noria.tracing")

_TURN: Final = 0.1
_LONGEST_TURN: Final = 0.5
"""A turn that took long (each project's week is a part of its own) is followed by a longer pause: fewer, larger inserts."""
_PATIENCE: Final = 1.0
"""Seconds between tries while the store is away, or while another process carries the journals."""
_RETENTION: Final = 3600.0
_ROOM: Final = 60.0


class Tailer:
    """The one carrier of a data folder; a second one waits until the first has ended."""

    def __init__(self, stores: Stores, reader: JournalReader | None = None) -> None:
        self._stores = stores
        self._reader = reader or JournalReader(stores.settings.folder.journal)
        self._erased = Erased(stores)
        self._again = SecondLook(stores)
        self._prices = estimates(stores.settings.folder.prices)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._prepared = False
        self._cleaned_at = 0.0
        self._looked_at = 0.0
        self._room: room.Level = "ok"

    def start(self) -> None:
        """Run in a thread of this process until `stop`."""
        self._thread = threading.Thread(target=self.run, args=(self._stop,), name="tailer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Carry what is there, then end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def run(self, stop: threading.Event) -> None:
        """Carry until `stop` is set."""
        lock = PidLock(self._stores.settings.folder.journal / "tailer.lock")
        while True:
            try:
                with lock:
                    self._reader.forget()  # whoever held the lock before has moved the positions
                    self._again.forget()
                    self._carry(stop)
                    return
            except Conflict:
                if stop.wait(_PATIENCE):
                    return

    def run_once(self) -> int:
        """Ship everything that is there; the number of records. Raises Unavailable when the store is away."""
        if not self._prepared:
            migrations.prepare(self._stores.spans)
            self._prepared = True
        shipped, gate = 0, Gate(self._stores.settings.folder.carrying)
        batches = iter(self._reader.batches())
        while True:
            with gate:  # a backup takes journals and store as they are between two batches
                batch = next(batches, None)
                if batch is None:
                    return shipped
                self._ship(batch)
                self._erased.again(batch)
                self._reader.done(batch)
            shipped += len(batch.records)

    def look_again(self) -> int:
        """Mend traces that another machine's tailer wrote in the same moment, if it is time to look; how many. Raises Unavailable."""
        return self._again.turn()

    def _carry(self, stop: threading.Event) -> None:
        away = False
        while True:
            last = stop.is_set()
            began = time.monotonic()
            try:
                self.run_once()
                self.look_again()
                self._drop_old()
                away = False
            except (Unavailable, Conflict) as error:
                self._prepared = self._prepared and not isinstance(error, NoTable)
                if not away:
                    logger.info("Waiting to carry journals: %s", error.message)
                away = True
            except Exception as error:  # noqa: BLE001
                # The ingest boundary: the batch stays and is tried again. The error's text may hold what people wrote.
                code = getattr(error, "code", "")
                logger.error("A journal batch could not be stored and is kept: %s %s", type(error).__name__, code)
                away = True
            self._keep_room()
            if last:
                return
            pause = max(_TURN, min(_LONGEST_TURN, time.monotonic() - began))
            stop.wait(_PATIENCE / 4 if away else pause)

    def _ship(self, batch: Batch) -> None:
        spans: list[Span] = []
        scores: list[list[Any]] = []
        contents: list[list[Any]] = []
        records = self._erased.kept(batch)
        self._again.note(records)
        for number, record in enumerate(records):
            try:
                kind = record.get("type")
                if kind == "score":
                    scores.append(schema.score_row(Score.from_dict(record)))
                elif kind == "content":
                    contents.append(content_row(record))
                elif kind == "piece":
                    contents.append(pieces.row_of(record))
                else:
                    spans.append(_span(record))
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                self._reader.reject(batch, record)
                logger.error("Record %d of %s is not one of ours: %s", number, batch.token, type(error).__name__)
        self._insert("contents", schema.CONTENT_COLUMNS, contents, batch)
        found = joined(self._stores.spans, spans, contents, clock.now_ns(), self._prices)
        # Spans last: a batch whose spans are there has all of it there, so that a span that is sent again is nothing new.
        self._insert("traces", schema.TRACE_COLUMNS, found.traces, batch)
        self._insert_spans(found.changed, batch, "joined/")
        self._insert_spans(found.spans, batch)
        self._insert("scores", schema.SCORE_COLUMNS, scores, batch)

    def _insert_spans(self, spans: list[Span], batch: Batch, prefix: str = "") -> None:
        self._insert("spans", (*schema.SPAN_COLUMNS, "facts"), list(map(schema.span_row, spans)), batch, prefix)

    def _insert(
        self, table: str, columns: Sequence[str], rows: list[list[Any]], batch: Batch, prefix: str = ""
    ) -> None:
        if not rows:
            return
        token = f"{prefix}{table}/{batch.token}"
        replaces = bool(prefix) or table == "traces"
        if batch.again and replaces:  # the same rows under the same keys once more: which one stays does not matter
            token = f"{token}/{ids.new_id()}"
        self._stores.spans.insert(table, columns, rows, token=token)
        if batch.again and not replaces and (left := doubt.missing(self._stores.spans, table, columns, rows)):
            self._stores.spans.insert(table, columns, left, token=f"{token}/{ids.new_id()}")

    def _drop_old(self) -> None:
        if time.monotonic() - self._cleaned_at < _RETENTION and self._cleaned_at:
            return
        self._cleaned_at = time.monotonic()
        try:
            with self._stores.database.read() as connection:
                own = projects.keep_span_days(connection)
            days = self._stores.settings.keep_span_days
            kept = retention.kept(clock.now(), days, own)
            retention.drop_old(self._stores.spans, kept)
            media_aging.drop_old(self._stores, kept)
        except NoriaError as error:
            logger.warning("Old spans could not be dropped: %s", error.message)
        except SQLAlchemyError as error:  # whose days are not known: nothing goes
            logger.warning("Old spans were not dropped, the records cannot be read: %s", type(error).__name__)

    def _keep_room(self) -> None:
        if time.monotonic() - self._looked_at < _ROOM and self._looked_at:
            return
        self._looked_at = time.monotonic()
        try:
            self._room = room.keep(self._stores, self._room)
        except NoriaError as error:
            logger.debug("The room on the disk is not known: %s", error.message)
        except SQLAlchemyError as error:
            logger.warning("The weeks that were dropped could not be noted in the audit: %s", type(error).__name__)


def _span(record: dict[str, Any]) -> Span:
    """Raises what a row of it would raise: a span that cannot be written must stop before the ones beside it are."""
    texts = {name: value for name, value in record.items() if isinstance(value, str) and name in schema.WHOLE}
    span = Span.from_dict(
        {**record, **{name: int(value) for name, value in texts.items()}}
    )  # the journal writes 2**70 as text
    schema.check(span)
    return span
