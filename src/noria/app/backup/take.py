"""Takes a backup while Noria runs.

The order to know: journals and span store are frozen together between two batches, so that each record is in exactly one of them
(the store's own list of tokens comes along, so a batch in doubt stays known); then the records, then the files that they name.
What is acknowledged before the start is in the backup; what comes later may be.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from noria.app import schema
from noria.app.backup.manifest import Entry, Manifest
from noria.app.backup.places import Place, to_write
from noria.core import clock
from noria.core.errors import Conflict, NotFound, Unavailable
from noria.core.settings import Settings
from noria.stores.connect import Stores
from noria.stores.embedded import freeze
from noria.stores.lock import Gate, PidLock
from noria.stores.spans import NoTable
from noria.tracing import migrations

_NOT_KEPT: Final = frozenset({"run", "logs", "work", "spans", "journal", "noria.lock", "spans.lock"})
"""Scratch, and what is frozen apart from the rest."""
_RECORDS: Final = ("records.db", "records.db-wal", "records.db-shm")
_STILL: Final = ("spans/store/", "files/", "media/", "models/")
"""Files below these never change under a name and a time, so a hash from the backup before still holds."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be kept: where its bytes are now, and where they belong."""

    path: str
    file: Path
    size: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it."""

    manifest: Manifest
    added: int
    """Bytes that the place did not have yet."""
    seconds: float


def take(settings: Settings, target: Path, *, secret: bool = True, records: bool = True) -> Taken:
    """Back up the data folder. Raises Conflict, NotFound, Unavailable; then what was begun is no backup."""
    began = time.monotonic()
    _check(settings, target, records=records)
    made_at = clock.now().strftime("%Y%m%dT%H%M%S%fZ")
    try:
        place = to_write(target)
        with _scratch(settings) as scratch:
            step = _freeze(settings, scratch, f"backup{os.getpid()}")
            revision = _records(settings, scratch) if records and not settings.database_url else ""
            sources = [*_walk(scratch, ""), *_rest(settings, secret=secret)]
            files = list(_kept(sources, place))
            made = Manifest(made_at, revision, step, secret and settings.folder.secret.exists(), files, _links(scratch))
            place.finish(made)
    except OSError as error:
        raise Unavailable(
            f"The backup could not be written: {error.strerror}. What was begun is no backup.",
            hint=f"Check the room and the rights at {target}, and on the disk of the data folder.",
        ) from error
    return Taken(made, place.added, time.monotonic() - began)


def _check(settings: Settings, target: Path, *, records: bool) -> None:
    if not settings.data.is_dir():
        raise NotFound(f"There is no Noria in {settings.data}.", hint="Name its folder with --data.")
    if target.resolve().is_relative_to(settings.data.resolve()):
        raise Conflict(
            "A backup cannot lie in the folder that it is of.", hint="Choose another place, best another disk."
        )
    if settings.database_url and records:
        raise Conflict(
            "The records are in PostgreSQL, which has its own backup.",
            hint='Run: pg_dump --format=custom --file=records.dump "$NORIA_DATABASE_URL"  and then'
            " noria backup --without-records (docs/backup.md).",
        )


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    """A folder on the disk of the data folder, where parts can be linked; what a dead backup has left goes."""
    settings.folder.work.mkdir(exist_ok=True, mode=0o700)
    with PidLock(settings.folder.work / "backup.lock"):
        scratch = settings.folder.work / "backup"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _freeze(settings: Settings, scratch: Path, name: str) -> int:
    """Journals and span store as they are between two batches; the store's step."""
    folder = settings.folder
    stores = Stores(settings)
    try:
        with Gate(folder.carrying):
            _link_journals(folder.journal, scratch / "journal")
            if settings.spans_url:
                return 0
            try:
                freeze.freeze_closed(folder, scratch / "spans")
                return migrations.STEPS[-1].number if (scratch / "spans" / "store").is_dir() else 0
            except Conflict:  # the store process runs
                freeze.freeze(stores.spans, folder, scratch / "spans", name)
                return _step(stores)
    finally:
        stores.close()


def _step(stores: Stores) -> int:
    try:
        [row] = stores.spans.query("SELECT max(number) AS number FROM schema_steps")
    except NoTable:
        return 0
    return int(row["number"])


def _link_journals(journal: Path, into: Path) -> None:
    """Segments only grow, so a link and today's size are a copy; the positions are replaced, so a link keeps today's."""
    for path in journal.rglob("*"):
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith("."):
            place = into / path.relative_to(journal)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)


def _records(settings: Settings, scratch: Path) -> str:
    """Copy the records; their revision."""
    if not settings.folder.records.exists():
        return ""
    freeze.copy_records(settings.folder.records, scratch / settings.folder.records.name)
    stores = Stores(settings)
    try:
        return schema.current(stores.database)
    finally:
        stores.close()


def _walk(root: Path, below: str) -> Iterator[Source]:
    for here, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            file = Path(here) / name
            if not file.is_symlink() and file.is_file():
                yield Source(f"{below}{file.relative_to(root).as_posix()}", file, file.stat().st_size)


def _rest(settings: Settings, *, secret: bool) -> Iterator[Source]:
    """All that is not frozen: files, media, models, kept responses, settings, prices, the key file."""
    root = settings.data
    for top in sorted(root.iterdir()):
        if top.name in _NOT_KEPT or top.name in _RECORDS or (top == settings.folder.secret and not secret):
            continue
        if top.is_dir():
            incoming = f"{top.name}/incoming/"
            yield from (source for source in _walk(top, f"{top.name}/") if not source.path.startswith(incoming))
        elif top.is_file():
            yield Source(top.name, top, top.stat().st_size)


def _links(scratch: Path) -> dict[str, str]:
    found = (path for path in scratch.rglob("*") if path.is_symlink())
    return {path.relative_to(scratch).as_posix(): str(path.readlink()) for path in found}


def _kept(sources: list[Source], place: Place) -> Iterator[Entry]:
    """Put every file into the place, reading only those that the last backup there did not know."""
    last = place.latest()
    known = {entry.path: entry for entry in last.files} if last else {}
    for source in sources:
        try:
            with source.file.open("rb") as file:
                yield _entry(source, file, place, known.get(source.path))
        except FileNotFoundError:
            continue  # a response that was kept long enough, a file that was erased


def _entry(source: Source, file: BinaryIO, place: Place, before: Entry | None) -> Entry:
    status = os.fstat(file.fileno())
    same = before and (before.size, before.mtime_ns) == (source.size, status.st_mtime_ns)
    if before and same and source.path.startswith(_STILL) and place.has(before.sha256):
        digest = before.sha256
    else:
        digest = place.put(file, source.size)
    return Entry(source.path, source.size, digest, status.st_mode & 0o777, status.st_mtime_ns)
