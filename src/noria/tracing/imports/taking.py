"""Takes the exports of another tool into a project: read, mapped as what OpenTelemetry clients send, and journalled.

In: files and the name of the tool, or "auto". Out: a tally. Nothing is written twice: ids are made from the rows alone, so a second import
of the same file, or the rest of one that was killed, adds only what is missing. `state` is where an import tells how far it is; started
again with it, it passes over what is in the journal already.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from noria.core import clock, ids
from noria.core.errors import BadInput
from noria.core.records import Score
from noria.governance import projects
from noria.stores.connect import Stores
from noria.tracing.estimates import estimates
from noria.tracing.imports import langfuse, langsmith, mlflow, otlp, phoenix
from noria.tracing.imports.items import Item, Judgement, Reader
from noria.tracing.imports.rows import Found, Rows, few
from noria.tracing.otlp.ingest import as_record
from noria.tracing.otlp.raw import EARLIEST, Raw, Refused, check, check_ids

TOOLS: Final = ("langfuse", "mlflow", "phoenix", "langsmith", "otlp")
_FITS: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "otlp": otlp.fits,
    "phoenix": phoenix.fits,
    "langsmith": langsmith.fits,
    "mlflow": mlflow.fits,
    "langfuse": langfuse.fits,
}
"""From the one that is most easily told to the one that is hardest to tell."""
_AT_ONCE: Final = 500
_BYTES: Final = 4 * 1024 * 1024
_PLACES: Final = 10
_REASONS: Final = 50
_BACKLOG: Final = 512 * 1024 * 1024
_LONGEST: Final = 10_000
_DAY: Final = 86_400 * 10**9

Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class Tally:
    """What came of an import; with `dry_run` what would come of it."""

    tool: str = ""
    rows: int = 0
    spans: int = 0
    roots: int = 0
    """Spans at the top of a trace."""
    scores: int = 0
    old: int = 0
    """Spans older than `keep_days`, which the hourly retention drops."""
    keep_days: int = 0
    """How long the project's spans stay."""
    refused: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    places: list[dict[str, Any]] = field(default_factory=list)
    """The first of what was refused: {"file", "place", "reason"}."""
    first_ns: int = 0
    last_ns: int = 0
    done: list[int] = field(default_factory=list)
    """How many rows of each file are in the journal."""

    def refuse(self, file: str, place: int, reason: str) -> None:
        self.refused += 1
        if reason in self.reasons or len(self.reasons) < _REASONS:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if len(self.places) < _PLACES:
            self.places.append({"file": file, "place": place, "reason": reason})


@dataclass(frozen=True, slots=True)
class File:
    """One export, under the name that its owner knows."""

    path: Path
    name: str


class Import:
    """One import into one project."""

    def __init__(
        self, stores: Stores, project_id: str, *, tool: str, files: Sequence[File], dry_run: bool = False
    ) -> None:
        """Raises BadInput for an unknown tool, or for files in which `auto` recognises none."""
        if not files:
            raise BadInput("There is no file to import.")
        self._stores, self._project, self._files, self._dry = stores, project_id, files, dry_run
        self._prices = estimates(stores.settings.folder.prices)
        self._heads = [few(file.path) for file in files]
        self.tally = Tally(tool=tool if tool != "auto" else self._guess(), keep_days=_keep_days(stores, project_id))
        self._reader = self._make_reader(self.tally.tool)
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0
        self._oldest = clock.now_ns() - self.tally.keep_days * _DAY

    def run(self, progress: Progress, state: Path | None = None) -> Tally:
        """Take every row. `progress` gets bytes done, bytes in all and a note. Raises Unavailable on a full disk."""
        passed = self._resume(state)
        total = sum(file.path.stat().st_size for file in self._files)
        before = 0
        for number, file in enumerate(self._files):
            rows, seen = Rows(file.path), 0
            for found in rows:
                seen += 1
                again = seen <= passed[number]
                self._take(file.name, found, again=again)
                if not again and (len(self._waiting) >= _AT_ONCE or self._bytes > _BYTES):
                    self._flush(number, seen, state)
                    progress(before + rows.read, total, self._note())
            self._flush(number, max(seen, passed[number]), state)
            before += file.path.stat().st_size
            progress(before, total, self._note())
        return self.tally

    def _guess(self) -> str:
        for head in self._heads:
            for row in head:
                if tool := next((name for name, fits in _FITS.items() if fits(row)), ""):
                    return tool
        raise BadInput(
            "The file is not recognised as an export of a tool that Noria knows; nothing was imported.",
            hint=f"Name the tool: {', '.join(TOOLS)}. docs/importing-traces.md says how each of them exports.",
        )

    def _make_reader(self, tool: str) -> Reader:
        if tool == "langfuse":
            return langfuse.Langfuse(traces=any(langfuse.is_trace(row) for head in self._heads for row in head))
        made: dict[str, Callable[[], Reader]] = {
            "mlflow": mlflow.Mlflow,
            "phoenix": phoenix.Phoenix,
            "langsmith": langsmith.Langsmith,
            "otlp": otlp.Otlp,
        }
        if tool not in made:
            raise BadInput(f"There is no importer for {tool[:40]!r}.", hint=f"There is: {', '.join(TOOLS)}, auto.")
        return made[tool]()

    def _take(self, file: str, found: Found, *, again: bool) -> None:
        """One row; `again` when an earlier run has journalled it, then the reader only looks at it."""
        items = list(self._read(found))
        if again:
            return
        self.tally.rows += 1
        for item in items:
            if isinstance(item, Refused):
                self.tally.refuse(file, found.place, str(item))
                continue
            try:
                self._keep(item)
            except Refused as reason:
                self.tally.refuse(file, found.place, str(reason))

    def _read(self, found: Found) -> Iterator[Item]:
        if found.value is None:
            yield Refused(found.problem)
            return
        try:
            yield from self._reader(found.value)
        except Refused as reason:
            yield reason
        except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            # a shape that the reader has not met must not stop the rows behind it
            yield Refused(f"a {self.tally.tool} row of a shape that is not known ({type(error).__name__})")

    def _keep(self, item: Raw | Judgement) -> None:
        if isinstance(item, Judgement):
            record = _score(item, self._project)
            self.tally.scores += 1
        else:
            record = as_record(check(item), self._project, "", self._prices)
            self.tally.spans += 1
            self.tally.roots += not item.parent_id
            self.tally.old += item.start_ns < self._oldest
            self.tally.first_ns = min(self.tally.first_ns or item.start_ns, item.start_ns)
            self.tally.last_ns = max(self.tally.last_ns, item.start_ns)
            self._bytes += sum(len(value) for value in item.attributes.values() if isinstance(value, str))
        self._waiting.append(record)

    def _flush(self, file: int, rows: int, state: Path | None) -> None:
        if not self._dry:
            self._stores.journal.append(self._waiting)
        self._waiting, self._bytes = [], 0
        self.tally.done[file] = rows
        if state is not None:
            temporary = state.with_suffix(".new")
            temporary.write_bytes(orjson.dumps(asdict(self.tally)))
            temporary.replace(state)

    def _resume(self, state: Path | None) -> list[int]:
        if state is not None and state.exists():
            self.tally = Tally(**orjson.loads(state.read_bytes()))
        self.tally.done = self.tally.done or [0] * len(self._files)
        return list(self.tally.done)

    def _note(self) -> str:
        return f"{self.tally.spans:,} spans and {self.tally.scores:,} scores, {self.tally.refused:,} refused"


def _keep_days(stores: Stores, project_id: str) -> int:
    with stores.database.read() as connection:
        return projects.keep_span_days(connection).get(project_id, stores.settings.keep_span_days)


def _score(told: Judgement, project_id: str) -> dict[str, Any]:
    """The record of a score. Raises Refused."""
    if told.trace_id:
        check_ids(told.trace_id, told.span_id or "1" * 16)
    elif not told.session_id:
        raise Refused("the score judges neither a trace nor a session")
    value = told.value
    number = float(value) if isinstance(value, bool | int | float) else None
    label, text = (value[:200], "") if isinstance(value, str) and len(value) <= 200 else ("", str(value or ""))
    text = "" if number is not None else text
    if number is None and not (label or text or told.correction or told.comment):
        raise Refused("the score has no value")
    if number is not None and not abs(number) <= 1e9:
        raise Refused("the score's value is not a number of at most a billion")
    kind = (
        "boolean"
        if isinstance(value, bool)
        else "numeric"
        if number is not None
        else "categorical"
        if label
        else "text"
    )
    target = f"span:{told.span_id}\x00" if told.span_id else f"session:{told.session_id}\x00" if told.session_id else ""
    score = Score(
        score_id=ids.new_id(),
        project_id=project_id,
        trace_id=told.trace_id,
        span_id=told.span_id,
        session_id=told.session_id[:256],
        name=told.name,
        source=told.source,
        time_ns=told.time_ns if told.time_ns >= EARLIEST else clock.now_ns(),
        value_type="" if told.correction and number is None and not label else kind,  # type: ignore[arg-type]
        number=number,
        label=label,
        text=(text or told.comment)[:_LONGEST],
        correction=told.correction[:100_000],
        key=target + told.key[:200],
    )
    return {"type": "score", "trace_id": "", **score.to_dict()}


def waiting_bytes(stores: Stores) -> int:
    """Bytes in the journals, most of which wait for the span store."""
    root = stores.settings.folder.journal
    return sum(path.stat().st_size for path in root.glob("*/*.seg")) if root.is_dir() else 0


def hold_back(stores: Stores, check_on: Callable[[], None], most: int = _BACKLOG) -> None:
    """Wait while much is in the journals and it gets less, so that an import does not fill the disk."""
    size = waiting_bytes(stores)
    while size > most:
        check_on()
        time.sleep(1.0)
        now = waiting_bytes(stores)
        if now >= size:
            return
        size = now
