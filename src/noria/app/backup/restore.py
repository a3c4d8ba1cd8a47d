"""Makes a data folder of a backup: into an empty folder, every byte checked against its hash, nothing of a newer Noria.

All of it is written aside within the new folder and moved into place at the end, so that half a restore is no installation.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from noria import __version__
from noria.app import schema
from noria.app.backup import manifest
from noria.app.backup.manifest import Entry, Manifest
from noria.app.backup.places import copied, object_name, opened
from noria.core.errors import BadInput, Conflict, NotFound, Unavailable
from noria.tracing import migrations

_ASIDE: Final = ".restoring"
Reader = Callable[[str], BinaryIO]


def backups(source: Path) -> list[Manifest]:
    """The complete backups in `source`, oldest first. Raises BadInput when there is none."""
    with opened(source) as (names, read):
        return [_read(read(f"backups/{name}"), name) for name in names]


def restore(source: Path, data: Path, at: str = "") -> Manifest:
    """Make `data` of the newest backup in `source`, or of the one whose time starts with `at`.

    Raises BadInput for what is damaged or no backup, Conflict for a folder with something in it and for a newer Noria.
    """
    with opened(source) as (names, read):
        chosen = [name for name in names if name.startswith(at)]
        if not chosen:
            raise NotFound(f"There is no backup of {at}.", hint="`noria restore --list` shows those that are there.")
        made = _read(read(f"backups/{chosen[-1]}"), chosen[-1])
        _check_version(made)
        _check_empty(data)
        aside = data / _ASIDE
        try:
            aside.mkdir(parents=True, mode=0o700)
            data.chmod(0o700)
            for entry in made.files:
                with _object(read, entry) as file:
                    _write(entry, file, aside)
            for path, target in made.links.items():
                place = _inside(aside, path)
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                place.symlink_to(_link(path, target))
            _settle(aside, data)
        except OSError as error:
            raise Unavailable(
                f"The backup could not be restored: {error.strerror}. {data} is not an installation.",
                hint="Check the room and the rights there, then run the same command again.",
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return made


def _read(file: BinaryIO, name: str) -> Manifest:
    with file:
        return manifest.decode(name, file.read())


def _check_version(made: Manifest) -> None:
    known = schema.revisions()
    newer = [made.records and made.records not in known, made.spans > migrations.STEPS[-1].number]
    if any(newer) or _numbers(made.version) > _numbers(__version__):
        raise Conflict(
            f"This backup is of Noria {made.version}; this is {__version__}, which is older.",
            hint=f"Restore it with Noria {made.version} or newer.",
            code="newer_backup",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _check_empty(data: Path) -> None:
    if not data.exists():
        return
    if not data.is_dir():
        raise Conflict(f"{data} is not a folder.")
    shutil.rmtree(data / _ASIDE, ignore_errors=True)  # of a restore that died
    if any(data.iterdir()):
        raise Conflict(f"{data} is not empty; nothing was written.", hint="Name a new folder with --data.")


def _object(read: Reader, entry: Entry) -> BinaryIO:
    try:
        return read(object_name(entry.sha256))
    except FileNotFoundError as error:
        raise _damaged(entry) from error


def _write(entry: Entry, file: BinaryIO, aside: Path) -> None:
    place = _inside(aside, entry.path)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with place.open("xb") as out:
        place.chmod(entry.mode)
        try:
            digest = copied(file, entry.size, out.write)
        except Unavailable as error:
            raise _damaged(entry) from error
        if digest != entry.sha256 or file.read(1):
            raise _damaged(entry)
        out.flush()
    os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))


def _settle(aside: Path, data: Path) -> None:
    os.sync()
    for path in sorted(aside.iterdir()):
        path.rename(data / path.name)


def _inside(root: Path, path: str) -> Path:
    """Raises BadInput for a path that leads out of the folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise BadInput("The backup names a path outside of the data folder.", code="damaged_backup")
    return root.joinpath(*parts)


def _link(path: str, target: str) -> str:
    """chDB links from `metadata` and `data` into `store`; anything that leads out of the data folder is refused."""
    base = "/data"
    where = os.path.normpath(os.path.join(base, os.path.dirname(path), target))  # noqa: PTH118, PTH120
    if target.startswith("/") or not where.startswith(f"{base}/"):
        raise BadInput("The backup holds a link that leads out of the data folder.", code="damaged_backup")
    return target


def _damaged(entry: Entry) -> BadInput:
    return BadInput(
        f"The backup is damaged: the bytes of {json.dumps(entry.path)} are missing or do not have their hash.",
        hint="Nothing was restored. Take an older backup of the place with --at, or another copy.",
        code="damaged_backup",
    )
