"""From feedback to rows: what is learned from, what is passed over, and that a base version's held-out rows stay as they are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from noria.core import clock, ids
from noria.core.errors import BadInput
from noria.core.records import Message, Score, Span
from noria.datasets import feedback, jobs, service
from noria.datasets.merging import MergeReport, add_rows
from noria.datasets.records import Example, trace_row_id
from noria.stores.connect import Stores
from noria.stores.journal import JournalWriter
from noria.tracing.records import FeedbackRow, ScoreView
from noria.tracing.tailer import Tailer
from tests.datasets.conftest import PROJECT, Run, run_job
from tests.stores.process import StoreProcess

START = datetime(2026, 11, 1, tzinfo=UTC)


def score(minute: int = 0, **judged: object) -> ScoreView:
    values = {"name": "feedback", "source": "user", "number": None, "label": "", "text": "", "correction": ""}
    return ScoreView(
        score_id=f"score-{minute}",
        span_id="",
        time=START + timedelta(minutes=minute),
        author_id="",
        **values | judged,  # type: ignore[arg-type]
    )


def answer(trace_id: str, said: str, answered: str, *scores: ScoreView) -> FeedbackRow:
    return FeedbackRow(
        trace_id=trace_id,
        span_id="s",
        endpoint="assistant",
        release=1,
        time=START,
        session_id="session",
        subject_id="",
        input_messages=[{"role": "user", "content": said}],
        output_messages=[{"role": "assistant", "content": answered}],
        scores=list(scores),
    )


def test_a_correction_is_the_target_and_praise_keeps_the_answer() -> None:
    report = feedback.FeedbackReport()
    given = [
        answer("t1", "call a@example.com", "wrong", score(number=0.0), score(1, correction="mail a@example.com")),
        answer("t2", "hello", "hi", score(number=1.0)),
        answer("t3", "hello", "no", score(number=1.0), score(1, number=-1.0)),
        answer("t4", "hello", "", score(label="good")),
    ]
    first, second = feedback.rows(given, report)
    assert [m["content"] for m in first.messages] == ["call <EMAIL_1>", "mail <EMAIL_1>"]
    assert first.source == {"trace_id": "t1", "score_ids": ["score-0", "score-1"], "via": "correction"}
    assert (first.row_id, first.split) == (trace_row_id("t1"), "train")
    assert (second.target, second.source["via"]) == ("hi", "feedback")
    assert (report.corrections, report.praised, report.passed_over, report.masked) == (1, 1, 2, {"EMAIL": 1})


def example(row_id: str, said: str, answered: str, split: str = "train") -> Example:
    return Example(row_id, split, [{"role": "user", "content": said}, {"role": "assistant", "content": answered}])


def test_joining_replaces_by_id_takes_once_and_keeps_held_out_rows() -> None:
    base = [example("a", "one", "1"), example("b", "two", "2", "test"), example("c", "three", "3")]
    new = [
        example("c", "three", "III"),  # the same trace, corrected again
        example("b", "two", "II"),  # the id of a test row
        example("d", "one", "1"),  # says what the base says
        example("e", "two", "zwei"),  # its input is measured
        example("f", "four", "4"),
        example("g", "four", "4"),
    ]
    report = MergeReport()
    joined = list(add_rows(base, new, report))
    assert [(row.row_id, row.target) for row in joined] == [("a", "1"), ("b", "2"), ("c", "III"), ("f", "4")]
    assert (report.added, report.replaced, report.already_there, report.held_out) == (1, 1, 2, 1)
    assert (report.rows_before, report.rows_after) == (3, 4)


def test_versions_are_merged_by_a_job(stores: Stores, importing: Run) -> None:
    line = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "a"}]}\n'
    first = importing({"train.jsonl": line % "one" + line % "two", "test.jsonl": line % "test"}, name="a")
    second = importing({"train.jsonl": line % "two" + line % "three"}, name="b")
    merged = run_job(stores, jobs.merge, name="both", version_ids=[first.id, second.id])
    assert merged.splits == {"train": 3, "test": 1}
    assert merged.report["merged"] == [first.id, second.id]
    assert (merged.parent_id, merged.report["added"], merged.report["already_there"]) == (first.id, 1, 1)


class Judge:
    """Journals answers and what was said about them, and carries both to the store."""

    def __init__(self, stores: Stores) -> None:
        self._stores, self._writer = stores, JournalWriter(stores.settings.folder.journal / "gateway")

    def judge(self, said: str, answered: str, **judged: object) -> str:
        now = clock.now_ns()
        inside: list[Message] = [{"role": "user", "content": said}]
        out: list[Message] = [{"role": "assistant", "content": answered}]
        span = Span(
            ids.new_trace_id(), ids.new_span_id(), PROJECT, "chat", "llm", now, now + 1_000_000,
            endpoint="assistant", release=1, input_messages=inside, output_messages=out,
        )  # fmt: skip
        given = Score(ids.new_id(), PROJECT, span.trace_id, "feedback", "user", now, **judged)  # type: ignore[arg-type]
        self._writer.append([{"type": "span", **span.to_dict()}, {"type": "score", **given.to_dict()}])
        return span.trace_id

    def carry(self) -> None:
        Tailer(self._stores).run_once()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def judge(stores: Stores) -> Iterator[Judge]:
    process = StoreProcess(stores.settings)
    process.start()
    judge = Judge(stores)
    yield judge
    judge.close()
    process.stop()


def test_feedback_on_real_traces_becomes_a_version(stores: Stores, importing: Run, judge: Judge) -> None:
    corrected = judge.judge("where is it", "I do not know", correction="track")
    praised = judge.judge("give it back", "refund", number=1.0)
    judge.judge("bad one", "nonsense", number=0.0)
    judge.carry()
    line = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "x"}]}\n'
    base = importing({"train.jsonl": line % "one", "test.jsonl": line % "test"})
    version = run_job(stores, jobs.from_feedback, name="calls", endpoint="assistant", base_version_id=base.id)
    found = {row.row_id: row for row in service.read_examples(stores, version)}
    assert version.splits == {"train": 3, "test": 1}
    assert found[trace_row_id(corrected)].target == "track"
    assert found[trace_row_id(praised)].target == "refund"
    assert (version.report["added"], version.report["corrections"], version.report["praised"]) == (2, 1, 1)
    assert version.parent_id == base.id
    with pytest.raises(BadInput, match="No answer of the endpoint 'other'"):
        run_job(stores, jobs.from_feedback, name="calls", endpoint="other")
