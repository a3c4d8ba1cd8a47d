"""What a reader makes of a row, and the values that all readers need: ids, times, JSON text.

Ids of other tools become OpenTelemetry's by one rule, so that the same row always gives the same span and importing it again changes
nothing: what already has the right form stays, a UUID is a trace id without its dashes, anything else is hashed.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

import orjson

from noria.core.records import ScoreSource
from noria.tracing.otlp.raw import Event, Origin, Raw, Refused

Row = dict[str, Any]
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_SPAN: Final = re.compile(r"[0-9a-f]{16}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SMALL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_FRACTION: Final = re.compile(r"\.(\d{7,9})\d*(?=$|[Z+-])")
_UNITS: Final = ((10**16, 1), (10**13, 10**3), (10**11, 10**6), (0, 10**9))
"""From which size on a number of an epoch counts in what; the rule holds for the years 1973 to 5138."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A score as another tool has it; `key` is its own number, so that it is there once."""

    key: str
    name: str
    value: float | bool | str | None
    source: ScoreSource = "user"
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    comment: str = ""
    correction: str = ""
    time_ns: int = 0


Item = Raw | Judgement | Refused


class Reader(Protocol):
    """Reads the rows of one tool; one for each import, because some remember what went before."""

    def __call__(self, row: Row) -> Iterable[Item]:
        """The spans and scores of `row`. Raises Refused for a row of another kind."""
        ...


def trace_id(value: Any) -> str:
    """32 hex digits. Raises Refused for nothing."""
    text = str(value or "").strip().lower().removeprefix("0x").removeprefix("tr-")
    if _TRACE.fullmatch(text):
        return text
    if _UUID.fullmatch(text):
        return text.replace("-", "")
    if not text:
        raise Refused("it has no trace id")
    return hashlib.sha256(f"trace {text}".encode()).hexdigest()[:32]


def span_id(value: Any, trace: str) -> str:
    """16 hex digits, "" for nothing; `trace` is the trace that the span belongs to."""
    text = str(value or "").strip().lower().removeprefix("0x")
    if _SPAN.fullmatch(text) or not text:
        return text
    return hashlib.sha256(f"span {trace} {text}".encode()).hexdigest()[:16]


def nanoseconds(value: Any) -> int:
    """A moment as ISO 8601 (without a zone it is UTC), a datetime, or a number since 1970 of any unit; 0 for nothing."""
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(at.timestamp() * 1_000_000) * 1000
    if isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal():
        value = float(value) if "." in value else int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or value <= 0:
            return 0
        unit = next(unit for least, unit in _UNITS if value >= least)
        return round(value * unit)
    if not isinstance(value, str) or not value.strip():
        return 0
    text = value.strip().removesuffix(" UTC")
    finer = _FRACTION.search(text)
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    extra = int(finer[1][6:].ljust(3, "0")) if finer else 0
    return int(at.replace(microsecond=0).timestamp()) * 10**9 + at.microsecond * 1000 + extra


def value_of(value: Any) -> Any:
    """What JSON text holds, if it is an object or a list; else the value itself."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def object_of(value: Any) -> dict[str, Any]:
    """An object, also one in JSON text; {} for anything else."""
    found = value_of(value)
    return found if isinstance(found, dict) else {}


def list_of(value: Any) -> list[Any]:
    """A list, also one in JSON text; [] for anything else."""
    found = value_of(value)
    return found if isinstance(found, list) else []


def objects_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in map(value_of, list_of(value)) if isinstance(item, dict)]


def written(value: Any) -> str:
    """A value as an attribute holds it: text as it is, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value without what JSON cannot hold: times as text, numbers that are none as nothing."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def given(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that say something."""
    return {name: value for name, value in attributes.items() if value not in (None, "", [], {})}


def small(row: Mapping[str, Any]) -> Row:
    """`row` with its names in small letters and underscores: parentObservationId is parent_observation_id."""
    return {_SMALL.sub("_", str(name)).lower(): value for name, value in row.items()}


def score_name(text: Any) -> str:
    """A name as Noria's scores have it: "Answer Relevancy" is answer_relevancy."""
    found = re.sub(r"[^a-z0-9_.-]+", "_", str(text or "").strip().lower()).strip("_.-")[:64]
    return found if found[:1].isalpha() else f"score_{found}"[:64].rstrip("_")


def raw(
    *,
    trace: str,
    span: str,
    parent: str,
    name: Any,
    start: int,
    end: int,
    attributes: Mapping[str, Any],
    failed: bool = False,
    message: Any = "",
    events: Iterable[Event] = (),
    tool: str,
) -> Raw:
    """A span as it would have come over the wire; where it comes from is told by noria.imported_from."""
    return Raw(
        trace_id=trace,
        span_id=span,
        parent_id=parent,
        name=str(name or ""),
        kind=0,
        start_ns=start,
        end_ns=end,
        failed=failed,
        message=str(message or ""),
        attributes=given({key: plain(value) for key, value in attributes.items()}),
        events=list(events),
        links=[],
        origin=Origin({"noria.imported_from": tool}),
    )


def exception(message: Any, time_ns: int, kind: str = "") -> Event:
    """The event by which OpenTelemetry tells an error."""
    return Event("exception", time_ns, given({"exception.type": kind, "exception.message": str(message)}))
