"""What the rest of Noria may ask of a store, as Protocols. Each has an embedded and a scaled engine.

Relational records need no port of ours: SQLAlchemy Core already is one (noria.stores.sql.Database).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol


class Files(Protocol):
    """Content-addressed files. A file's name is the sha256 (64 hex digits) of its bytes; it never changes."""

    def put(self, source: Path | bytes | BinaryIO) -> str:
        """Store the bytes durably (fsync before return) and return their sha256. Storing the same bytes twice is free."""

    def path(self, digest: str) -> Path:
        """A local path with the bytes of `digest`. Raises NotFound."""

    def exists(self, digest: str) -> bool: ...

    def size(self, digest: str) -> int:
        """Bytes. Raises NotFound."""

    def delete(self, digest: str) -> None:
        """Remove the bytes; nothing happens when they are not there."""


class Spans(Protocol):
    """The column store of spans and scores: ClickHouse SQL over HTTP, whichever engine answers.

    `query` parameters are bound by ClickHouse's `{name:Type}` syntax and never formatted into the text.
    """

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries. Raises Unavailable when the store cannot be reached."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, token: str) -> None:
        """Insert all rows or none; a second insert with the same `token` does nothing. Raises Unavailable."""

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """DDL and mutations."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Take:
    """One thing that is wanted: `amount` of the counter `name`, which may hold `limit` until it ends at `ends_at`."""

    name: str
    amount: int
    limit: int
    ends_at: float
    """Unix seconds; afterwards the counter is worthless and forgotten."""
    before: str = ""
    """A sliding window: the counter of the window before, of which `weight` still counts."""
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it: `refused` is the index of the first that did not fit (nothing was taken then), else -1."""

    refused: int
    used: tuple[int, ...]
    """What each counter held before, the window before it weighed in."""


class Counters(Protocol):
    """Shared counters with an end: limits and budgets. An operation is atomic over all processes that share them."""

    async def take(self, takes: Sequence[Take]) -> Taken:
        """Take all or nothing. Raises Unavailable when the counters cannot be reached."""
        ...

    async def add(self, changes: Sequence[tuple[str, int, float]]) -> None:
        """Add (name, amount, ends_at) without asking; amounts may be negative. Raises Unavailable."""
        ...

    async def close(self) -> None: ...


class Journal(Protocol):
    """An append-only log of records on local disk that survives a kill of the process that writes it."""

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write the records; when this returns they survive the death of this process. Raises Unavailable on a full disk."""

    def close(self) -> None: ...


class Cache(Protocol):
    """Answers kept for a while. Nobody depends on it: what cannot be had is not there, and nothing is raised."""

    async def get(self, key: str) -> bytes | None:
        """What is kept under `key` and not too old."""

    def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep it soon, for at most so many seconds; it may be forgotten at any time."""

    async def close(self) -> None: ...
