"""What jobs and uploads leave in the data folder when a process dies at the wrong moment: it may hold what people wrote, so it goes.

In: the data folder and the jobs' rows. A job's folder goes when the job has ended, whatever way. A folder of nobody's, an upload or a file that
was only half written goes when nothing has been written to it for longer than anybody would take.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import select

from noria.jobs.tables import jobs
from noria.stores.connect import Stores

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_UPLOAD: Final = "upload-"
_NOT_OURS: Final = "backup"
"""A backup clears up after itself, under a lock of its own."""


def sweep(stores: Stores) -> int:
    """Remove them; how many they were. Safe while jobs run and files come in."""
    found = [*_of_jobs(stores), *_half_written(stores)]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)


def _of_jobs(stores: Stores) -> list[Path]:
    work = stores.settings.folder.work
    here = [path for path in work.iterdir() if not path.name.startswith(_NOT_OURS)] if work.is_dir() else []
    with stores.database.read() as connection:
        query = select(jobs.c.id, jobs.c.ended_at).where(jobs.c.id.in_([path.name for path in here]))
        ended = {row.id: row.ended_at is not None for row in connection.execute(query)}
    return [path for path in here if ended.get(path.name, False) or (path.name not in ended and _is_old(path))]


def _half_written(stores: Stores) -> Iterator[Path]:
    for files in (stores.settings.folder.files, stores.settings.folder.media):
        incoming = files / "incoming"
        for path in incoming.iterdir() if incoming.is_dir() else ():
            if _age(path) > _HOUR:
                yield path


def _is_old(path: Path) -> bool:
    return _age(path) > (_HOUR if path.name.startswith(_UPLOAD) else _DAY)


def _age(path: Path) -> float:
    """Seconds since something was written there; 0 when it is gone."""
    try:
        inner = [one.stat().st_mtime for one in path.iterdir()] if path.is_dir() else []
        return time.time() - max([path.stat().st_mtime, *inner])
    except FileNotFoundError:
        return 0.0
