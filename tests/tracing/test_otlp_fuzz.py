"""Attributes of every name that a table knows, with values of every shape: the mapper reads them all, and the journal and the rows take them."""

import json
import os
import time
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.core.records import Span
from noria.stores.journal import frame
from noria.tracing import rollup, schema
from noria.tracing.dialects.driver import TABLES, record
from noria.tracing.estimates import Estimates
from noria.tracing.otlp.raw import Event, Origin, Raw, check

EXAMPLES = int(os.environ.get("NORIA_FUZZ_EXAMPLES", "150"))
PRICES = Estimates(Path("no prices.toml"))
_TAILS = (
    "0.role",
    "0.content",
    "1.message.role",
    "0.message.contents.0.message_content.text",
    "0.tool_calls.0.name",
    "x",
)
_KEYS = (
    *("role", "content", "parts", "type", "text", "tool_calls", "function", "name", "arguments", "messages", "choices"),
    *(
        "message",
        "kwargs",
        "data",
        "contents",
        "candidates",
        "output",
        "image_url",
        "result",
        "usage",
        "total",
        "input",
    ),
)
_WORDS = ("text", "tool_call", "tool_result", "image_url", "blob", "reasoning", "user", "human", "ai", "functionCall")


def names() -> list[str]:
    """All that the tables name; prefixes with something below them."""
    found: list[str] = []
    for table in TABLES:
        found += [name for group in table.fields.values() for name in group]
        for part in (table.kinds, table.messages, table.payloads, table.parameters, table.numbered):
            for name in part:
                found += [f"{name}{tail}" for tail in _TAILS] if name.endswith(".") else [name]
        found += [*table.conversations, *table.system]
    return found


_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.sampled_from(_WORDS)
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
_sent = _values | _values.map(json.dumps)
_events = sorted({name for table in TABLES for name in table.events} | {"exception"})


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    attributes=st.dictionaries(st.sampled_from(names()), _sent, max_size=8),
    event=st.dictionaries(st.sampled_from(("gen_ai.prompt", "message", "content", "tool_calls")), _sent, max_size=3),
    name=st.sampled_from(_events),
)
def test_no_attribute_is_an_error(attributes: dict[str, Any], event: dict[str, Any], name: str) -> None:
    now = time.time_ns()
    events = [Event(name, now, event)]
    raw = Raw("a" * 32, "b" * 16, "", "n", 1, now, now + 5, True, "", attributes, events, [], Origin())
    [made] = orjson.loads(frame([record(check(raw), "project", "key", PRICES)])[12:])
    span = Span.from_dict(made)
    schema.check(span)
    orjson.dumps([schema.span_row(span), rollup.row([span], [], None, 1)])
    assert span.status == "error"
    assert min(span.input_tokens, span.output_tokens, span.cost_micros) >= 0
