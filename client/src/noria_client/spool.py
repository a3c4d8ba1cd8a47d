"""Requests that wait to be delivered, one file each: what was put here survives the death of the process.

A file gets its name by a rename when it is complete, and names sort by age; a checksum tells what a power failure tore. Several
processes may share a folder: each puts files, and whoever holds the lock (which the system releases when its holder dies)
delivers those of all, oldest first. When the folder is full, the oldest go first and are counted.
"""

import contextlib
import json
import os
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Protocol

from noria_client.boundary import once
from noria_client.statistics import Tally

_MAGIC: Final = b"NORIAR1\n"
_HEAD: Final = struct.Struct("<III")
_SUFFIX: Final = ".req"
_STALE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """One POST: a path of the server, headers without the key, and a body that stands for `items` spans or judgements."""

    path: str
    headers: dict[str, str]
    body: bytes
    items: int = 1


class Spool(Protocol):
    """Where requests wait. Names are opaque and sort by age."""

    def put(self, request: Request) -> None: ...
    def names(self) -> list[str]: ...
    def read(self, name: str) -> Request | None: ...
    def remove(self, name: str) -> bool: ...
    def waiting(self) -> int: ...
    def turn(self) -> contextlib.AbstractContextManager[bool]: ...


def open_spool(folder: Path, limit: int, tally: Tally) -> Spool:
    """The spool in `folder`; one in memory when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
        return DiskSpool(folder, limit, tally)
    except OSError as error:
        once(f"The spool folder cannot be written ({error.strerror}); what is not delivered is kept in memory only")
        return MemorySpool(min(limit, 16_000_000), tally)


class DiskSpool:
    """A folder of requests."""

    def __init__(self, folder: Path, limit: int, tally: Tally) -> None:
        self._folder = folder
        self._limit = limit
        self._tally = tally
        self._numbers = count()
        self._lock_file = -1

    def put(self, request: Request) -> None:
        """Keep it, at the cost of the oldest where there is no room; what cannot be kept is counted."""
        data = _encoded(request)
        try:
            self._make_room(len(data))
            self._write(request, data)
        except OSError as error:
            once(f"The spool cannot be written: {error.strerror}")
            self._tally.add(dropped=request.items)

    def names(self) -> list[str]:
        with contextlib.suppress(OSError):
            return sorted(name for name in os.listdir(self._folder) if name.endswith(_SUFFIX))  # noqa: PTH208
        return []

    def read(self, name: str) -> Request | None:
        """The request; None when another process took it. One that is damaged is removed and counted."""
        try:
            data = (self._folder / name).read_bytes()
        except OSError:
            return None
        request = _decoded(data)
        if request is None and self.remove(name):
            self._tally.add(dropped=_items(name))
        return request

    def remove(self, name: str) -> bool:
        """Whether it was still there."""
        try:
            (self._folder / name).unlink()
        except OSError:
            return False
        return True

    def waiting(self) -> int:
        return sum(map(_items, self.names()))

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether this process may deliver now; it alone may until the block ends."""
        descriptor = -1
        try:
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            self._lock_file = descriptor
            mine = _lock(descriptor)
        except OSError:
            mine = False
        try:
            if mine:
                self._sweep()
            yield mine
        finally:
            self._lock_file = -1
            if descriptor >= 0:
                if mine:
                    _unlock(descriptor)
                os.close(descriptor)

    def leave_to_parent(self) -> None:
        """After a fork: let go of the lock that the parent holds, so that it ends with the parent."""
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def _make_room(self, size: int) -> None:
        names = self.names()
        total = size + sum(map(_size, names))
        for name in names:
            if total <= self._limit:
                return
            total -= _size(name)
            if self.remove(name):
                self._tally.add(dropped=_items(name))
                once("The spool is full: the oldest of what waits is given up")

    def _write(self, request: Request, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        age = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers):06d}"
        path = self._folder / f"{age}-{len(data)}-{request.items}{_SUFFIX}"
        hidden = path.with_suffix(".new")
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            hidden.replace(path)
        except OSError:
            hidden.unlink(missing_ok=True)
            raise

    def _sweep(self) -> None:
        """Remove what processes that died left unfinished."""
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.new"):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                        path.unlink()


class MemorySpool:
    """The same in memory, for machines without a folder to write."""

    def __init__(self, limit: int, tally: Tally) -> None:
        self._limit = limit
        self._tally = tally
        self._lock = threading.Lock()
        self._numbers = count()
        self._kept: dict[str, Request] = {}

    def put(self, request: Request) -> None:
        with self._lock:
            self._kept[f"{next(self._numbers):020d}"] = request
            while sum(len(kept.body) for kept in self._kept.values()) > self._limit:
                self._tally.add(dropped=self._kept.pop(next(iter(self._kept))).items)

    def names(self) -> list[str]:
        with self._lock:
            return list(self._kept)

    def read(self, name: str) -> Request | None:
        with self._lock:
            return self._kept.get(name)

    def remove(self, name: str) -> bool:
        with self._lock:
            return self._kept.pop(name, None) is not None

    def waiting(self) -> int:
        with self._lock:
            return sum(request.items for request in self._kept.values())

    def turn(self) -> contextlib.AbstractContextManager[bool]:
        return contextlib.nullcontext(True)


def _encoded(request: Request) -> bytes:
    head = json.dumps([request.path, request.headers, request.items]).encode()
    checksum = zlib.crc32(request.body, zlib.crc32(head))
    return b"".join((_MAGIC, _HEAD.pack(len(head), len(request.body), checksum), head, request.body))


def _decoded(data: bytes) -> Request | None:
    start = len(_MAGIC) + _HEAD.size
    if len(data) < start or not data.startswith(_MAGIC):
        return None
    head_size, body_size, checksum = _HEAD.unpack_from(data, len(_MAGIC))
    head, body = data[start : start + head_size], data[start + head_size :]
    if len(body) != body_size or zlib.crc32(body, zlib.crc32(head)) != checksum:
        return None
    path, headers, items = json.loads(head)
    return Request(path, headers, body, items)


def _size(name: str) -> int:
    return _number(name, -2)


def _items(name: str) -> int:
    return _number(name, -1)


def _number(name: str, at: int) -> int:
    parts = name.removesuffix(_SUFFIX).split("-")
    return int(parts[at]) if len(parts) == 5 and parts[at].isdigit() else 0


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
