"""Judged answers in, rows to learn from out: a correction becomes the target, a praised answer stays its own.

A row's id follows from its trace, so that what was learned from an answer can be found from the answer and the other way
round, and so that a second correction replaces the first. New rows are repaired and masked as in a cleaning.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from noria.core.records import Message
from noria.datasets.records import Example, message_text, trace_row_id
from noria.datasets.repair import in_strings, repair
from noria.governance.privacy.masking import Masker
from noria.tracing.records import ScoreView
from noria.tracing.views import GOOD


class Judged(Protocol):
    """What tracing tells about an answer that somebody judged (noria.tracing.records.FeedbackRow)."""

    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def release(self) -> int: ...
    @property
    def session_id(self) -> str: ...
    @property
    def input_messages(self) -> list[Message]: ...
    @property
    def output_messages(self) -> list[Message]: ...
    @property
    def scores(self) -> list[ScoreView]: ...
    @property
    def correction(self) -> str: ...


@dataclass(slots=True)
class FeedbackReport:
    """What was learned from."""

    corrections: int = 0
    praised: int = 0
    passed_over: int = 0
    """Praised first and found bad later, or without an input or an answer."""
    masked: dict[str, int] = field(default_factory=dict)


def rows(
    judged: Iterable[Judged], report: FeedbackReport, check: Callable[[], None] = lambda: None
) -> Iterator[Example]:
    """One row for each answer that can be learned from, for the split train."""
    for answer in judged:
        check()
        target: Message | None
        if answer.correction:
            target, via = {"role": "assistant", "content": answer.correction}, "correction"
        else:
            target, via = _praised(answer), "feedback"
        if target is None or not message_text(target).strip() or not answer.input_messages:
            report.passed_over += 1
            continue
        if via == "correction":
            report.corrections += 1
        else:
            report.praised += 1
        meta, source = lineage_of(answer, via)
        messages = tidied([*answer.input_messages, target], report.masked)
        yield Example(trace_row_id(answer.trace_id), "train", messages, meta, source)


def lineage_of(answer: Judged, via: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row's meta and its source: what gave the answer, and the trace and the scores that it comes from."""
    meta: dict[str, Any] = {"endpoint": answer.endpoint, "release": answer.release}
    if answer.session_id:
        meta["session"] = answer.session_id
    ids = [score.score_id for score in answer.scores]
    return meta, {"trace_id": answer.trace_id, "score_ids": ids, "via": via}


def _praised(answer: Judged) -> Message | None:
    """The answer as it was given, if somebody praised it and the last number that it got does not say it was bad."""
    said = [one for one in answer.scores if one.is_feedback and one.span_id in {"", answer.span_id}]
    last = max((one for one in said if one.number is not None), key=lambda one: one.time, default=None)
    if last is not None and last.number is not None and last.number <= 0:
        return None
    if last is None and not any(one.label.lower() in GOOD for one in said):
        return None
    given = [message for message in answer.output_messages if message.get("role") == "assistant"]
    return given[-1] if given else None


def tidied(messages: list[Message], masked: dict[str, int]) -> list[Message]:
    """The messages repaired and masked as in a cleaning; `masked` counts each kind of personal data that was replaced."""
    masker, skip = Masker(), frozenset({"role", "type"})
    tidy: list[Message] = in_strings(messages, lambda text: masker.text(repair(text)), skip)
    for kind, count in masker.counts.items():
        masked[kind] = masked.get(kind, 0) + count
    return tidy
