"""A span and a log record as a client sent them, whichever encoding they came in, and the limits that hold for them.

In: protobuf (from_protobuf) or JSON (from_json). Out: `Raw` and `RawLog` with plain Python values. What breaks a limit in a way
that leaves no meaning is refused with a reason (`Refused`); what can be kept is kept and says so in its attributes.
"""

import math
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final

from noria.core import clock

MOST_ATTRIBUTES: Final = 10_000
MOST_EVENTS: Final = 1_000
LONGEST_NAME: Final = 1_000
DEEPEST: Final = 40
EARLIEST: Final = 946_684_800 * 10**9
"""2000-01-01: nobody traced language models before; it is a clock that was not set."""
FUTURE: Final = 86_400 * 10**9
"""How far a client's clock may be ahead of ours."""
_LARGEST: Final = 2**63 - 1


class Refused(Exception):
    """This one span or log record cannot be kept; the ones beside it can. Its text is the reason."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span."""

    name: str
    time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Resource and scope, the same for many spans: {"resource.service.name": …, "scope.name": …}."""

    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        return str(self.attributes.get("scope.name", ""))

    @property
    def project(self) -> Any:
        """What the resource names as its project, which need not be a text; None when it names none."""
        return self.attributes.get("resource.noria.project")


@dataclass(slots=True)
class Raw:
    """One span; ids are hex, "" for a root's parent."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    failed: bool
    message: str
    attributes: dict[str, Any]
    events: list[Event]
    links: list[dict[str, Any]]
    origin: Origin


@dataclass(frozen=True, slots=True)
class RawLog:
    """One log record that belongs to a span."""

    trace_id: str
    span_id: str
    name: str
    time_ns: int
    body: Any
    attributes: dict[str, Any]
    project: Any = None
    """What its resource names as its project."""


def check_ids(trace_id: str, span_id: str, parent_id: str = "") -> None:
    """Raises Refused."""
    if len(trace_id) != 32 or not trace_id.strip("0"):
        raise Refused("a trace id is 16 bytes that are not all zero")
    if len(span_id) != 16 or not span_id.strip("0"):
        raise Refused("a span id is 8 bytes that are not all zero")
    if parent_id and len(parent_id) != 16:
        raise Refused("a parent span id is 8 bytes, or nothing")


def check(raw: Raw) -> Raw:
    """`raw` with its times and names within bounds. Raises Refused."""
    check_ids(raw.trace_id, raw.span_id, raw.parent_id)
    if not raw.parent_id.strip("0"):
        raw.parent_id = ""
    if not EARLIEST <= raw.start_ns <= clock.now_ns() + FUTURE:
        when = "it has none" if raw.start_ns == 0 else "it is before the year 2000 or more than a day ahead"
        raise Refused(f"the start time cannot be right: {when}")
    if raw.end_ns < raw.start_ns or raw.end_ns > _LARGEST:
        raw.attributes["noria.end_time"] = "missing" if raw.end_ns == 0 else f"not after the start: {raw.end_ns}"
        raw.end_ns = raw.start_ns
    if len(raw.name) > LONGEST_NAME:
        raw.attributes["noria.name"] = raw.name
        raw.name = raw.name[:LONGEST_NAME]
    if len(raw.attributes) > MOST_ATTRIBUTES:
        kept = dict(list(raw.attributes.items())[:MOST_ATTRIBUTES])
        raw.attributes = {**kept, "noria.dropped_attributes": len(raw.attributes) - MOST_ATTRIBUTES}
    if len(raw.events) > MOST_EVENTS:
        raw.attributes["noria.dropped_events"] = len(raw.events) - MOST_EVENTS
        raw.events = raw.events[:MOST_EVENTS]
    return raw


def number(value: float) -> float | str:
    """A float as JSON can hold it."""
    return value if math.isfinite(value) else str(value)


def binary(value: bytes) -> str:
    """Bytes as text."""
    return b64encode(value).decode()


def origin(resource: dict[str, Any], scope: str, version: str, more: dict[str, Any]) -> Origin:
    """What spans of one scope have in common."""
    found = {f"resource.{name}": value for name, value in resource.items()}
    found |= {f"scope.{name}": value for name, value in more.items()}
    if scope:
        found["scope.name"] = scope
    if version:
        found["scope.version"] = version
    return Origin(found)
