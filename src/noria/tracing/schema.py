"""The tables of spans and scores, in ClickHouse's dialect, and how a record becomes a row of each.

`spans` is wide and ordered by trace: one trace is one read. `traces` holds one narrow row for each trace, ordered by time, with
what its model calls were and used in arrays: lists, search and live figures read nothing else, FINAL (a trace that grew has
several rows until the store merges them). `scores` keeps the last of several under one key. `contents` holds the
messages that log events told of a span, and the pieces in which some clients tell of one (noria.tracing.pieces). All but `scores` are cut by project and week, so that retention
(noria.tracing.retention) drops partitions; by day they would be many small parts, and reading costs by the part. Times are integers (nanoseconds since 1970 UTC): no zone can be lost on the way.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

import orjson

from noria.core.records import Message, Score, Span

PREVIEW: Final = 300
"""Characters of input and output that a list shows."""
SEARCHED: Final = 20_000
"""Characters of a trace's input and output, each, that search looks at."""
_MOST: Final = 2**63
_FACTS: Final = 100
FACT: Final = 200
"""Attributes of a root span that filters find without reading all of them, and characters of each."""
_ESCAPED: Final = re.compile(r"\\+u([0-9a-fA-F]{4})|\\+([\"/])")

_BY_WEEK: Final = "PARTITION BY (project_id, toYYYYMMDD(toMonday(toDateTime(intDiv(start_ns, 1000000000), 'UTC'))))"
"""noria.tracing.retention reads the partition's name and drops by it."""
_LOW: Final = "LowCardinality(String)"
_BIG: Final = "String CODEC(ZSTD(3))"
_FACTS_TYPE: Final = "Array(String) CODEC(ZSTD(3))"
_SPECIAL: Final = {
    **dict.fromkeys(("project_id", "kind", "status", "error_type", "endpoint", "arm", "provider"), _LOW),
    **dict.fromkeys(("requested_model", "served_model", "price_version", "prompt_name", "index_version"), _LOW),
    **dict.fromkeys(("input_messages", "output_messages", "parameters", "attributes", "error_message"), _BIG),
    **dict.fromkeys(("start_ns", "end_ns", "first_token_ns", "listed_ns"), "Int64 CODEC(Delta, ZSTD(1))"),
    "tags": "Array(String)",
}
_OF_TYPE: Final = {int: "Int64", bool: "Bool", str: "String"}
_JSON: Final = frozenset({"input_messages", "output_messages", "parameters", "attributes"})
_MADE_OF: Final[Mapping[str, Any]] = {
    **{f.name: (int, float) for f in fields(Span) if f.type in {int, bool}},
    **dict.fromkeys(("input_messages", "output_messages", "tags"), list),
    **dict.fromkeys(("parameters", "attributes"), dict),
}
_COUNTS: Final = ("listed_ns", "spans", "errors")
_TYPES: Final[Mapping[str, Any]] = {**{f.name: f.type for f in fields(Span)}, **dict.fromkeys(_COUNTS, int)}
WHOLE: Final = frozenset((*(f.name for f in (*fields(Span), *fields(Score)) if f.type is int), *_COUNTS))
"""Columns of whole numbers."""

SPAN_COLUMNS: Final = tuple(f.name for f in fields(Span))
TOP_COLUMNS: Final = ("project_id", "trace_id", "span_id", "name", "kind", "status_code", "error_type")
"""Columns of `traces` that are those of the span that the trace is named by."""
SUMMED: Final = ("input_tokens", "output_tokens", "cached_tokens", "cost_micros")
"""Those that are sums over its model calls."""
CALL_COLUMNS: Final = (
    *("span_id", "kind", "start_ns", "end_ns", "first_token_ns", "status", "endpoint", "release", "requested_release"),
    *("arm", "provider", "requested_model", "served_model", "prompt_name", "prompt_version", *SUMMED),
    *("cache_hit", "live"),
)
"""What `traces` holds of each model call, in arrays of equal length: figures are counted from these."""
MADE_COLUMNS: Final = ("preview_input", "preview_output", "text", "facts")
"""And what is made for reading: `facts` are attributes as "key=value", which `spans` has too."""
LISTED_COLUMNS: Final = (
    *TOP_COLUMNS,
    *("listed_ns", "start_ns", "end_ns", "first_token_ns", "status", "session_id", "subject_id", "key_id", "tags"),
    *("streamed", "live", "spans", "errors", *SUMMED),
)
TRACE_COLUMNS: Final = (*LISTED_COLUMNS, *MADE_COLUMNS, "version", *(f"calls.{name}" for name in CALL_COLUMNS))
_LISTED_AND_MADE: Final = (*LISTED_COLUMNS, *MADE_COLUMNS)
_OF_SPAN: Final = attrgetter(*SPAN_COLUMNS)
_KINDS: Final = tuple(_MADE_OF.get(name, str) for name in SPAN_COLUMNS)
_OF_CALL: Final = attrgetter(*CALL_COLUMNS)
_TEXTS_AT: Final = tuple(at for at, name in enumerate(SPAN_COLUMNS) if name in _JSON)
_TAGS_AT: Final = SPAN_COLUMNS.index("tags")
_WHOLE_AT: Final = tuple(at for at, name in enumerate(SPAN_COLUMNS) if name in WHOLE)
_LISTED_AT: Final = tuple(at for at, name in enumerate(_LISTED_AND_MADE) if name in WHOLE)
_CALLS_AT: Final = tuple(at for at, name in enumerate(CALL_COLUMNS) if name in WHOLE)
"""Places of the columns whose values are not written as they are: this is done for every span."""
SCORE_COLUMNS: Final = tuple(f.name for f in fields(Score))
CONTENT_COLUMNS: Final = (
    *("project_id", "trace_id", "span_id", "time_ns", "digest", "input_messages", "output_messages"),
)
"""`digest` tells events of one moment apart, and knows one that its client sends again."""


def select(columns: Sequence[str], rest: str) -> str:
    """A SELECT of our own columns; values never come in here, they are bound."""
    return f"SELECT {', '.join(columns)} {rest}"


def span_row(span: Span) -> list[Any]:
    """A row of `spans`: SPAN_COLUMNS, then `facts`. The span has passed `check`."""
    row = list(_OF_SPAN(span))
    for at in _TEXTS_AT:
        row[at] = _json(row[at])
    if span.tags:
        row[_TAGS_AT] = cell("tags", span.tags)
    _clamp(row, _WHOLE_AT)
    row.append(facts(span.attributes))
    return row


def trace_row(listed: Mapping[str, Any], version: int, made: Sequence[Span]) -> list[Any]:
    """A row of `traces` (TRACE_COLUMNS) of what is listed of it and its model calls, which have passed `check`."""
    row = [listed[name] for name in _LISTED_AND_MADE]
    _clamp(row, _LISTED_AT)
    arrays = [list(column) for column in zip(*map(_OF_CALL, made), strict=True)] or [[] for _ in CALL_COLUMNS]
    for at in _CALLS_AT:
        _clamp(arrays[at], range(len(made)))
    return [*row, version, *arrays]


def check(span: Span) -> None:
    """Raises TypeError for a span whose row or trace could not be written."""
    for name, kind, value in zip(SPAN_COLUMNS, _KINDS, _OF_SPAN(span), strict=True):
        if not isinstance(value, kind):
            raise TypeError(f"{name} is of another type")
    if not all(isinstance(message, dict) for message in (*span.input_messages, *span.output_messages)):
        raise TypeError("a message is an object")


def searchable(text: str) -> str:
    """`text` as search compares it: small letters, and Korean syllables whole however they were typed."""
    return unicodedata.normalize("NFC", text).lower()


def unescaped(text: str) -> str:
    """`text` with letters that JSON inside it writes as \\uXXXX, as clients of many languages do, and quotes as they are read."""
    if "\\" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def facts(attributes: Mapping[str, Any]) -> list[str]:
    """Attributes as "key=value", inner ones with dotted keys; the first _FACTS of them, cut short."""
    found: list[str] = []
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", attributes)]
    while waiting and len(found) < _FACTS:
        start, values = waiting.pop()
        for key, value in values.items():
            if isinstance(value, str):
                said = value
            elif type(value) is int:
                said = str(value)
            elif isinstance(value, Mapping):
                waiting.append((f"{start}{key}.", value))
                continue
            elif value is None:
                continue
            else:
                said = json.dumps(value, ensure_ascii=False, default=str)
            if len(found) == _FACTS:
                break
            found.append(f"{start}{key}={said}"[:FACT])
    return found


def score_row(score: Score) -> list[Any]:
    """A row of `scores`, in the order of SCORE_COLUMNS; a score without a key is its own key."""
    row = {name: getattr(score, name) for name in SCORE_COLUMNS}
    row["key"] = score.key or score.score_id
    row["number"] = None if score.number is None else float(score.number)
    return [row[name] if name == "number" else cell(name, row[name]) for name in SCORE_COLUMNS]


def span_of(row: Mapping[str, Any]) -> Span:
    """The span in a row of `spans`."""
    return Span.from_dict({k: json.loads(v) if k in _JSON else v for k, v in row.items()})


def score_of(row: Mapping[str, Any]) -> Score:
    """The score in a row of `scores`."""
    return Score.from_dict({**row, "attributes": json.loads(row.get("attributes") or "{}")})


def statements() -> Iterable[str]:
    """What makes the tables (noria.tracing.migrations)."""
    own = ", ".join(_column(name) for name in SPAN_COLUMNS)
    yield (
        f"CREATE TABLE IF NOT EXISTS spans ({own}, facts {_FACTS_TYPE},"
        " INDEX fact facts TYPE bloom_filter GRANULARITY 4,"
        " INDEX session session_id TYPE bloom_filter GRANULARITY 16,"
        " INDEX subject subject_id TYPE bloom_filter GRANULARITY 16)"
        f" ENGINE = ReplacingMergeTree {_BY_WEEK} ORDER BY (project_id, trace_id, span_id)"
        " SETTINGS index_granularity = 512"  # a trace is a few rows with large payloads
    )
    listed = ", ".join(_column(name) for name in LISTED_COLUMNS)
    called = ", ".join(_column(name, short=True) for name in CALL_COLUMNS)
    yield (
        f"CREATE TABLE IF NOT EXISTS traces ({listed}, version UInt64, preview_input {_BIG}, preview_output {_BIG},"
        f" text {_BIG}, facts {_FACTS_TYPE}, calls Nested({called}),"
        " INDEX trace trace_id TYPE bloom_filter GRANULARITY 2,"
        " INDEX session session_id TYPE bloom_filter GRANULARITY 2,"
        " INDEX subject subject_id TYPE bloom_filter GRANULARITY 2,"
        " INDEX fact facts TYPE bloom_filter GRANULARITY 2, INDEX tag tags TYPE bloom_filter GRANULARITY 2,"
        " INDEX words text TYPE text(tokenizer = ngrams(2)))"
        f" ENGINE = ReplacingMergeTree(version) {_BY_WEEK.replace('start_ns', 'listed_ns')}"
        " ORDER BY (project_id, listed_ns, trace_id)"
        " SETTINGS index_granularity = 512, min_compress_block_size = 32768"  # a list takes rows from all over
    )
    yield (
        f"CREATE TABLE IF NOT EXISTS contents (project_id {_LOW}, trace_id String, span_id String, time_ns Int64,"
        f" digest String, input_messages {_BIG}, output_messages {_BIG}) ENGINE = ReplacingMergeTree"
        f" {_BY_WEEK.replace('start_ns', 'time_ns')} ORDER BY (project_id, trace_id, span_id, time_ns, digest)"
    )
    # Who carries into this store now, by the store's own clock: noria.tracing.second_look.
    yield (
        "CREATE TABLE IF NOT EXISTS carriers (carrier String, at DateTime DEFAULT now())"
        " ENGINE = ReplacingMergeTree ORDER BY carrier TTL at + INTERVAL 1 DAY"
    )
    kinds = {f.name: "Int64" if f.name == "time_ns" else "String" for f in fields(Score)}
    kinds |= {"number": "Nullable(Float64)", "project_id": _LOW, "name": _LOW, "source": _LOW, "label": _LOW}
    kinds |= {"value_type": _LOW}
    columns = ", ".join(f"{name} {kinds[name]}" for name in SCORE_COLUMNS)
    # Not cut: the last score under a key replaces an earlier one of another week.
    yield (
        f"CREATE TABLE IF NOT EXISTS scores ({columns}, INDEX time time_ns TYPE minmax GRANULARITY 1)"
        " ENGINE = ReplacingMergeTree(time_ns) ORDER BY (project_id, trace_id, name, key)"
    )


def _column(name: str, *, short: bool = False) -> str:
    """The definition of a column; `short` for the arrays of calls, whose values take no codec."""
    type_ = _SPECIAL.get(name) or _OF_TYPE.get(_TYPES.get(name, str), "String")
    return f"{name} {type_.split(' CODEC')[0] if short else type_}"


def cell(name: str, value: Any) -> Any:
    """`value` as its column takes it: a record of another dialect must not stop the ones beside it."""
    if name in _JSON:
        return _json(value)
    if isinstance(value, bool):
        return value
    if name in WHOLE:
        return _within(value)
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return str(value)


def _clamp(row: list[Any], places: Iterable[int]) -> None:
    """Bring whole numbers at these places into 64 bits."""
    for at in places:
        value = row[at]
        if type(value) is not int or not -_MOST <= value < _MOST:
            row[at] = _within(value)


def _within(value: float) -> int:
    return max(-_MOST, min(int(value), _MOST - 1))


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # whole numbers beyond 64 bits, keys that are no texts, half a surrogate pair
        return json.dumps(value, ensure_ascii=False, default=str)


def text_of(messages: Sequence[Message]) -> str:
    """What people would read in these messages."""
    return "\n".join(filter(None, (_said(message.get("content"), message) for message in messages)))


def _said(content: Any, message: Message) -> str:
    if isinstance(content, str) and content:
        return content
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and part.get("text"))
    calls = message.get("tool_calls")
    return json.dumps(calls, ensure_ascii=False) if calls else ""
