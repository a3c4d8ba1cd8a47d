"""A copy of the embedded stores as they are at one moment, while they are in use: of SQLite by its own online backup, of chDB by
FREEZE, which links the active parts, and the small files beside them.

In: the data folder and a scratch folder on the same disk. Out: files in the scratch folder that nobody changes any more. The caller keeps
inserts out meanwhile (noria.stores.lock.Gate): ClickHouse's list of deduplication tokens must fit the parts.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from noria.core.folder import Folder
from noria.stores import ports
from noria.stores.lock import PidLock

_PART: Final = re.compile(r"[0-9a-f]{32}_\d+_\d+_\d+(_\d+)?|all_\d+_\d+_\d+(_\d+)?")
_SCRATCH: Final = frozenset({"shadow", "tmp", "detached", "moving", "status", "noria.xml"})
_NAME: Final = re.compile(r"[a-z0-9_]+")


def copy_records(source: Path, target: Path) -> None:
    """The SQLite database `source`, consistent and without its write-ahead log. Neither readers nor writers wait."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as of, closing(sqlite3.connect(target)) as to:
        of.backup(to)
        to.execute("PRAGMA journal_mode=DELETE")
    target.chmod(0o600)


def freeze(spans: ports.Spans, folder: Folder, into: Path, name: str) -> None:
    """Link or copy all of chDB's folder into `into`, asking the store process `spans` that has it open. Raises Unavailable.

    `name` (letters and digits) is that of the freeze while it is made.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a freeze is named by small letters and digits")
    shadow = folder.spans / "shadow" / name
    try:
        for table in _tables(spans):
            spans.command(f"ALTER TABLE `{table}` FREEZE WITH NAME '{name}'")  # the statement takes no parameter
        _copy_small(folder.spans, into)
        if shadow.is_dir():
            _move(shadow, into)
    finally:
        shutil.rmtree(shadow, ignore_errors=True)


def freeze_closed(folder: Folder, into: Path) -> None:
    """The same while no store process runs. Raises Conflict when one does."""
    with PidLock(folder.spans_lock):
        if not folder.spans.is_dir():
            return
        _copy_small(folder.spans, into)
        for part in _parts(folder.spans):
            place = into / part.relative_to(folder.spans)
            shutil.copytree(part, place, copy_function=os.link)


def _tables(spans: ports.Spans) -> list[str]:
    rows = spans.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
    )
    return [row["name"] for row in rows if _NAME.fullmatch(row["name"])]


def _copy_small(root: Path, into: Path) -> None:
    """Everything but parts and scratch: definitions of tables, tokens that were seen, mutations that are not done yet."""
    into.mkdir(parents=True, exist_ok=True)
    for here, folders, files in os.walk(root):
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in links and not _left_out(name)]
        place = into / Path(here).relative_to(root)
        place.mkdir(exist_ok=True)
        for name in links:
            (place / name).symlink_to((Path(here) / name).readlink())
        for name in files:
            if not _left_out(name):
                try:
                    shutil.copy2(Path(here) / name, place / name)
                except FileNotFoundError:
                    continue  # a mutation that has just been forgotten


def _parts(root: Path) -> Iterator[Path]:
    for here, folders, _ in os.walk(root / "store"):
        parts = [name for name in folders if _PART.fullmatch(name)]
        yield from (Path(here) / name for name in parts)
        folders[:] = [name for name in folders if not _left_out(name)]


def _left_out(name: str) -> bool:
    return name in _SCRATCH or name.startswith(("tmp_", "delete_tmp_", "clone_")) or bool(_PART.fullmatch(name))


def _move(shadow: Path, into: Path) -> None:
    """Put frozen parts where their tables are: shadow/NAME/store/ab/abcd…/part."""
    for table in (path for path in shadow.glob("store/*/*") if path.is_dir()):
        place = into / table.relative_to(shadow)
        place.mkdir(parents=True, exist_ok=True)
        for part in table.iterdir():
            part.rename(place / part.name)
