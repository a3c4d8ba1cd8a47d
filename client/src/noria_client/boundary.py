"""The one place where an error of the client itself ends: the application goes on, and the log tells once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

logger: Final = logging.getLogger("noria_client")

_told: set[str] = set()


@contextmanager
def boundary(doing: str) -> Iterator[None]:
    """Whatever goes wrong inside is logged and ends here; only the error's type is told, its text may hold data."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - recording must never break what it records
        once(f"{doing} failed: {type(error).__name__}")


def once(message: str) -> None:
    """A warning that is not repeated in this process."""
    if message not in _told and len(_told) < 1000:
        _told.add(message)
        logger.warning("%s", message)
