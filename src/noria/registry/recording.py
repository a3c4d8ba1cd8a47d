"""A recording: the traffic of one endpoint with its providers, kept for a while to make fixtures of. A leaf that the gateway
imports.

The order to record is a file that gateways watch (Folder.recording). What they heard lies in Folder.recordings, one sealed
file for each call to a provider, so that nothing of what people wrote is on the disk in the clear. The decision to know: headers are
let through by name, so that a key, a cookie or an account never gets into a file.
"""

import base64
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from noria.governance.sealing import Sealer

MOST_REQUESTS: Final = 200
MOST_BYTES: Final = 4_000_000
"""Of one request or answer; what is longer is not recorded."""
KEEP_SECONDS: Final = 86_400.0
"""After this, gateways delete a recording that nobody has saved."""
_HEADERS: Final = ("content-type", "retry-after", "retry-after-ms", "anthropic-version", "anthropic-beta")
_HEADER_STARTS: Final = ("x-ratelimit-", "anthropic-ratelimit-")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be recorded, and until when."""

    id: str
    project_id: str
    endpoint: str
    requests: int
    until: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call to a provider as it was on the wire; bodies may hold anything that people wrote."""

    kind: str
    """The provider's kind."""
    dialect: str
    model: str
    path: str
    at: float
    request: bytes
    status: int
    headers: dict[str, str]
    answer: bytes
    complete: bool = True
    """Whether the answer was heard to its end."""


def read_order(data: bytes) -> Order | None:
    """The order in a file; None when it orders nothing."""
    try:
        return Order(**orjson.loads(data))
    except (ValueError, TypeError):
        return None


def write_order(path: Path, order: Order | None) -> None:
    """Replace the order; None ends the recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(orjson.dumps(asdict(order) if order else {}))
    temporary.replace(path)


def allowed(headers: Mapping[str, str]) -> dict[str, str]:
    """Those headers that may be kept, in small letters."""
    small = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in small.items() if name in _HEADERS or name.startswith(_HEADER_STARTS)}


def slot(folder: Path, order: Order, first: int) -> Path | None:
    """A free place for one exchange among those that are ordered, from number `first` on; taken for this caller alone, also
    when several gateways record."""
    where = folder / order.id
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(first, order.requests + 1):
        path = where / f"{number:04d}.sealed"
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        return path
    return None


def write(path: Path, exchange: Exchange, sealer: Sealer) -> None:
    """Seal an exchange into its place."""
    raw = asdict(exchange)
    for name in ("request", "answer"):
        raw[name] = base64.b64encode(raw[name]).decode()
    sealed = sealer.seal(orjson.dumps(raw).decode(), purpose=f"recording:{path.parent.name}")
    temporary = path.with_suffix(".new")
    temporary.write_text(sealed)
    temporary.chmod(0o600)
    temporary.replace(path)


def read(path: Path, sealer: Sealer) -> Exchange | None:
    """The exchange in a place; None while it is still empty. Raises Unsealable."""
    text = path.read_text()
    if not text:
        return None
    raw: dict[str, Any] = orjson.loads(sealer.unseal(text, purpose=f"recording:{path.parent.name}"))
    for name in ("request", "answer"):
        raw[name] = base64.b64decode(raw[name])
    return Exchange(**raw)


def remove(folder: Path, *, older_than: float = 0.0) -> int:
    """Delete recordings, those that were made more than `older_than` seconds ago; says how many."""
    gone = 0
    for where in folder.iterdir() if folder.is_dir() else ():
        if time.time() - where.stat().st_mtime < older_than:
            continue
        for file in where.iterdir():
            file.unlink(missing_ok=True)
        where.rmdir()
        gone += 1
    return gone
