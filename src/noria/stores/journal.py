"""An append-only log of records on local disk: what a process has appended survives its death.

In come records (JSON objects); out come, for whoever ships them on, batches with a name that never changes. One call of
`append` is one frame (length, crc32, a JSON array), written by one `write()` before the call returns; fdatasync follows in
groups from a thread. Each process start opens segments of its own and locks them (flock), so that a reader knows whether
an incomplete last frame is still being written or was torn by a death. This module is a leaf: the gateway imports it.

Layout: `<journal>/<writer>/<time>-<pid>.seg` and, beside the segments, `shipped.json`, which noria.stores.shipping keeps.
"""

import contextlib
import errno
import fcntl
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from noria.core.errors import TooLarge, Unavailable

logger = logging.getLogger("noria.journal")

MAGIC: Final = b"NORIAJ1\n"
"""The first bytes of a segment."""
SUFFIX: Final = ".seg"
_TURN_OVER: Final = "turn-over"
_WISHES: Final = 2.0
"""Seconds between looks for a wish to begin a new segment while nobody appends."""
_FRAME: Final = struct.Struct("<4sII")
_MARK: Final = b"\xf7NJ1"
_MOST: Final = 256 * 1024 * 1024
_LOOK: Final = 64 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class JournalWriter:
    """The journal of one process. Safe to share between threads; `append` takes microseconds."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 64 * 1024 * 1024,
        sync_seconds: float = 0.05,
        reserve_bytes: int = 0,
    ) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        """Room that stays on the disk for those who must write to recover: the span store, the records."""
        self._unchecked = _LOOK
        self._segment_bytes = segment_bytes
        self._sync_seconds = sync_seconds
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._retired: list[int] = []
        self._descriptor = -1
        self._size = 0
        self._opened_at = 0
        self._closed = False
        with contextlib.suppress(Unavailable):  # a full disk is told to whoever appends; reading goes on without
            self._open()
        self._thread = threading.Thread(target=self._sync_forever, name="journal-sync", daemon=True)
        self._thread.start()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write all records or none; when this returns they survive the death of this process.

        Raises Unavailable when the disk is full or broken; then nothing of them is left in the journal.
        """
        rows = list(records)
        if not rows:
            return
        data = frame(rows)
        with self._lock:
            if self._closed:
                raise Unavailable("The journal is closed: this process is ending.", hint="Send it again.")
            full = self._size > len(MAGIC) and self._size + len(data) > self._segment_bytes
            if self._descriptor < 0 or full:
                self._retire()
                self._open()
            self._write(data)
        self._wake.set()

    def close(self) -> None:
        """Sync and release the segment; later appends are refused."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._retire()
        self._wake.set()
        self._thread.join()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            self._check_room(len(data))
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            try:
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)
            except OSError:
                self._retire()  # the reader sees a torn tail, which it knows how to take
            raise refusal(error) from error
        self._size += len(data)

    def _check_room(self, size: int) -> None:
        """Asked once in so many bytes, and at every try while there is none: a call to the kernel costs a microsecond."""
        self._unchecked += size
        if not self._reserve_bytes or self._unchecked < _LOOK:
            return
        free = os.fstatvfs(self._descriptor)
        if free.f_bavail * free.f_frsize < self._reserve_bytes + size:
            raise OSError(errno.ENOSPC, "the rest is kept free")
        self._unchecked = 0

    def _open(self) -> None:
        """A new segment under a name of its own; it is locked before it gets the name that readers look for."""
        self._opened_at = time.time_ns()
        path = self._folder / f"{self._opened_at:020d}-{os.getpid()}{SUFFIX}"
        hidden = path.with_name(f".{path.name}.new")
        descriptor = -1
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.write(descriptor, MAGIC) != len(MAGIC):
                raise OSError(errno.ENOSPC, "short write")
            hidden.rename(path)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
                hidden.unlink(missing_ok=True)
            raise refusal(error) from error
        self._descriptor, self._size = descriptor, len(MAGIC)

    def _retire(self) -> None:
        if self._descriptor >= 0:
            self._retired.append(self._descriptor)
            self._descriptor = -1

    def _sync_forever(self) -> None:
        while True:
            self._wake.wait(_WISHES)
            self._wake.clear()
            wish = _wish(self._folder.parent)
            with self._lock:
                if self._descriptor >= 0 and self._opened_at < wish:
                    self._retire()  # the next append opens another
                retired, self._retired = self._retired, []
                current = os.dup(self._descriptor) if self._descriptor >= 0 else -1
                closed = self._closed
            for descriptor in [*retired, *([current] if current >= 0 else [])]:
                self._sync(descriptor)
            if closed:
                self._sync_folder()
                return
            time.sleep(self._sync_seconds)

    def _sync(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            logger.error("The journal in %s could not be synced: %s", self._folder, error.strerror)
        finally:
            os.close(descriptor)

    def _sync_folder(self) -> None:
        with contextlib.suppress(OSError):
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Frame:
    """One append as a reader finds it: bytes `start` to `end` of its segment."""

    start: int
    end: int
    records: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a segment that hold no frame though frames follow: the disk lost them."""

    start: int
    end: int


def frame(records: list[Mapping[str, Any]]) -> bytes:
    """The bytes of one append. Raises TooLarge."""
    try:
        payload = orjson.dumps(records)
    except TypeError:  # half a character or a number past 64 bits: keep the record, with the odd spot replaced
        payload = orjson.dumps(_storable(records))
    if len(payload) > _MOST:
        raise TooLarge(f"One append of {len(payload):,} bytes is more than the journal takes.")
    return _FRAME.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def _storable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_storable(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    return str(value).encode("utf-8", "replace").decode()


def segments(folder: Path) -> list[Path]:
    """The segments of one writer, oldest first."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def ask_to_turn_over(root: Path) -> int:
    """Ask all writers below `root` to begin a new segment, within some seconds; the moment (ns) from which new ones are."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    moment = time.time_ns()
    temporary = root / f".{_TURN_OVER}.{os.getpid()}"
    temporary.write_text(str(moment))
    temporary.replace(root / _TURN_OVER)
    return moment


def written_before(path: Path, moment: int) -> bool:
    """Whether a segment was begun before the moment (ns)."""
    began = path.name.partition("-")[0]
    return began.isdecimal() and int(began) < moment


def _wish(root: Path) -> int:
    try:
        return int((root / _TURN_OVER).read_text())
    except (OSError, ValueError):
        return 0


def is_written(path: Path) -> bool:
    """Whether a living process still writes this segment."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def frames(data: bytes, offset: int, *, final: bool) -> Iterator[Frame | Gap]:
    """What lies in `data`, the bytes of a segment from `offset` on.

    An incomplete last frame is left alone: it is being written, or it was torn by a death (then nobody was told that it was
    kept). With `final` (nobody writes the segment any more) damage that frames follow is a Gap.
    """
    at = len(MAGIC) if offset == 0 else 0
    while at < len(data):
        found = _frame_at(data, at)
        if found is None:
            following = _next_frame(data, at + 1) if final else -1
            if following < 0:
                return
            yield Gap(offset + at, offset + following)
            at = following
            continue
        end, payload = found
        yield Frame(offset + at, offset + end, orjson.loads(payload))
        at = end


def _frame_at(data: bytes, at: int) -> tuple[int, bytes] | None:
    start = at + _FRAME.size
    if start > len(data):
        return None
    mark, length, checksum = _FRAME.unpack_from(data, at)
    payload = data[start : start + length]
    if mark != _MARK or len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    return start + length, payload


def _next_frame(data: bytes, at: int) -> int:
    while (at := data.find(_MARK, at)) >= 0:
        if _frame_at(data, at) is not None:
            return at
        at += 1
    return -1


def refusal(error: OSError) -> Unavailable:
    """What to tell whoever wanted to write."""
    if error.errno in _FULL:
        return Unavailable(
            "The disk is full, so the record could not be kept; what was kept before is safe.",
            hint="Free space on the disk that holds the data folder; nothing needs to be restarted.",
            code="disk_full",
        )
    return Unavailable(
        f"The journal cannot be written: {error.strerror}.", hint="Check the disk that holds the data folder."
    )
