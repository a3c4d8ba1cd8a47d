"""Files in, examples out, as a stream: JSONL in the chat fine-tuning shape, CSV, Parquet.

A line that cannot become an example is refused with its number and the reason, kept aside in full, and the import goes on; it
fails as a whole only when too many are refused, because then the file is probably not what it was taken for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from noria.core.errors import BadInput
from noria.datasets import delimited, encodings, shapes
from noria.datasets.delimited import open_text
from noria.datasets.records import Example, file_row_id
from noria.datasets.shapes import Columns, Refused

LISTED = 100
MAX_REFUSED_SHARE = 0.1
TOLERATED = 10
"""So many lines may always be refused, however small the file, as long as some row is left."""
_KEPT_CHARACTERS = 2_000
_SPLIT = re.compile(r"[\w.-]{1,32}")
_SPLITS = {"train": "train", "test": "test", "valid": "validation", "dev": "validation", "eval": "test"}


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of an import: where it lies, its sha256, what its owner called it, the split of its rows."""

    path: Path
    digest: str
    name: str
    split: str


@dataclass(slots=True)
class FileReport:
    """What became of one file. `rows` were taken, `refused` lines were not."""

    name: str
    digest: str
    split: str
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows: int = 0
    refused: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    """A record on its way, before it is an example. `lines` is how many lines of the file it takes."""

    line: int
    record: Any
    text: str
    problem: str = ""
    hint: str = ""
    lines: int = 1


class Import:
    """One run over the files of an import. Iterate `examples()` once; `report` is filled meanwhile."""

    def __init__(
        self, files: list[Upload], mapping: Mapping[str, Any], refused: BinaryIO, max_refused: float = MAX_REFUSED_SHARE
    ) -> None:
        """Refused lines are written in full to `refused`, as JSONL. Raises BadInput when the files cannot be told apart."""
        for number, upload in enumerate(files):
            for earlier in files[:number]:
                if upload.digest == earlier.digest:
                    raise BadInput(
                        f"{earlier.name} and {upload.name} are the same file.",
                        hint="Send it once; a row must not stand in two splits.",
                    )
        self.files, self.refused_out, self.max_refused = files, refused, max_refused
        self.mapping = shapes.parse_mapping(mapping)
        self.report: dict[str, Any] = {
            "files": [],
            "rows": 0,
            "refused": 0,
            "refused_lines": [],
            "duplicate_ids": {"count": 0, "first": []},
        }
        self._ids: dict[bytes, tuple[str, int]] = {}

    def examples(self) -> Iterator[Example]:
        """All rows of all files in order. Raises BadInput naming file and line."""
        for upload in self.files:
            about = FileReport(upload.name, upload.digest, upload.split)
            yield from self._file(upload, about)
            self.report["files"].append(asdict(about))
            self._judge(about)

    def _file(self, upload: Upload, about: FileReport) -> Iterator[Example]:
        if upload.path.stat().st_size == 0:
            raise BadInput(f"{upload.name} is empty.", hint="Nothing was imported. Send a file with rows.")
        for row in _rows(upload, about, self.mapping):
            if row.problem:
                self._refuse(upload, about, row)
                continue
            columns = Columns(**about.columns) if about.columns else self.mapping
            try:
                convert = shapes.from_columns if columns.text else shapes.from_chat
                messages, meta = convert(row.record, columns)
                split = _split(row.record, columns, upload.split)
            except Refused as refused:
                row.problem, row.hint = str(refused), refused.hint
                self._refuse(upload, about, row)
                continue
            about.rows += 1
            self.report["rows"] += 1
            self._note_id(upload, row.line, meta)
            source = {"file": upload.digest, "name": upload.name, "line": row.line}
            yield Example(file_row_id(upload.digest, row.line), split, messages, meta, source)

    def _refuse(self, upload: Upload, about: FileReport, row: _Row) -> None:
        about.refused += row.lines
        self.report["refused"] += row.lines
        entry = {"file": upload.name, "line": row.line, "reason": row.problem, "hint": row.hint}
        if len(self.report["refused_lines"]) < LISTED:
            self.report["refused_lines"].append(entry)
        text = row.text.encode("utf-8", "backslashreplace").decode()
        self.refused_out.write(orjson.dumps({**entry, "text": text}) + b"\n")

    def _note_id(self, upload: Upload, line: int, meta: Mapping[str, Any]) -> None:
        if (given := meta.get("id")) in (None, ""):
            return
        key = str(given).encode("utf-8", "replace")
        if (first := self._ids.get(key)) is None:
            self._ids[key] = (upload.name, line)
            return
        found = self.report["duplicate_ids"]
        found["count"] += 1
        if len(found["first"]) < LISTED:
            found["first"].append(
                {"id": str(given), "file": upload.name, "line": line, "first_file": first[0], "first_line": first[1]}
            )

    def _judge(self, about: FileReport) -> None:
        """Fail when more was refused than may be."""
        total = about.rows + about.refused
        first = self.report["refused_lines"][0] if self.report["refused_lines"] else None
        if total == 0:
            raise BadInput(
                f"{about.name} has no rows.", hint="Nothing was imported. Is there more than the line of columns?"
            )
        if about.rows and about.refused <= max(TOLERATED, self.max_refused * total):
            return
        where = next((entry for entry in self.report["refused_lines"] if entry["file"] == about.name), first)
        cause = f" The first is line {where['line']}: {where['reason']}." if where else ""
        hint = f"{where['hint']} Nothing was imported." if where and where["hint"] else "Nothing was imported."
        raise BadInput(f"{about.name}: {about.refused} of {total} lines cannot be used.{cause}", hint=hint)


def guess_split(name: str) -> str:
    """The split that a file's name speaks of; train when it speaks of none."""
    words = re.split(r"[^a-z]+", Path(name).name.casefold())
    return next((split for word in words for start, split in _SPLITS.items() if word.startswith(start)), "train")


def check_split(split: str) -> str:
    """Raises BadInput for a name that cannot be a split's."""
    if not _SPLIT.fullmatch(split):
        raise BadInput(
            f"{split[:80]!r} cannot be the name of a split.", hint="Use train, validation or test, for example."
        )
    return split


def _rows(upload: Upload, about: FileReport, mapping: Columns) -> Iterator[_Row]:
    about.format = _format(upload)
    if about.format == "parquet":
        return _parquet_rows(upload, about, mapping)
    encoding = encodings.detect(upload.path)
    about.encoding = encoding.name
    if encoding.note:
        about.notes.append(encoding.note)
    if about.format == "jsonl":
        return _json_rows(upload, encoding)
    return _csv_rows(upload, about, encoding, mapping)


def _json_rows(upload: Upload, encoding: encodings.Encoding) -> Iterator[_Row]:
    with open_text(upload.path, encoding) as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text:
                continue
            row = _Row(number, None, text[:_KEPT_CHARACTERS])
            if broken := encodings.broken_bytes(text):
                row.problem, row.hint = f"bytes that are not UTF-8: {broken}", "Save the file as UTF-8."
            else:
                try:
                    row.record = orjson.loads(text)
                except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
                    row.problem = f"not JSON: {error}"
                    row.hint = _json_hint(text, number)
                else:
                    if not isinstance(row.record, dict):
                        row.problem, row.hint = "not a JSON object", 'Each line must be an object: {"messages": […]}.'
            yield row


def _json_hint(text: str, number: int) -> str:
    if number == 1 and text.startswith("["):
        return "The file looks like one JSON array; JSONL has one object on each line, without brackets and commas between."
    if text.startswith("{") and not text.endswith("}"):
        return "The object does not end on this line; JSONL has one object on each line."
    return "Each line must be one JSON object."


def _csv_rows(upload: Upload, about: FileReport, encoding: encodings.Encoding, mapping: Columns) -> Iterator[_Row]:
    dialect = delimited.detect(upload.path, encoding)
    about.delimiter = dialect.delimiter
    try:
        names = delimited.header(upload.path, encoding, dialect)
        about.columns = asdict(shapes.complete_mapping(mapping, names))
    except BadInput as error:
        raise BadInput(f"{upload.name}: {error.message}", hint=error.hint) from error
    records = delimited.read(upload.path, encoding, dialect)
    next(records)
    for record in records:
        row = _Row(record.line, None, dialect.delimiter.join(record.fields)[:_KEPT_CHARACTERS], lines=record.lines)
        if record.problem:
            row.problem, row.hint = record.problem, record.hint
        elif broken := encodings.broken_bytes("".join(record.fields)):
            row.problem, row.hint = f"bytes that are not UTF-8: {broken}", "Save the file as UTF-8."
        elif len(record.fields) != len(names):
            row.problem = f"{len(record.fields)} fields, but {len(names)} columns"
            row.hint = f"A field that holds {dialect.delimiter!r} must stand in quotes."
        else:
            row.record, row.lines = dict(zip(names, record.fields, strict=True)), 1
        if row.problem and not record.problem:
            row.lines = 1
        yield row


def _parquet_rows(upload: Upload, about: FileReport, mapping: Columns) -> Iterator[_Row]:
    import pyarrow

    from noria.datasets import parquet

    try:
        about.columns = asdict(shapes.complete_mapping(mapping, parquet.foreign_columns(upload.path)))
        for number, record in enumerate(parquet.foreign_records(upload.path), 1):
            yield _Row(number, _plain(record), "")
    except pyarrow.ArrowException as error:
        raise BadInput(
            f"{upload.name} is not a Parquet file that can be read: {error}", hint="Nothing was imported."
        ) from error
    except BadInput as error:
        raise BadInput(f"{upload.name}: {error.message}", hint=error.hint) from error


def _plain(value: Any) -> Any:
    """The value as JSON has it: Arrow's structs carry fields that are None, and times and decimals are text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _format(upload: Upload) -> str:
    """jsonl, csv or parquet: by what the file begins with, then by its name."""
    with upload.path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PAR1") or upload.name.casefold().endswith(".parquet"):
        return "parquet"
    suffix = Path(upload.name.casefold()).suffix
    if suffix in {".csv", ".tsv"}:
        return "csv"
    if suffix in {".jsonl", ".ndjson", ".json"} or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return "jsonl"
    if head.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF")) or (
        b"\x00" in head and head[:2] not in (b"\xff\xfe", b"\xfe\xff")
    ):
        raise BadInput(
            f"{upload.name} is not a text file.",
            hint="Nothing was imported. Send JSONL, CSV or Parquet, not an archive or a sheet.",
        )
    return "csv"


def _split(record: Mapping[str, Any], columns: Columns, default: str) -> str:
    if not columns.split or record.get(columns.split) in (None, ""):
        return default
    value = str(record[columns.split]).strip()
    if not _SPLIT.fullmatch(value):
        raise Refused(f"{value[:40]!r} cannot be the name of a split", "Use train, validation or test.")
    return value
