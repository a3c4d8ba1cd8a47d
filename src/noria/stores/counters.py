"""Counters that several processes share: what was used of limits and budgets.

On one machine they live in a small memory-mapped file (`FileCounters`): an operation is a lock, a few additions and an unlock, some
ten microseconds, and what was counted survives the death of every process. On several machines they live in Redis
(noria.stores.scaled.counters). This module is a leaf, because the gateway imports it; it reads `counters_url` itself.
"""

import fcntl
import math
import mmap
import os
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from noria.core.errors import Unavailable
from noria.core.settings import Settings
from noria.stores.ports import Counters, Take, Taken

_SLOT: Final = struct.Struct("<16sqd")  # digest of the name, value, end in Unix seconds
_SLOTS: Final = 1 << 16
_PROBES: Final = 128
_EMPTY: Final = bytes(16)


def open_counters(settings: Settings) -> Counters:
    """The counters of these settings."""
    if settings.counters_url:
        from noria.stores.scaled.counters import RedisCounters

        return RedisCounters(settings.counters_url)
    return FileCounters(settings.folder.counters)


class FileCounters:
    """noria.stores.ports.Counters in one file of 2 MB: a hash table with linear probing, whose ended slots are used again."""

    def __init__(self, path: Path) -> None:
        """Raises Unavailable when the file cannot be made."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if os.fstat(self._file).st_size != _SLOTS * _SLOT.size:
                os.ftruncate(self._file, _SLOTS * _SLOT.size)
            self._map = mmap.mmap(self._file, _SLOTS * _SLOT.size)
        except OSError as error:
            raise Unavailable(
                f"The counters of limits cannot be opened: {error.strerror}.", hint="Check the disk of the data folder."
            ) from error

    async def take(self, takes: Sequence[Take]) -> Taken:
        now = time.time()
        with self._locked():
            used = tuple(self._used(one, now) for one in takes)
            for index, (one, held) in enumerate(zip(takes, used, strict=True)):
                if held + one.amount > one.limit:
                    return Taken(index, used)
            for one in takes:
                self._add(one.name, one.amount, one.ends_at, now)
        return Taken(-1, used)

    async def add(self, changes: Sequence[tuple[str, int, float]]) -> None:
        now = time.time()
        with self._locked():
            for name, amount, ends_at in changes:
                self._add(name, amount, ends_at, now)

    async def close(self) -> None:
        self._map.close()
        os.close(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes; the kernel frees the lock of one that dies."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _used(self, take: Take, now: float) -> int:
        used = self._value(take.name, now)
        return used + math.floor(self._value(take.before, now) * take.weight) if take.before else used

    def _value(self, name: str, now: float) -> int:
        at = self._find(name, now, make=False)
        return int(_SLOT.unpack_from(self._map, at)[1]) if at >= 0 else 0

    def _add(self, name: str, amount: int, ends_at: float, now: float) -> None:
        at = self._find(name, now, make=True)
        digest, value, _ = _SLOT.unpack_from(self._map, at)
        _SLOT.pack_into(self._map, at, digest, max(0, value + amount), ends_at)

    def _find(self, name: str, now: float, *, make: bool) -> int:
        """Where the counter lies; -1 when it does not and none is to be made. A slot that has ended counts as free."""
        digest = blake2b(name.encode(), digest_size=16).digest()
        start, free = int.from_bytes(digest[:4], "little"), -1
        for step in range(_PROBES):
            at = (start + step) % _SLOTS * _SLOT.size
            found, _, ends_at = _SLOT.unpack_from(self._map, at)
            ended = ends_at < now
            if found == digest and not ended:
                return at
            if free < 0 and ended:
                free = at
            if found == _EMPTY:
                break
        if not make:
            return -1
        if free < 0:
            raise Unavailable("There are too many counters of limits at once.", hint="Set fewer limits, or use Redis.")
        _SLOT.pack_into(self._map, free, digest, 0, now)
        return free
