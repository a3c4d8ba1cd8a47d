"""Traces out of the span store in, rows out: the verb behind "Add to dataset", the API, the command and the job.

A row is what one model call was asked and answered (noria.tracing.calls says which), with the corrected answer where somebody gave
one; its id follows from the trace, as for feedback. What cannot be learned from, and what is there already, is left out and counted by
reason. A version is written only when a row came in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from noria.core.errors import BadInput, Conflict, NotFound
from noria.core.records import Message
from noria.datasets import service
from noria.datasets.feedback import lineage_of, tidied
from noria.datasets.importing import check_split
from noria.datasets.merging import MergeReport, add_rows
from noria.datasets.records import DatasetVersion, Example, message_text, span_row_id, trace_row_id
from noria.stores.connect import Stores
from noria.tracing import selection
from noria.tracing.calls import Call, top_calls

MOST: Final = 10_000
"""Traces that one job adds."""
FEW: Final = 50
"""Traces that are added while a page waits, to a dataset of at most FEW_ROWS rows; more are a job."""
FEW_ROWS: Final = 5_000
_ATTEMPTS: Final = 5
REASONS: Final[dict[str, str]] = {
    "there": "Stands in the dataset already.",
    "answer": "Answered nothing.",
    "question": "Was asked nothing.",
    "embedding": "Is an embedding, which has no answer in words.",
    "failed": "Failed.",
    "missing": "Is not in the span store.",
    "measured": "Has the input of a row that measures.",
}
"""Why a trace was left out."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which traces: named ones, one span of a trace, or what a search finds."""

    trace_ids: tuple[str, ...] = ()
    span_id: str = ""
    q: str = ""
    traffic: str = "all"
    until: str = ""

    @classmethod
    def of(cls, args: dict[str, Any]) -> "Selection":
        """The inverse of `args`."""
        return cls(tuple(args["trace_ids"]), *(args[name] for name in ("span_id", "q", "traffic", "until")))

    def args(self) -> dict[str, Any]:
        """JSON, for a job."""
        return {**asdict(self), "trace_ids": list(self.trace_ids)}

    def traces(self, stores: Stores, project_id: str) -> list[str]:
        """Ids, newest first for a search, at most MOST. Raises BadFilter, BadInput, Unavailable."""
        if self.trace_ids:
            return list(self.trace_ids)
        return list(selection.found(stores, project_id, selection.where(self.q, self.traffic, self.until), MOST))


@dataclass(slots=True)
class TracesReport:
    """What came in, and what did not."""

    asked: int = 0
    added: int = 0
    corrected: int = 0
    """Of the rows that came in: those with the answer that somebody said should have been given."""
    replaced: int = 0
    """Rows of a trace that was corrected since."""
    left_out: dict[str, int] = field(default_factory=dict)
    """By reason (REASONS)."""
    masked: dict[str, int] = field(default_factory=dict)
    spans: list[list[str]] = field(default_factory=list)
    """[trace, span] of rows that are not the top call of their trace: lineage finds them by this."""

    def leave(self, reason: str, count: int = 1) -> None:
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count


def rows(calls: Iterable[Call], split: str, report: TracesReport, check: Callable[[], None]) -> Iterator[Example]:
    """One row for each call that can be learned from."""
    for call in calls:
        check()
        corrected = call.correction
        if call.kind == "embedding":
            report.leave("embedding")
        elif call.status == "error" and not corrected:
            report.leave("failed")
        elif not any(message_text(message).strip() for message in call.input_messages):
            report.leave("question")
        elif not (said := answer_of(call)):
            report.leave("answer")
        else:
            meta, source = lineage_of(call, "correction" if corrected else "trace")
            row_id = trace_row_id(call.trace_id)
            if call.inner:
                row_id = span_row_id(call.trace_id, call.span_id)
                report.spans.append([call.trace_id, call.span_id])
            source["span_id"] = call.span_id
            yield Example(row_id, split, tidied([*call.input_messages, *said], report.masked), meta, source)


def answer_of(call: Call) -> list[Message]:
    """What follows the input in the row; the last message is the target. Empty when nothing was answered."""
    if corrected := call.correction:
        return [{"role": "assistant", "content": corrected}]
    last = max((n for n, one in enumerate(call.output_messages) if one.get("role") == "assistant"), default=-1)
    if last < 0 or not message_text(call.output_messages[last]).strip():
        return []
    said = call.output_messages[: last + 1]
    # Steps of one answer have tool results between them; several answers to choose from have not.
    return said if any(one.get("role") == "tool" for one in said) else said[-1:]


def add(
    stores: Stores,
    *,
    project_id: str,
    name: str,
    which: Selection,
    split: str,
    actor_id: str,
    job_id: str = "",
    check: Callable[[], None] = lambda: None,
) -> DatasetVersion:
    """Write the next version of the dataset `name` (made when there is none), with a row of each trace.

    Raises BadInput when no row came in, with the reasons; BadFilter, Unavailable; Conflict when others write without end.
    """
    service.check_name(name)
    report = TracesReport()
    traces = which.traces(stores, project_id)
    report.asked = len(traces)
    chosen = {traces[0]: which.span_id} if which.span_id and traces else {}
    calls = list(top_calls(stores, project_id, traces, chosen))
    report.leave("missing", len(traces) - len(calls))
    new = list(rows(calls, check_split(split), report, check))
    for attempt in range(_ATTEMPTS):
        base, again = latest(stores, project_id, name), deepcopy(report)
        try:
            return service.write_version(
                stores,
                project_id=project_id,
                name=name,
                **_joined(stores, base, new, again, check),
                parent_id=base.id if base else None,
                operation="from_traces",
                actor_id=actor_id,
                job_id=job_id,
                after=base.number if base else 0,
            )
        except Conflict:  # somebody else added rows meanwhile: theirs must be in the version after it too
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _joined(
    stores: Stores, base: DatasetVersion | None, new: Sequence[Example], report: TracesReport, check: Callable[[], None]
) -> dict[str, Any]:
    """The examples of the next version, and its report, which is filled while they stream. Raises BadInput for no new row."""
    coming, written = _unknown(stores, base, new, report), dict[str, Any]()
    if not coming:
        raise _nothing(report)
    fresh, merged = {id(row) for row in coming}, MergeReport()

    def examples() -> Iterator[Example]:
        for example in add_rows(service.read_examples(stores, base) if base else (), coming, merged):
            check()
            report.corrected += id(example) in fresh and example.source["via"] == "correction"
            yield example
        report.added, report.replaced = merged.added, merged.replaced
        report.leave("there", merged.already_there)
        report.leave("measured", merged.held_out)
        if not merged.added and not merged.replaced:
            raise _nothing(report)
        written.update(asdict(report), by_split=merged.by_split)

    return {"examples": examples(), "report": written}


def latest(stores: Stores, project_id: str, name: str) -> DatasetVersion | None:
    """The version that rows are added to; None when there is none yet."""
    try:
        return service.find_version(stores, project_id, name)
    except NotFound:
        return None


def _unknown(
    stores: Stores, base: DatasetVersion | None, new: Sequence[Example], report: TracesReport
) -> list[Example]:
    """Without those whose trace stands in the dataset, unless it was corrected since."""
    known = service.row_ids(stores, base) if base else set()
    kept = [row for row in new if row.row_id not in known or row.source["via"] == "correction"]
    report.leave("there", len(new) - len(kept))
    return kept


def _nothing(report: TracesReport) -> BadInput:
    reasons = [(count, REASONS[name]) for name, count in report.left_out.items()]
    hint = " ".join(f"{count:,} of {report.asked:,}: {reason}" for count, reason in reasons)
    if len(reasons) == 1:
        hint = reasons[0][1]
    return BadInput("No row came in, so no version was written.", hint=hint or "The search finds no trace.")
