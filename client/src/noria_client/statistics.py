"""What became of what the application handed over, counted in spans (or judgements, for feedback)."""

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of this process since `configure`; `waiting` counts what all processes left in the spool."""

    sent: int = 0
    """Taken by the server."""
    refused: int = 0
    """Refused by the server for good, or left out of a batch that it otherwise took."""
    dropped: int = 0
    """Given up: the spool was full (the oldest go first), a file of it was damaged, or nothing could be written."""
    waiting: int = 0


class Tally:
    """Counts that several threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums = Statistics()

    def add(self, *, sent: int = 0, refused: int = 0, dropped: int = 0) -> None:
        with self._lock:
            now = self._sums
            self._sums = Statistics(now.sent + sent, now.refused + refused, now.dropped + dropped)

    def after_fork(self) -> None:
        """In a child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def read(self, waiting: int) -> Statistics:
        with self._lock:
            return replace(self._sums, waiting=waiting)
