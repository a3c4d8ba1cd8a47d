"""Where a backup lies: a folder that many backups share (the same bytes are kept once), or one tar file.

`objects/ab/<sha256>` holds bytes, `backups/<time>-<sha256>.json` a manifest. An object appears under its name when it is whole,
a manifest when all of its objects are.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from noria.app.backup import manifest
from noria.app.backup.manifest import Manifest
from noria.core.errors import BadInput, Conflict, Unavailable

CHUNK: Final = 1024 * 1024


class Place(Protocol):
    """Something that a backup is written to."""

    added: int
    """Bytes that were not there before."""

    def has(self, digest: str) -> bool: ...

    def put(self, source: BinaryIO, size: int) -> str:
        """Keep the next `size` bytes of `source`; their sha256."""

    def finish(self, made: Manifest) -> None:
        """Make it a backup: nothing before this call is one."""

    def latest(self) -> Manifest | None:
        """The last complete backup of this place."""


class FolderPlace:
    """A folder for any number of backups."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.added = 0
        (root / "objects").mkdir(parents=True, exist_ok=True, mode=0o700)
        (root / "backups").mkdir(exist_ok=True, mode=0o700)
        for left in (root / "objects").glob(".incoming-*"):
            left.unlink()

    def has(self, digest: str) -> bool:
        return _object(self.root, digest).is_file()

    def put(self, source: BinaryIO, size: int) -> str:
        temporary = self.root / "objects" / f".incoming-{os.getpid()}"
        with temporary.open("wb") as file:
            temporary.chmod(0o600)
            digest = copied(source, size, file.write)
        target = _object(self.root, digest)
        if target.is_file() and target.stat().st_size == size:
            temporary.unlink()
            return digest
        target.parent.mkdir(exist_ok=True, mode=0o700)
        temporary.replace(target)
        self.added += size
        return digest

    def finish(self, made: Manifest) -> None:
        os.sync()  # all objects are on disk before anything says that they are
        temporary = self.root / "backups" / ".new"
        with temporary.open("wb") as file:
            temporary.chmod(0o600)
            file.write(made.encoded())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.root / "backups" / made.name)

    def latest(self) -> Manifest | None:
        for name in reversed(listed(self.root)):
            try:
                return manifest.decode(name, (self.root / "backups" / name).read_bytes())
            except BadInput:
                continue
        return None


class TarPlace:
    """One tar file for one backup; it has its name when it is whole."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise Conflict(f"{path} is there already.", hint="Choose another name; a tar file holds one backup.")
        self.path = path
        self.added = 0
        self._partial = path.with_name(f"{path.name}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._tar = tarfile.open(self._partial, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by finish
        self._partial.chmod(0o600)
        self._there: set[str] = set()

    def has(self, digest: str) -> bool:
        return digest in self._there

    def put(self, source: BinaryIO, size: int) -> str:
        start = source.tell()
        digest = copied(source, size, lambda _: None)
        if digest not in self._there:
            source.seek(start)
            check = hashlib.sha256()
            self._add(f"objects/{digest[:2]}/{digest}", _Hashing(source, check), size)
            if check.hexdigest() != digest:
                raise Unavailable("A file changed while it was copied.", hint="Run the backup again.")
            self._there.add(digest)
            self.added += size
        return digest

    def finish(self, made: Manifest) -> None:
        data = made.encoded()
        self._add(f"backups/{made.name}", io.BytesIO(data), len(data))
        self._tar.close()
        descriptor = os.open(self._partial, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        self._partial.replace(self.path)

    def latest(self) -> Manifest | None:
        return None

    def _add(self, name: str, source: "BinaryIO | _Hashing", size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._tar.addfile(info, source)


class _Hashing:
    """A file that hashes what is read of it."""

    def __init__(self, source: BinaryIO, digest: "hashlib._Hash") -> None:
        self._source, self._digest = source, digest

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        return data


def to_write(path: Path) -> Place:
    """The place that `path` names: a tar file when it ends in .tar, else a folder."""
    return TarPlace(path) if path.suffix == ".tar" else FolderPlace(path)


@contextmanager
def opened(path: Path) -> Iterator[tuple[list[str], Callable[[str], BinaryIO]]]:
    """A backup to read: the names of its manifests, oldest first, and a function from a name below its root to the bytes.

    Raises BadInput when it is none, or only half of one.
    """
    if path.is_dir():
        if not (path / "objects").is_dir():
            raise BadInput(f"{path} is not a backup.", hint="`noria backup` makes one.", code="not_a_backup")
        yield _some(listed(path), path), lambda name: (path / name).open("rb")
        return
    try:
        tar = tarfile.open(path)  # noqa: SIM115 - closed below
    except (OSError, tarfile.TarError) as error:
        partial = " It is half of one: the backup was interrupted." if path.suffix == ".partial" else ""
        raise BadInput(f"{path} is not a backup.{partial}", code="not_a_backup") from error
    with tar:
        try:
            members = {member.name: member for member in tar}
        except tarfile.TarError:
            members = {}

        def read(name: str) -> BinaryIO:
            if name not in members:
                raise FileNotFoundError(name)
            return tar.extractfile(members[name])  # type: ignore[return-value]

        names = sorted(n.partition("/")[2] for n in members if n.startswith("backups/"))
        yield _some([name for name in names if manifest.is_name(name)], path), read


def listed(root: Path) -> list[str]:
    """Names of the manifests of a folder, oldest first."""
    return sorted(path.name for path in (root / "backups").glob("*.json") if manifest.is_name(path.name))


def copied(source: BinaryIO, size: int, write: Callable[[bytes], object]) -> str:
    """The sha256 of the next `size` bytes, which are handed to `write`. Raises Unavailable when there are fewer."""
    digest, left = hashlib.sha256(), size
    while left:
        data = source.read(min(CHUNK, left))
        if not data:
            raise Unavailable("A file became shorter while it was copied.", hint="Run the backup again.")
        digest.update(data)
        write(data)
        left -= len(data)
    return digest.hexdigest()


def object_name(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest}"


def _object(root: Path, digest: str) -> Path:
    return root / "objects" / digest[:2] / digest


def _some(names: list[str], path: Path) -> list[str]:
    if not names:
        raise BadInput(
            f"{path} holds no complete backup: the one that was begun was not finished.",
            hint="Run `noria backup` again; what is there already is used.",
            code="half_a_backup",
        )
    return names
