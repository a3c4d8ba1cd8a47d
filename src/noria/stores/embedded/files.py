"""Content-addressed files in a folder: `ab/ab12…`, named by the sha256 of their bytes.

A file appears under its name only when all of its bytes are on disk (written aside, fsync, atomic rename), so that a name that
is there can be trusted.
"""

import hashlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

from noria.core.errors import NotFound, Unavailable

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK: Final = 1024 * 1024


class FolderFiles:
    """noria.stores.ports.Files over a local folder. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, source: Path | bytes | BinaryIO) -> str:
        """Raises Unavailable when the disk is full or broken; then nothing is left behind."""
        if isinstance(source, Path):
            with source.open("rb") as file:
                return self._put(file)
        return self._put(io.BytesIO(source) if isinstance(source, bytes) else source)

    def path(self, digest: str) -> Path:
        path = self._path(digest)
        if not path.is_file():
            raise NotFound(f"There is no file {digest[:12]}….")
        return path

    def exists(self, digest: str) -> bool:
        return bool(_DIGEST.fullmatch(digest)) and self._path(digest).is_file()

    def size(self, digest: str) -> int:
        return self.path(digest).stat().st_size

    def delete(self, digest: str) -> None:
        path = self._path(digest)
        if path.exists():
            path.unlink(missing_ok=True)
            _sync_folder(path.parent)  # what was erased does not come back when the power fails

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise NotFound("That is not the name of a file.")
        return self._folder / digest[:2] / digest

    def _put(self, source: BinaryIO) -> str:
        try:
            incoming = self._folder / "incoming"
            incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=incoming)
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    digest = _copy(source, file)
                target = self._path(digest)
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    temporary.replace(target)
                    _sync_folder(target.parent)
                    _sync_folder(self._folder)
                return digest
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"The file could not be kept: {error.strerror}.",
                hint=f"Check the disk that holds {self._folder} ({_free(self._folder)} free).",
            ) from error


def _copy(source: BinaryIO, file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free // 1_000_000:,} MB"
    except OSError:
        return "nobody knows how much"
