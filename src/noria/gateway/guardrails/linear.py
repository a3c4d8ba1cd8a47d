"""Regular expressions whose time grows with the text and nothing else: RE2, never Python's `re`.

A pattern that a person wrote, over a text that a stranger wrote, must not be able to hold the event loop. RE2 knows no
backreferences and no lookaround for that reason, and lets other threads run while it searches. It is imported when the first pattern is.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from noria.gateway.guardrails.base import CheckFailed


@lru_cache(maxsize=512)
def compiled(pattern: str, ignore_case: bool = False) -> Any:
    """A compiled pattern. Raises CheckFailed when RE2 cannot have it."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        what = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else ""
        raise CheckFailed(f"A pattern cannot be used by RE2: {what[:100]}.") from error


def found_in(patterns: Sequence[Any], texts: Sequence[str]) -> list[int]:
    """Numbers of the patterns that stand in one of the texts."""
    clean = [searchable(text) for text in texts]
    return [number for number, pattern in enumerate(patterns) if any(pattern.search(text) for text in clean)]


def searchable(text: str) -> str:
    """The text without half surrogate pairs, which have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
