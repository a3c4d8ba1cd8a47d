"""Erasing a person from the responses that the gateway keeps for GET and previous_response_id.

In: a subject. A kept response says whose it is: the user that its request named, or the one that it echoes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import orjson

from noria.core.settings import Settings
from noria.core.slices import Eraser, Progress, Subject
from noria.gateway import payload

KEPT: Final = "kept responses"


class Configured(Protocol):
    """What this asks of noria.stores.connect.Stores, which the gateway's packages do not import."""

    @property
    def settings(self) -> Settings: ...


def find(stores: Configured, subject: Subject) -> dict[str, int]:
    """How many kept responses are the subject's."""
    return {KEPT: sum(1 for _ in _theirs(stores.settings.folder.responses, subject))}


def erase(stores: Configured, subject: Subject, progress: Progress) -> dict[str, int]:
    """Delete them."""
    progress("deleting kept responses")
    removed = 0
    for path in _theirs(stores.settings.folder.responses, subject):
        path.unlink(missing_ok=True)
        removed += 1
    return {KEPT: removed}


def _theirs(folder: Path, subject: Subject) -> Iterator[Path]:
    named = (subject.subject_id.encode(errors="replace"), orjson.dumps(_whole(subject.subject_id))[1:-1])
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        try:
            data = path.read_bytes()
            if not any(name in data for name in named) or path.stat().st_mtime_ns >= subject.before_ns:
                continue
            kept = payload.tolerant(data)
        except (OSError, ValueError):
            continue  # deleted meanwhile, or no response of ours
        if kept.get("project") == subject.project_id and subject.subject_id in _users(kept):
            yield path


def _users(kept: dict[str, object]) -> tuple[object, ...]:
    response = kept.get("response")
    return kept.get("subject"), response.get("user") if isinstance(response, dict) else None


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


ERASER: Final = Eraser(find=find, erase=erase)
