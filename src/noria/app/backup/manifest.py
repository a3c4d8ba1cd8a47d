"""What is in a backup: every file with its hash, and which Noria wrote it. The manifest is written last, so a backup without one is half.

Its name holds the hash of its own bytes: one that was cut short or changed is recognised.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from noria import __version__
from noria.core.errors import BadInput, Conflict

FORMAT: Final = 1
_NAME: Final = re.compile(r"(\d{8}T\d{12}Z)-([0-9a-f]{64})\.json")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the data folder."""

    path: str
    """Below the data folder, with slashes."""
    size: int
    sha256: str
    mode: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup."""

    made_at: str
    """UTC, to the microsecond: 20261126T120000000000Z."""
    records: str
    """Revision of the records' database; empty: it is not in the backup."""
    spans: int
    """Step of the span store; 0: it is not in the backup, or had no tables yet."""
    secret: bool
    """Whether secret.key is in it."""
    files: list[Entry] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links by path."""
    version: str = __version__
    format: int = FORMAT

    def encoded(self) -> bytes:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @property
    def name(self) -> str:
        """The file name that this manifest has."""
        return f"{self.made_at}-{hashlib.sha256(self.encoded()).hexdigest()}.json"

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry in self.files)


def is_name(name: str) -> bool:
    """Whether a file of this name is a manifest."""
    return _NAME.fullmatch(name) is not None


def decode(name: str, data: bytes) -> Manifest:
    """The manifest in `data`. Raises BadInput when the bytes are not what the name says, Conflict for a newer format."""
    found = _NAME.fullmatch(name)
    if found is None or hashlib.sha256(data).hexdigest() != found[2]:
        raise BadInput(
            f"The manifest {name[:16]}… is damaged: its bytes do not have the hash in its name.",
            hint="Take another backup: --at chooses one of the same place, and `noria restore --list` shows them.",
            code="damaged_backup",
        )
    raw: dict[str, Any] = json.loads(data)
    if raw["format"] > FORMAT:
        raise Conflict(
            f"This backup was written by Noria {raw['version']}, in a format that this version does not know.",
            hint=f"Restore it with Noria {raw['version']} or newer.",
            code="newer_backup",
        )
    return Manifest(**{**raw, "files": [Entry(**entry) for entry in raw["files"]]})
