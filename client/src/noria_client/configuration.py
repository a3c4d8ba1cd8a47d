"""What can be configured, from arguments first and the environment second.

The folder of the spool is named after the address and a digest of the key: what was meant for one project is never sent to
another, and the key itself is nowhere on disk.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

VERSION: Final = "0.1.0"
Mask = Callable[[str, str], str]
"""`mask(text, name) -> text`: what is left of a text before it leaves; `name` is the attribute that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All settings of one client. Sizes are characters or bytes, times are seconds."""

    url: str
    """Address of Noria's server, like "http://127.0.0.1:7701"."""
    key: str
    """A key of scope write_traces, or a manage key of a role that may do as much."""
    service: str = ""
    """OpenTelemetry's service.name; empty: OTEL_SERVICE_NAME, or unknown."""
    version: str = ""
    environment: str = ""
    capture_input: bool = True
    capture_output: bool = True
    capture_chars: int = 64_000
    """Most characters of one input or output."""
    mask: Mask | None = None
    spool: Path | None = None
    """Folder for what is not delivered yet; None: one in the user's cache folder."""
    spool_bytes: int = 256_000_000
    batch_seconds: float = 0.5
    """Longest time that an ended span stays in memory only."""
    timeout: float = 10.0
    """Of one request to the server."""
    prompt_seconds: float = 60.0
    """How old a prompt may be before it is fetched again in the background."""
    prompt_timeout: float = 2.0
    """Longest wait for a prompt that is not known yet."""

    @property
    def folder(self) -> Path:
        """Where undelivered requests lie."""
        digest = hashlib.sha256(f"{self.url}\n{self.key}".encode()).hexdigest()[:16]
        return (self.spool or _cache()) / digest


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises ValueError."""
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("The URL of Noria's server starts with http:// or https:// and names a host.")
    return url.strip().rstrip("/")


def address(url: str | None, key: str | None, env: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """URL and key from arguments or the environment; None when one is missing. Raises ValueError for one that cannot be."""
    url = (url or env.get("NORIA_URL") or "").strip()
    key = (key or env.get("NORIA_API_KEY") or "").strip()
    if not url or not key:
        return None
    if not key.isascii() or not key.isprintable():
        raise ValueError("The key holds characters that no key has.")
    return checked_url(url), key


def _cache() -> Path:
    if named := os.environ.get("NORIA_CLIENT_SPOOL"):
        return Path(named)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # nobody's home
        base = Path(tempfile.gettempdir()) / f"cache-{os.getuid() if hasattr(os, 'getuid') else 0}"
    return base / "noria-client"
