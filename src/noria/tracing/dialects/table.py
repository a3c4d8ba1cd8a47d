"""What a dialect's table consists of. Tables are data; noria.tracing.dialects.driver is what reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from noria.core.records import Message, SpanKind

Side = Literal["input", "output"]
Build = Callable[[Mapping[str, Any]], list[Message]]
"""From attributes numbered below a prefix, the prefix cut off ({"0.role": "user", "0.content": …}), to messages."""


@dataclass(frozen=True, slots=True)
class Table:
    """One dialect. In all of it names are attributes, the first that is there wins, and earlier tables win over later ones."""

    name: str
    source: str
    """Where the convention is published."""
    markers: tuple[str, ...] = ()
    """Beginnings of attribute names, or whole scopes, by which one recognises it."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """A field of noria.core.records.Span, or one of noria.tracing.dialects.values.MORE, to the attributes that hold it."""
    kinds: Mapping[str, Mapping[str, SpanKind]] = field(default_factory=dict)
    """Attribute to what its values, in small letters, mean."""
    messages: Mapping[str, Side] = field(default_factory=dict)
    """Attributes that hold messages in any shape that noria.tracing.dialects.messages reads."""
    numbered: Mapping[str, tuple[Side, Build]] = field(default_factory=dict)
    """Prefixes of attributes that hold messages number by number."""
    payloads: Mapping[str, Side] = field(default_factory=dict)
    """Attributes that hold the input or output of any step; used where there are no messages, and kept beside them."""
    conversations: tuple[str, ...] = ()
    """Attributes that hold input and output in one list: choices, or what the assistant said last, are the output."""
    system: tuple[str, ...] = ()
    """Attributes with instructions that belong before the input."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Prefixes below which each attribute is a parameter, and whole attributes (JSON objects), to a name: "" for their own."""
    events: Mapping[str, tuple[Side, str]] = field(default_factory=dict)
    """Span events to (side, the attribute in them that holds messages; "" for an event that is one message itself)."""
