"""The records that every layer speaks of: spans and scores.

A span is one timed step of a request, whatever dialect reported it; a score is any judgement of a span, a trace or a dataset
row. Both go through the journal as JSON (one object a record, `None` left out) and into one table each in the span store.
"""

from dataclasses import Field, asdict, dataclass, field
from typing import Any, ClassVar, Literal, Self

SpanKind = Literal["llm", "embedding", "retrieval", "tool", "agent", "chain", "guardrail", "judge", "http"]
SpanStatus = Literal["ok", "error"]
ScoreSource = Literal["user", "person", "code", "judge"]
ScoreType = Literal["", "numeric", "categorical", "boolean", "text"]
Message = dict[str, Any]
"""{"role": "user", "content": "…"} with whatever else the dialect has (tool_calls, name); content is text or parts."""


class _Record:
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; fields that are None or empty are left out."""
        return {k: v for k, v in asdict(self).items() if v not in (None, "", (), [], {})}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of to_dict; names that this version does not know are dropped."""
        return cls(**{k: v for k, v in data.items() if k in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Span(_Record):
    """One timed step. Times are nanoseconds since 1970 UTC, tokens are counts, cost is in micro-dollars."""

    trace_id: str
    span_id: str
    project_id: str
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    parent_id: str = ""
    status: SpanStatus = "ok"
    status_code: int = 0
    """HTTP status of the answer; 499 when the client left."""
    error_type: str = ""
    error_message: str = ""
    endpoint: str = ""
    release: int = 0
    """Number of the release that answered; 0 when none did."""
    requested_release: int = 0
    """Number of the release that the rollout chose; differs from `release` after a fallback."""
    arm: Literal["", "primary", "canary", "shadow", "candidate"] = ""
    provider: str = ""
    requested_model: str = ""
    served_model: str = ""
    input_messages: list[Message] = field(default_factory=list)
    output_messages: list[Message] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micros: int = 0
    price_version: str = ""
    """Of the prices that the cost was counted with; without an endpoint it is an estimate, which its client did not tell."""
    first_token_ns: int = 0
    """When the first byte of the answer left, 0 if unknown."""
    session_id: str = ""
    subject_id: str = ""
    """The person whose data this is: OpenAI's `user` field or the x-noria-user header."""
    tags: list[str] = field(default_factory=list)
    prompt_name: str = ""
    prompt_version: int = 0
    index_version: str = ""
    dataset_row: str = ""
    cache_hit: bool = False
    streamed: bool = False
    key_id: str = ""
    live: bool = True
    """False for traffic that no user caused (evaluation of a candidate); kept out of live figures."""
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score(_Record):
    """One judgement of a span, a trace or a session. At least one of `number`, `label`, `text` and `correction` is there; `key`
    makes it idempotent."""

    score_id: str
    project_id: str
    trace_id: str
    """Empty for a judgement of a session."""
    name: str
    source: ScoreSource
    time_ns: int
    span_id: str = ""
    number: float | None = None
    label: str = ""
    text: str = ""
    correction: str = ""
    """The answer that should have been given, as text."""
    author_id: str = ""
    key: str = ""
    session_id: str = ""
    value_type: ScoreType = ""
    """numeric and boolean: `number` holds the value; categorical: `label`; text: `text`. Empty for feedback."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """What else whoever gave it said of it: environment, metadata."""
