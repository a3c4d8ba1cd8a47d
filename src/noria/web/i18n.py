"""Two languages: English source strings are the keys, Korean lies in each slice's `templates/ko.json` (merged here).

A page's language is the cookie `lang`, else what the browser prefers, else English. A string without a translation shows
in English; `missing_translations` finds those, and a test keeps the list empty.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import Request

from noria.core import clock
from noria.core.errors import Sentence

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "ko": "한국어"}

ROOT: Final[Path] = Path(__file__).parents[1]
"""The folder of the package: each slice's templates are in `<slice>/templates`."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = ((86_400, 1_800, "day"), (3_600, 30, "hour"), (60, 0, "minute"))
"""Seconds, how many of them may be missing (else there were 60 minutes), and the unit."""
_EXACT = ((86_400, "days", "일"), (3_600, "h", "시간"), (60, "min", "분"), (1, "s", "초"))
_KOREAN_UNITS = {"day": "일", "hour": "시간", "minute": "분", "second": "초"}


class Words:
    """One language: translates, and writes numbers and times the way its readers do."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalogue = catalogue() if language == "ko" else {}

    def __call__(self, text: str, /, **values: Any) -> str:
        """`text` in this language; `{name}` is replaced by the value of that name. A Sentence brings its own values."""
        if isinstance(text, Sentence):
            own = {name: self(value) if isinstance(value, Sentence) else value for name, value in text.values.items()}
            return self(text.template, **own)
        words = self._catalogue.get(text, text)
        return words.format_map(values) if values else words

    def plural(self, one: str, many: str, count: int, **values: Any) -> str:
        """`one` or `many` with `{n}` as the count; `many` is the key of the translation."""
        chosen = one if count == 1 and self.language == "en" else many
        return self(chosen, n=self.number(count), **values)

    def number(self, value: float | int | None, digits: int = 0) -> str:
        """1,234.5; a dash for None. Below 1 the leading zero is kept off, as in statistics: .71"""
        if value is None:
            return "–"
        text = f"{value:,.{digits}f}"
        return re.sub(r"^(-?)0\.", r"\1.", text) if digits and abs(value) < 1 else text

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share of one as a percentage."""
        return (
            "–" if share is None else f"{share * 100:.{digits}f} %" if self.language == "en" else f"{share:.{digits}%}"
        )

    def moment(self, time: datetime) -> str:
        """A moment in UTC, to the minute."""
        if self.language == "ko":
            return f"{time.year}년 {time.month}월 {time.day}일 {time:%H:%M} UTC"
        return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M} UTC"

    def ago(self, time: datetime) -> str:
        """How long ago (or ahead) a moment is, in its largest unit."""
        seconds = (clock.now() - time).total_seconds()
        if abs(seconds) < 60:
            return self("just now") if seconds >= 0 else self("in less than a minute")
        for size, missing, unit in _STEPS:
            if abs(seconds) >= size - missing:
                return self._distance(round(abs(seconds) / size), unit, past=seconds > 0)
        raise AssertionError("a distance of at least a minute has a unit")

    def duration(self, seconds: float | None) -> str:
        """12 ms, 1.4 s, 3 min 20 s, 2 h 5 min."""
        if seconds is None:
            return "–"
        if seconds < 1:
            return f"{seconds * 1000:.0f} ms"
        if seconds < 60:
            return f"{seconds:.1f} s"
        whole = round(seconds)
        if whole < 3_600:
            return f"{whole // 60} min {whole % 60} s" if self.language == "en" else f"{whole // 60}분 {whole % 60}초"
        hours, minutes = whole // 3_600, whole % 3_600 // 60
        return f"{hours} h {minutes} min" if self.language == "en" else f"{hours}시간 {minutes}분"

    def exact(self, seconds: float) -> str:
        """The same without rounding, for what somebody has set: 900 ms, 2.75 s, 10 min, 30 days."""
        if seconds < 1:
            return f"{seconds * 1000:g} ms"
        found, rest = [], seconds
        for size, english, korean in _EXACT:
            count, rest = divmod(rest, size) if size > 1 else (rest, 0)
            if count:
                unit = english.removesuffix("s") if count == 1 and size == 86_400 else english
                found.append(f"{count:g} {unit}" if self.language == "en" else f"{count:g}{korean}")
        return " ".join(found)

    def _distance(self, count: int, unit: str, *, past: bool) -> str:
        if self.language == "ko":
            return f"{count}{_KOREAN_UNITS[unit]} {'전' if past else '후'}"
        words = f"{count} {unit}{'' if count == 1 else 's'}"
        return f"{words} ago" if past else f"in {words}"


def of_request(request: Request) -> str:
    """The language to answer in."""
    chosen = request.cookies.get("lang", "")
    if chosen in LANGUAGES:
        return chosen
    return _preferred(request.headers.get("accept-language", ""))


@cache
def words(language: str) -> Words:
    return Words(language)


@cache
def catalogue() -> dict[str, str]:
    """English to Korean, of all slices."""
    merged: dict[str, str] = {}
    for path in sorted(ROOT.glob("*/templates/ko.json")):
        merged |= json.loads(path.read_text(encoding="utf-8"))
    return merged


def missing_translations(extra: Iterable[str] = ()) -> dict[str, list[str]]:
    """Strings without Korean: template (or "") to its strings. `extra` are strings that code hands to templates."""
    from jinja2 import Environment
    from jinja2.ext import extract_from_ast

    known, missing = catalogue(), dict[str, list[str]]()
    environment = Environment(autoescape=True)
    for path in sorted(ROOT.glob("*/templates/**/*.html")):
        tree = environment.parse(path.read_text(encoding="utf-8"))
        used: set[str] = set()
        for _, function, message in extract_from_ast(tree, ("_", "_n")):
            text = message[1] if function == "_n" and isinstance(message, tuple) else message
            text = text[0] if isinstance(text, tuple) else text
            if text is not None:  # None: worked out at run time, like _(state)
                used.add(text)
        if lacking := sorted(used - known.keys()):
            missing[str(path.relative_to(ROOT))] = lacking
    if lacking := sorted(set(extra) - known.keys()):
        missing[""] = lacking
    return missing


def _preferred(header: str) -> str:
    best, best_weight = "en", 0.0
    for part in header[:500].split(","):
        tag, _, rest = part.strip().partition(";")
        match = re.search(r"q=([01](?:\.\d+)?)", rest)
        weight = float(match[1]) if match else 1.0
        language = tag.strip().lower().split("-")[0]
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best
