"""Rows on disk: examples in, Parquet parts out, and back. The only module here that imports pyarrow.

A part has at most `PART_ROWS` rows in row groups of `GROUP_ROWS`; messages, meta and source are JSON text, because tool
calls and meta have no fixed shape. Readers decode one row group at a time, so that the server, which browses versions, never
holds more than that (measured in the server: importing pyarrow costs 10 MB of anonymous memory, a page of rows 2 MB).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from noria.datasets.records import Example

PART_ROWS = 50_000
GROUP_ROWS = 2_000
_SCHEMA = pa.schema([(name, pa.string()) for name in ("row_id", "split", "messages", "meta", "source")])
pa.set_memory_pool(pa.system_memory_pool())  # the default pool keeps what it once held; the server must give it back
pa.set_cpu_count(1)  # one small group at a time: more threads cost memory and gain nothing
pa.set_io_thread_count(1)


@dataclass(slots=True)
class Parts:
    """What was written: files in order, and what they hold."""

    paths: list[Path] = field(default_factory=list)
    rows: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    digest: str = ""


def write_parts(folder: Path, examples: Iterable[Example]) -> Parts:
    """Write the examples in their order as parts in `folder`; the digest is over row ids, splits, messages and meta."""
    parts, content = Parts(), hashlib.sha256()
    writer: Any = None
    try:
        for group in _groups(examples, GROUP_ROWS):
            if writer is None:
                parts.paths.append(folder / f"part-{len(parts.paths):05d}.parquet")
                writer = pq.ParquetWriter(parts.paths[-1], _SCHEMA, compression="zstd")
            writer.write_table(_table(group, content))
            parts.rows += len(group)
            for example in group:
                parts.splits[example.split] = parts.splits.get(example.split, 0) + 1
            if parts.rows % PART_ROWS == 0:
                writer.close()
                writer = None
    finally:
        if writer is not None:
            writer.close()
    parts.digest = content.hexdigest()
    return parts


def read(
    paths: Sequence[Path], *, start: int = 0, split: str | None = None, contains: str = ""
) -> Iterator[tuple[int, Example]]:
    """(position, example) from row `start` on, of one split, whose messages contain a text (upper and lower case alike)."""
    needle = contains.casefold()
    for base, table in _tables(paths, start, split):
        columns = [table.column(name).to_pylist() for name in _SCHEMA.names]
        for offset, (row_id, of, messages, meta, source) in enumerate(zip(*columns, strict=True)):
            if base + offset < start or (split is not None and of != split):
                continue
            decoded = orjson.loads(messages)
            if needle and not _mentions(decoded, needle):
                continue
            yield base + offset, Example(row_id, of, decoded, orjson.loads(meta), orjson.loads(source))


def at(paths: Sequence[Path], positions: Sequence[int]) -> dict[int, Example]:
    """The examples at these positions."""
    wanted, found = sorted(set(positions)), {}
    for base, file, group, count in _row_groups(paths):
        here = [position for position in wanted if base <= position < base + count]
        if not here:
            continue
        taken = file.read_row_group(group).take([position - base for position in here])
        for position, row in zip(here, taken.to_pylist(), strict=True):
            found[position] = _example(row)
    return found


def find(paths: Sequence[Path], row_id: str) -> int | None:
    """The position of a row, or None. Reads only the column of ids."""
    for base, file, group, _ in _row_groups(paths):
        position = pc.index(file.read_row_group(group, columns=["row_id"]).column(0), row_id).as_py()
        if position >= 0:
            return base + int(position)
    return None


def count(paths: Sequence[Path], row_ids: frozenset[str]) -> int:
    """How many rows have one of these ids. Reads only the column of ids."""
    groups = (file.read_row_group(group, columns=["row_id"]).column(0) for _, file, group, _ in _row_groups(paths))
    return sum(row_id in row_ids for column in groups for row_id in column.to_pylist())


def of_traces(paths: Sequence[Path], trace_ids: frozenset[str]) -> set[str]:
    """The ids of the rows that came from one of these traces. Reads their sources, not their messages."""
    found: set[str] = set()
    for _, file, group, _ in _row_groups(paths):
        table = file.read_row_group(group, columns=["row_id", "source"])
        for row_id, source in zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True):
            if '"trace_id"' in source and orjson.loads(source).get("trace_id") in trace_ids:
                found.add(row_id)
    return found


def ids(paths: Sequence[Path]) -> set[str]:
    """The ids of all rows. Reads only their column."""
    found: set[str] = set()
    for _, file, group, _ in _row_groups(paths):
        found.update(file.read_row_group(group, columns=["row_id"]).column(0).to_pylist())
    return found


def write_records(path: Path, records: Iterable[dict[str, Any]], columns: dict[str, str]) -> int:
    """Flat records as one Parquet file; `columns` maps each name to "text" or "number". Returns how many there were."""
    kinds = {"text": pa.string(), "number": pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(records, GROUP_ROWS):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def read_records(
    path: Path, *, start: int = 0, keep: Callable[[dict[str, Any]], bool] = lambda _: True
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(position, record) from `start` on."""
    for base, file, group, count in _row_groups([path]):
        if base + count <= start:
            continue
        for offset, record in enumerate(file.read_row_group(group).to_pylist()):
            if base + offset >= start and keep(record):
                yield base + offset, record


def foreign_records(path: Path, batch: int = 2_000) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file that somebody else wrote. Raises pyarrow.ArrowException when it cannot be read."""
    with pq.ParquetFile(path) as file:
        for chunk in file.iter_batches(batch_size=batch):
            yield from chunk.to_pylist()


def foreign_columns(path: Path) -> list[str]:
    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names)


def _tables(paths: Sequence[Path], start: int, split: str | None) -> Iterator[tuple[int, Any]]:
    for base, file, group, count in _row_groups(paths):
        if base + count <= start:
            continue
        if split is not None:
            statistics = file.metadata.row_group(group).column(_SCHEMA.names.index("split")).statistics
            if statistics is not None and statistics.has_min_max and not statistics.min <= split <= statistics.max:
                continue
        yield base, file.read_row_group(group, use_threads=False)


def _row_groups(paths: Sequence[Path]) -> Iterator[tuple[int, Any, int, int]]:
    """(position of its first row, file, number, rows) of each row group."""
    base = 0
    for path in paths:
        with pq.ParquetFile(path, memory_map=True) as file:
            for group in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                yield base, file, group, count
                base += count


def _table(group: list[Example], content: Any) -> Any:
    columns: list[list[str]] = [[], [], [], [], []]
    for example in group:
        messages, meta, source = (_json(part) for part in (example.messages, example.meta, example.source))
        content.update(b"\x1f".join((example.row_id.encode(), example.split.encode(), messages, meta)) + b"\n")
        row = (example.row_id, example.split, messages.decode(), meta.decode(), source.decode())
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], schema=_SCHEMA)


def _example(row: dict[str, str]) -> Example:
    messages, meta, source = (orjson.loads(row[name]) for name in ("messages", "meta", "source"))
    return Example(row["row_id"], row["split"], messages, meta, source)


def _mentions(messages: list[dict[str, Any]], needle: str) -> bool:
    return any(
        needle in str(message.get("content") or message.get("tool_calls") or "").casefold() for message in messages
    )


def _groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
