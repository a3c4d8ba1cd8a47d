"""The rows of an export, whatever it is written in: JSON lines, JSON, CSV or Parquet, compressed with gzip or not.

In: a file of any size. Out: its rows one by one, with the place of each, so that never more than a row and what is read ahead is in
memory. A row that cannot be read is told and does not stop the ones behind it. Pages of an API ({"data": [...]}) and the ways in which
data frames become JSON are taken apart into their rows.
"""

import codecs
import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from noria.core.errors import BadInput
from noria.tracing.imports.items import Row

LONGEST: Final = 64 * 1024 * 1024
"""Bytes of one row; a longer one is told and passed over."""
_CHUNK: Final = 1024 * 1024
_AT_ONCE: Final = 200
_BETWEEN: Final = re.compile(r"[\s,\]]*")
_HOLDERS: Final = ("data", "traces", "observations", "runs", "spans", "scores", "feedback", "items", "annotations")
_OWN: Final = frozenset({"id", "trace_id", "traceId", "info", "context", "span_id", "resourceSpans", "request_id"})
"""Names of a row's own; an object that has one is no page."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row (`value`), or why there is none (`problem`). `place` is a line of text, else the number of the row."""

    place: int
    value: Row | None
    problem: str = ""


class Rows:
    """The rows of one file; `read` tells how many of its `size` bytes are behind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = max(path.stat().st_size, 1)
        self.format = ""

    @property
    def read(self) -> int:
        return min(self._file.tell(), self.size) if not self._file.closed else self.size

    def __iter__(self) -> Iterator[Found]:
        """Raises BadInput for a file of no known format."""
        with self._file:
            start = self._file.read(4)
            self._file.seek(0)
            if start == b"PAR1":
                self.format = "Parquet"
                yield from _parquet(self._file)
                return
            packed = start[:2] == b"\x1f\x8b"
            plain = cast(io.BufferedReader, gzip.GzipFile(fileobj=self._file)) if packed else self._file
            try:
                yield from self._text(plain)
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                if not packed:
                    raise
                yield Found(0, None, f"the file is cut off or broken from here on ({type(error).__name__})")

    def _text(self, buffered: io.BufferedReader) -> Iterator[Found]:
        mark = buffered.peek(3)[:3]
        if mark == b"\xef\xbb\xbf":
            buffered.read(3)
        first = _skip_space(buffered)
        if not first:
            raise BadInput("The file is empty.", hint="Nothing of it was imported. Give a file with rows.")
        if first == b"[":
            self.format = "JSON"
            yield from _unfolded(_array(buffered))
        elif first == b"{":
            self.format = "JSON"
            yield from _unfolded(_lines(buffered))
        else:
            self.format = "CSV"
            yield from _csv(buffered)


def _skip_space(file: io.BufferedReader) -> bytes:
    """The first byte that is no space, left in the file."""
    while ahead := file.peek(1)[:1]:
        if not ahead.isspace():
            return ahead
        file.read(1)
    return b""


def _lines(file: io.BufferedReader) -> Iterator[Found]:
    """Objects, one a line; when the first line is not a whole one, objects that go over lines."""
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) >= LONGEST and not line.endswith(b"\n"):
            while (more := file.readline(LONGEST)) and not more.endswith(b"\n"):
                pass
            yield Found(number, None, f"it is longer than {LONGEST >> 20} MB")
            continue
        if not line.strip():
            continue
        try:
            value = _parsed(line)
        except ValueError:
            if number == 1 and file.peek(1):
                yield from _values(line.decode("utf-8", "replace"), file, 0)
                return
            yield Found(number, None, "it is not JSON")
            continue
        yield _found(number, value)


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        return json.loads(line)  # NaN and the like, as Python writes them


def _array(file: io.BufferedReader) -> Iterator[Found]:
    file.read(1)
    yield from _values("", file, 0)


def _values(text: str, file: io.BufferedReader, number: int) -> Iterator[Found]:
    """JSON values behind one another, with or without commas; what cannot be read ends the file."""
    decoder, letters = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace")
    at, wanted = 0, _CHUNK
    while True:
        at = cast("re.Match[str]", _BETWEEN.match(text, at)).end()
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            more = file.read(wanted)
            if not more or len(text) - at > LONGEST:
                if text[at:].strip():
                    yield Found(number + 1, None, "from here on the file is not JSON, or one row is too long")
                return
            # a row longer than what was read is tried again, with twice as much
            text, at, wanted = text[at:] + letters.decode(more), 0, min(wanted * 2, LONGEST)
            continue
        number, wanted = number + 1, _CHUNK
        yield _found(number, value)


def _found(place: int, value: Any) -> Found:
    return Found(place, value) if isinstance(value, dict) else Found(place, None, "it is no object")


def _unfolded(found: Iterator[Found]) -> Iterator[Found]:
    """Pages as their rows."""
    for one in found:
        if one.value is None:
            yield one
            continue
        for value in _rows_of(one.value):
            yield _found(one.place, value)


def _rows_of(value: Row) -> Iterator[Any]:
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):  # pandas, orient="split"
        for cells in value["data"]:
            yield dict(zip(value["columns"], cells, strict=False)) if isinstance(cells, list) else cells
    elif held := _frame(value):
        for number in held:
            yield {name: column.get(number) for name, column in value.items()}
    elif not value.keys() & _OWN and (name := next((n for n in _HOLDERS if isinstance(value.get(n), list)), "")):
        yield from value[name]
    else:
        yield value


def _frame(value: Row) -> list[str]:
    """The row numbers of a data frame that was written column by column; [] when it is none."""
    columns = list(value.values())
    if len(columns) < 2 or not all(isinstance(column, dict) and column for column in columns):
        return []
    numbers = list(columns[0])
    return numbers if all(number.isdecimal() for number in numbers) else []


def _csv(file: io.BufferedReader) -> Iterator[Found]:
    csv.field_size_limit(LONGEST)
    reader = csv.DictReader((line.decode("utf-8", "replace") for line in file), restkey="")
    names = reader.fieldnames or []
    if len(names) < 2:
        raise BadInput(
            "The file is neither JSON, nor CSV with a line of names, nor Parquet.", hint="Nothing of it was imported."
        )
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Found(reader.line_num, None, f"it is no row of CSV: {error}")
            continue
        yield Found(reader.line_num, {name: cell for name, cell in row.items() if name and cell})


def _parquet(file: BinaryIO) -> Iterator[Found]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        held = pyarrow.parquet.ParquetFile(file)
        for batch in held.iter_batches(batch_size=_AT_ONCE):
            for row in batch.to_pylist(maps_as_pydicts="lossy"):
                number += 1
                yield Found(number, {str(name): value for name, value in row.items() if value is not None})
    except (pyarrow.ArrowException, OSError) as error:
        yield Found(number + 1, None, f"from here on the Parquet file cannot be read ({type(error).__name__})")


def few(path: Path, most: int = 20) -> list[Mapping[str, Any]]:
    """The first rows, to tell what the file is."""
    found: list[Mapping[str, Any]] = []
    for one in Rows(path):
        if one.value is not None:
            found.append(one.value)
        if len(found) >= most or one.place > most * 10:
            break
    return found
