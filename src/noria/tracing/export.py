"""Everything that a filter lets through, as a stream: JSON lines or Parquet, newest trace first, never all of it in memory.

A line is {"type": "span" | "score", …} as in the journal, and after each piece {"type": "cursor", "next": …}: whoever was cut off
goes on from the last one. Parquet holds the spans, their messages and attributes as JSON text.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal

import orjson

from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import reading, schema, service
from noria.tracing.conditions import Where
from noria.web.paging import cut, decode

Format = Literal["jsonl", "parquet"]
MEDIA: Final[dict[Format, str]] = {
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_TRACES: Final = 200
_SPANS: Final = 2_000


def stream(stores: Stores, project_id: str, which: Where, form: Format, cursor: str | None = None) -> Iterator[bytes]:
    """The bytes of an export. Raises BadInput for a cursor that is not ours, before anything is read; then Unavailable."""
    decode(cursor, int, str)
    lines = _jsonl if form == "jsonl" else _parquet
    return lines(stores, project_id, which, cursor)


def _pieces(
    stores: Stores, project_id: str, which: Where, cursor: str | None
) -> Iterator[tuple[list[str], str | None]]:
    """(ids of traces, cursor of what follows)."""
    while True:
        rows = reading.newest(stores, project_id, which, limit=_TRACES + 1, cursor=cursor)
        page = cut(rows, _TRACES, lambda row: (row["listed_ns"], row["trace_id"]))
        if page.items:
            yield list(dict.fromkeys(row["trace_id"] for row in page.items)), page.next
        if (cursor := page.next) is None:
            return


def _rows(stores: Stores, project_id: str, traces: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows of `spans` of these traces, by trace and span."""
    after = ("", "")
    wanted = (
        f"{reading.OF_TRACES} AND (trace_id, span_id) > ({{trace:String}}, {{span:String}})"
        " ORDER BY trace_id, span_id LIMIT {most:UInt32}"
    )
    while True:
        values = {"project": project_id, "traces": traces, "trace": after[0], "span": after[1], "most": _SPANS}
        rows = reading.ask(stores, schema.select(schema.SPAN_COLUMNS, wanted), values)
        if rows:
            yield rows
        if len(rows) < _SPANS:
            return
        after = rows[-1]["trace_id"], rows[-1]["span_id"]


def _jsonl(stores: Stores, project_id: str, which: Where, cursor: str | None) -> Iterator[bytes]:
    for traces, following in _pieces(stores, project_id, which, cursor):
        for rows in _rows(stores, project_id, traces):
            yield b"".join(_line({"type": "span", **schema.span_of(row).to_dict()}) for row in rows)
        for scores in service.scores_of(stores, project_id, traces).items():
            yield b"".join(_line({"type": "score", "trace_id": scores[0], **_plain(score)}) for score in scores[1])
        yield _line({"type": "cursor", "next": following})


def _parquet(stores: Stores, project_id: str, which: Where, cursor: str | None) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {int: pa.int64(), bool: pa.bool_()}
    types = {name: kinds.get(Span.__dataclass_fields__[name].type, pa.string()) for name in schema.SPAN_COLUMNS}  # type: ignore[arg-type]
    types["tags"] = pa.list_(pa.string())
    shape = pa.schema(list(types.items()))
    sink = _Sink()
    with pq.ParquetWriter(sink, shape, compression="zstd") as writer:
        for traces, _ in _pieces(stores, project_id, which, cursor):
            for rows in _rows(stores, project_id, traces):
                writer.write_table(pa.Table.from_pylist(rows, schema=shape))
                yield sink.taken()
    yield sink.taken()


class _Sink:
    """A file that is only written; what was written is taken away piece by piece."""

    closed = False

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._waiting.append(piece)
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data


def _plain(score: Any) -> dict[str, Any]:
    return {name: getattr(score, name) for name in score.__dataclass_fields__ if getattr(score, name) not in (None, "")}


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_APPEND_NEWLINE)
