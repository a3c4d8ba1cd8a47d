"""A cache within one process: bounded bytes, the least recently used goes first. Implements noria.stores.ports.Cache."""

import time
from collections import OrderedDict
from collections.abc import Callable

_OVERHEAD = 250
"""Bytes that an entry takes beside its key and value."""


class MemoryCache:
    """Lost with its process."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.size = 0
        """Bytes in use."""

    async def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: str, value: bytes, seconds: int) -> None:
        self._drop(key)
        size = _size(key, value)
        if size > self._max // 4:  # one answer may not push out all others
            return
        # A copy has the size that it says: orjson's bytes keep the 4 KB that they were written into.
        self._entries[key] = (self._clock() + seconds, bytes(memoryview(value)))
        self.size += size
        while self.size > self._max:
            self._drop(next(iter(self._entries)))

    async def close(self) -> None:
        self._entries.clear()
        self.size = 0

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _size(key, entry[1])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _OVERHEAD
