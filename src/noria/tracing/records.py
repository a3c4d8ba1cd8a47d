"""What tracing tells about traces, feedback and traffic. Times are UTC, durations milliseconds, cost micro-dollars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from noria.core.records import Message, ScoreSource, ScoreType

Feedback = Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces to list; what is None or empty does not restrict."""

    endpoint: str = ""
    release: int | None = None
    """Traces that this release answered or was chosen for."""
    status: str = ""
    session: str = ""
    arm: str = ""
    model: str = ""
    live: bool | None = None
    feedback: Feedback | None = None
    q: str = ""
    """In the filter language (noria.tracing.filters); plain words are words that input and output together hold."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScoreView:
    """One judgement as it is shown."""

    score_id: str
    span_id: str
    name: str
    source: ScoreSource
    time: datetime
    number: float | None
    label: str
    text: str
    correction: str
    author_id: str

    @property
    def is_feedback(self) -> bool:
        """Whether it says if the answer is good: what a user said, or a person under the name feedback."""
        return self.source == "user" or (self.source == "person" and self.name == "feedback")


@dataclass(frozen=True, slots=True)
class NewScore:
    """A score as it is given; `type` may stay empty, then the value says it. A correction may stand without a value (None)."""

    name: str
    value: float | bool | str | None
    source: ScoreSource = "user"
    type: ScoreType = ""
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    comment: str = ""
    key: str = ""
    time: datetime | None = None
    correction: str = ""
    """The answer that should have been given."""


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Which scores to list; what is None or empty does not restrict."""

    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    name: str = ""
    source: str = ""
    type: str = ""
    label: str = ""
    author_id: str = ""
    least: float | None = None
    most: float | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score in a list."""

    score_id: str
    trace_id: str
    span_id: str
    session_id: str
    name: str
    source: ScoreSource
    type: ScoreType
    value: float | bool | str | None
    comment: str
    correction: str
    author_id: str
    key: str
    time: datetime


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One trace in a list, without payloads: named by its root span (the top one that came when the root has not).

    Tokens and cost are those of all its model calls, each counted once; endpoint, release, arm, provider, prompt and model are the first
    that one of them says, `models` all models that answered. `input` and `output` are the first few hundred characters.
    """

    trace_id: str
    span_id: str
    name: str
    kind: str
    start: datetime
    duration_ms: float
    first_token_ms: float | None
    status: str
    status_code: int
    error_type: str
    endpoint: str
    release: int
    requested_release: int
    arm: str
    provider: str
    model: str
    prompt: str
    """name@version, or nothing."""
    input_tokens: int
    output_tokens: int
    cost_micros: int
    cached_tokens: int
    session_id: str
    subject_id: str
    streamed: bool
    live: bool
    tags: list[str]
    input: str
    output: str
    spans: int = 1
    errors: int = 0
    """Spans that failed."""
    calls: int = 0
    """Model calls."""
    models: list[str] = field(default_factory=list)
    scores: list[ScoreView] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SpanNode:
    """One span of a trace's tree. Nodes come in reading order: a node's children follow it, one `depth` deeper."""

    span: dict[str, Any]
    """noria.core.records.Span as JSON."""
    depth: int
    offset_ms: float
    """Start, after the start of the trace."""
    duration_ms: float
    first_token_ms: float | None
    children: int
    orphan: bool = False
    """It names a parent that has not arrived."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a trace used, each model call counted once."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micros: int = 0
    estimated_micros: int = 0
    """Of the cost, what nobody told and Noria's prices say (noria.tracing.estimates)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace: its tree and every judgement of it."""

    trace_id: str
    start: datetime
    duration_ms: float
    spans: list[SpanNode]
    scores: list[ScoreView]
    totals: Totals = field(default_factory=Totals)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Live requests of one release in one arm, in one minute (`time`) or since a moment."""

    time: datetime
    endpoint: str
    release: int
    """The release that the rollout chose."""
    arm: str
    requests: int
    errors: int
    fallbacks: int
    """Requests that another release answered after this one failed."""
    input_tokens: int
    output_tokens: int
    cost_micros: int
    p50_ms: float
    p95_ms: float
    feedback_mean: float | None
    """Mean of the numbers that users gave; None when nobody gave one."""
    feedback_count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Model calls that began in a time, which starts at `time`. Latencies are None when there was no call."""

    time: datetime
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micros: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    first_token_ms: float | None
    """Median of those that streamed."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one endpoint, model, user, … caused; `name` is "" for calls that tell of none."""

    name: str
    traces: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Step:
    """One span in the outline of its trace: all but its payloads. Steps come in reading order."""

    span_id: str
    name: str
    kind: str
    status: str
    depth: int
    offset_ms: float
    """Start, after the start of the trace."""
    duration_ms: float
    first_token_ms: float | None
    children: int
    orphan: bool
    """It names a parent that has not arrived."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One trace without payloads."""

    trace_id: str
    start: datetime
    duration_ms: float
    steps: Sequence[Step]
    places: Mapping[str, int]
    """Where each span stands in `steps`, by id."""
    head: str
    """Id of the span that tells what the trace was about: the top one, or the first below it that has messages."""


@dataclass(frozen=True, slots=True)
class Group:
    """What belongs to one user, or to one session."""

    id: str
    traces: int
    sessions: int
    users: int
    errors: int
    tokens: int
    cost_micros: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """An answer that somebody judged, as a dataset is made of it."""

    trace_id: str
    span_id: str
    endpoint: str
    release: int
    time: datetime
    session_id: str
    subject_id: str
    input_messages: list[Message]
    output_messages: list[Message]
    scores: list[ScoreView]

    @property
    def correction(self) -> str:
        """The last answer that somebody said should have been given, or nothing."""
        given = [score for score in self.scores if score.correction and score.span_id in {"", self.span_id}]
        return max(given, key=lambda score: score.time).correction if given else ""
