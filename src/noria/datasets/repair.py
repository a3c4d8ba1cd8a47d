"""Broken text in, the text that was meant out. Pure; ftfy is imported by jobs only.

Repairs mojibake (UTF-8 or Korean cp949 that was once read as Latin), control characters and the form of letters (NFC). It
leaves alone what may be meant: curly quotes, full-width letters, HTML entities.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

import ftfy

LOST: Final = "\ufffd"
"""Stands where letters were lost before the text came here; nothing can bring them back."""

_CONFIG = ftfy.TextFixerConfig(
    unescape_html=False,
    uncurl_quotes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    fix_line_breaks=False,
    normalization="NFC",
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FOREIGN = re.compile(r"[\x80-\xff]+")


def repair(text: str) -> str:
    """The text as it was meant; the same string when nothing is wrong with it."""
    if text.isascii():
        return text if not _CONTROL.search(text) else _CONTROL.sub("", text)
    if korean := _korean_read_as_latin(text):
        return unicodedata.normalize("NFC", korean)
    fixed: str = ftfy.fix_text(text, _CONFIG)
    return fixed


def in_strings(value: Any, change: Callable[[str], str], skip: frozenset[str] = frozenset()) -> Any:
    """JSON with every string changed, except keys and the values of the keys in `skip`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [in_strings(inner, change, skip) for inner in value]
    if isinstance(value, dict):
        return {key: inner if key in skip else in_strings(inner, change, skip) for key, inner in value.items()}
    return value


def _korean_read_as_latin(text: str) -> str:
    """The Korean that somebody read as Latin-1 ("¾È³ç" is 안녕), or "" when the text is not of that kind."""
    runs = _FOREIGN.findall(text)
    letters = sum(map(len, runs))
    if letters < 4 or any(len(run) % 2 for run in runs) or any(ord(letter) > 0xFF for letter in text):
        return ""
    try:
        read = text.encode("latin-1").decode("euc_kr")
    except UnicodeDecodeError:
        return ""
    syllables = sum("가" <= letter <= "힣" for letter in read)
    return read if syllables * 2 >= letters * 0.9 else ""
