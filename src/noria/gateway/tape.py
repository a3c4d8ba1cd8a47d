"""Recording: what a provider was asked and what it answered, sealed into a file, while somebody has ordered it.

In: an `Order` of the catalog and the calls of its endpoint. Out: files of noria.registry.recording. The decision to know:
recording never changes an answer; what cannot be written is logged once and forgotten.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from noria.core.errors import NoriaError
from noria.core.folder import Folder
from noria.gateway.plan import Plan
from noria.governance.sealing import Sealer
from noria.registry.recording import KEEP_SECONDS, MOST_BYTES, Exchange, Order, allowed, remove, slot, write

_log = logging.getLogger("noria.gateway")


class Tape:
    """One call to a provider being heard."""

    __slots__ = ("_at", "_headers", "_pieces", "_place", "_plan", "_sealer", "_size", "_status")

    def __init__(self, plan: Plan, place: Path, sealer: Sealer) -> None:
        self._plan = plan
        self._place: Path | None = place
        self._sealer = sealer
        self._at = time.time()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._size = 0

    def began(self, status: int, headers: Mapping[str, str]) -> None:
        self._status, self._headers = status, allowed(headers)

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MOST_BYTES:
            self._pieces.append(piece)

    def finish(self, *, complete: bool = True) -> None:
        """Write what was heard, once; a call that was never answered leaves its place empty."""
        place, self._place = self._place, None
        if place is None or not self._status or self._size > MOST_BYTES or len(self._plan.body) > MOST_BYTES:
            return
        to = self._plan.to
        exchange = Exchange(
            kind=to.provider.kind,
            dialect=self._plan.dialect.name,
            model=to.model,
            path=self._plan.url.path,
            at=self._at,
            request=self._plan.body,
            status=self._status,
            headers=self._headers,
            answer=b"".join(self._pieces),
            complete=complete,
        )
        try:
            write(place, exchange, self._sealer)
        except OSError as error:
            _log.error("a recorded call cannot be written: %s", error.strerror)


class Tapes:
    """Tapes for the calls of the endpoint that is recorded; one for the process."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._sealer: Sealer | None = None
        self._next: dict[str, int] = {}

    def sweep(self) -> None:
        """Delete recordings that nobody has saved within a day."""
        try:
            remove(self._folder.recordings, older_than=KEEP_SECONDS)
        except OSError as error:
            _log.error("an old recording cannot be deleted: %s", error.strerror)

    def begin(self, order: Order, plan: Plan) -> Tape | None:
        """A tape for one call; None when enough is recorded, or it is too late."""
        number = self._next.get(order.id, 1)
        if number > order.requests or time.time() > order.until:
            return None
        try:
            if self._sealer is None:
                self._sealer = Sealer(self._folder.secret)
            place = slot(self._folder.recordings, order, number)
        except (OSError, NoriaError) as error:
            self._next[order.id] = order.requests + 1
            _log.error("the recording of %s cannot be written: %s", order.endpoint, type(error).__name__)
            return None
        self._next[order.id] = int(place.stem) + 1 if place else order.requests + 1
        return Tape(plan, place, self._sealer) if place else None
