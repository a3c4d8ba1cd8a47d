"""CSV and its relatives: a text file in, records with their line numbers out, read as a stream.

Delimiter and quote are chosen by parsing the beginning with each candidate: the one whose rows agree on a number of columns
above one wins, more columns before fewer. A record that cannot be parsed is given back as a problem, not raised.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from noria.core.errors import BadInput
from noria.datasets.encodings import Encoding

FIELD_LIMIT = 8 << 20
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file separates its columns. `quote` is empty when quotes are ordinary letters."""

    delimiter: str
    quote: str = '"'


@dataclass(frozen=True, slots=True)
class Record:
    """One row: the line on which it begins, how many lines it takes, its fields; or what is wrong with it."""

    line: int
    lines: int
    fields: list[str]
    problem: str = ""
    hint: str = ""


def detect(path: Path, encoding: Encoding) -> Dialect:
    """The dialect of the file's beginning; a comma when there is only one column."""
    with open_text(path, encoding) as file:
        lines = list(islice(file, _SAMPLE))
    if any("\t" in line for line in lines[:1]) and len({line.count("\t") for line in lines if line.strip()}) == 1:
        # Every line has as many tabs as the first: quotes do not hide any, so they are letters of the text.
        odd = any(line.count('"') % 2 for line in lines)
        return Dialect("\t", "" if odd else '"')
    ranked = [
        (_agreement(lines, Dialect(mark, quote)), Dialect(mark, quote)) for quote in "\"'" for mark in _DELIMITERS
    ]
    best, dialect = max(ranked, key=lambda entry: entry[0])
    return dialect if best[1] > 1 else Dialect(",")


def read(path: Path, encoding: Encoding, dialect: Dialect) -> Iterator[Record]:
    """All records, the header first. Blank lines are passed over."""
    csv.field_size_limit(FIELD_LIMIT)
    with open_text(path, encoding) as file:
        reader = _reader(file, dialect)
        while True:
            before = reader.line_num
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                taken = max(1, reader.line_num - before)
                yield Record(before + 1, taken, [], *_explain(str(error), before + 1, taken))
                continue
            if fields and any(field.strip() for field in fields):
                yield Record(before + 1, reader.line_num - before, fields)


def open_text(path: Path, encoding: Encoding) -> TextIO:
    """The file as text; bytes that the encoding cannot read become lone surrogates, so that only their rows are refused."""
    errors = "surrogateescape" if encoding.name.startswith("utf-8") else "replace"
    return path.open(encoding=encoding.name, errors=errors, newline="")


def header(path: Path, encoding: Encoding, dialect: Dialect) -> list[str]:
    """The names of the columns. Raises BadInput when there is no usable first line."""
    first = next(read(path, encoding, dialect), None)
    if first is None or first.problem:
        raise BadInput("The file has no line that names its columns.", hint="The first line must name the columns.")
    names = [name.strip() for name in first.fields]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"The column {repeated[0]!r} stands twice in the first line.", hint="Rename one of them.")
    return names


def _agreement(lines: list[str], dialect: Dialect) -> tuple[float, int]:
    """(share of rows with as many columns as the first, columns): larger is more believable."""
    try:
        rows = [row for row in _reader(io.StringIO("".join(lines), newline=""), dialect) if row]
    except csv.Error:
        rows = []
    if not rows or (dialect.quote == "'" and not any(line.startswith("'") or ",'" in line for line in lines[1:4])):
        return 0.0, 0
    width = len(rows[0])
    return (0.0, 1) if width == 1 else (round(sum(len(row) == width for row in rows) / len(rows), 1), width)


def _reader(file: TextIO, dialect: Dialect) -> "csv._reader":  # type: ignore[name-defined]
    if not dialect.quote:
        return csv.reader(file, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(file, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)


def _explain(error: str, line: int, taken: int) -> tuple[str, str]:
    if "end of data" in error:
        return (
            f"a quote that opens on line {line} is never closed; it swallowed {taken} lines up to the end of the file",
            'Close it, or write a quote inside a field as "".',
        )
    if "field limit" in error or "field larger" in error:
        return f"a field is larger than {FIELD_LIMIT >> 20} MB", "A quote may be open; close it."
    return f"the quotes do not match ({error})", 'Write a quote inside a field as "".'
