"""What datasets speaks of: a dataset, one immutable version of it, one example.

An example is a conversation whose last message is the target. Its `row_id` never changes: cleaning, masking and merging
keep it, so that a row can be followed from the file or trace that it came from to every model that learned it.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from noria.core.records import Message


@dataclass(frozen=True, slots=True)
class Example:
    """One row. `messages[-1]` is the target (role assistant); `meta` is whatever else its source said about it.

    `source` is its lineage: {"file": sha256, "name": file name, "line": n} or
    {"trace_id": id, "score_ids": [...], "via": "correction" | "feedback" | "trace", "span_id"?: id}.
    """

    row_id: str
    split: str
    messages: list[Message]
    meta: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def input(self) -> list[Message]:
        """The messages that a model is given."""
        return self.messages[:-1]

    @property
    def target(self) -> str:
        """The answer as text."""
        return message_text(self.messages[-1])


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable, content-addressed snapshot. `digest` is the same for the same rows, whoever wrote them and when."""

    id: str
    project_id: str
    dataset_id: str
    dataset: str
    """The dataset's name."""
    number: int
    parent_id: str | None
    operation: str
    """What made it: import, clean, from_feedback, from_traces or merge."""
    rows: int
    splits: dict[str, int]
    parts: list[str]
    """Digests of Parquet files, in order of rows."""
    report: dict[str, Any]
    author_id: str
    created_at: datetime
    digest: str

    @property
    def name(self) -> str:
        """What people call it: "calls:2"."""
        return f"{self.dataset}:{self.number}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named collection of versions; the figures are those of its latest version (0 when it has none)."""

    id: str
    project_id: str
    name: str
    description: str
    author_id: str
    created_at: datetime
    known_as: str = ""
    """Its name on the platform that it came from, where that cannot be a name here."""
    about: dict[str, Any] = field(default_factory=dict)
    """What clients keep beside it: metadata, and schemas of input and expected output."""
    latest: int = 0
    rows: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    changed_at: datetime | None = None


def message_text(message: Message) -> str:
    """What a message says, as text: content, the text parts of a content list, or tool calls as JSON."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if calls := message.get("tool_calls"):
        return orjson.dumps(calls).decode()
    return ""


def file_row_id(digest: str, line: int) -> str:
    """The id of the row that stands at `line` (from 1) of the file `digest`: 32 hex digits."""
    return hashlib.sha256(f"{digest}:{line}".encode()).hexdigest()[:32]


def trace_row_id(trace_id: str) -> str:
    """The id of the row that a trace became. A formula, so that lineage from trace to row needs no table."""
    return hashlib.sha256(f"trace:{trace_id}".encode()).hexdigest()[:32]


def span_row_id(trace_id: str, span_id: str) -> str:
    """The id of the row that one span inside a trace became."""
    return hashlib.sha256(f"trace:{trace_id}:{span_id}".encode()).hexdigest()[:32]
