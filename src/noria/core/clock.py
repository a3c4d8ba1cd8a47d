"""The time, always UTC."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current time, timezone-aware, UTC."""
    return datetime.now(UTC)


def now_ns() -> int:
    """Nanoseconds since 1970-01-01 UTC."""
    return time.time_ns()
