"""Erasing a person from recordings: sealed calls to providers that are kept for a day to make fixtures of.

In: a subject. A call is the subject's when its request or answer mentions them; one that cannot be unsealed is nobody's to read and goes
with its day.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from noria.core.slices import Eraser, Progress, Subject
from noria.governance.sealing import Sealer, Unsealable
from noria.registry import recording
from noria.stores.connect import Stores

RECORDED: Final = "recorded calls"


def find(stores: Stores, subject: Subject) -> dict[str, int]:
    """How many recorded calls mention the subject."""
    return {RECORDED: sum(1 for _ in _theirs(stores, subject))}


def erase(stores: Stores, subject: Subject, progress: Progress) -> dict[str, int]:
    """Delete them."""
    progress("deleting recorded calls")
    removed = 0
    for path in _theirs(stores, subject):
        path.unlink(missing_ok=True)
        removed += 1
    return {RECORDED: removed}


def _theirs(stores: Stores, subject: Subject) -> Iterator[Path]:
    folder = stores.settings.folder.recordings
    paths = sorted(folder.glob("*/*.sealed")) if folder.is_dir() else []
    if not paths:
        return
    sealer = Sealer(stores.settings.folder.secret)
    quoted = f'"{subject.subject_id}"'.encode(errors="replace")
    escaped = orjson.dumps(subject.subject_id.encode("utf-8", "replace").decode())
    for path in paths:
        try:
            exchange = recording.read(path, sealer)
        except (OSError, Unsealable):
            continue
        if exchange is not None and exchange.at * 1e9 < subject.before_ns:
            said = exchange.request + exchange.answer
            if quoted in said or escaped in said:
                yield path


ERASER: Final = Eraser(find=find, erase=erase)
