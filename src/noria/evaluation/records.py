"""Evaluations as service, API and pages see them, and the metrics they speak of.

This module is light (no numpy): the server reads metric names from `METRICS`; the scorers that compute them live in
noria.evaluation.scorers and are loaded in jobs only.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Task = Literal["calls", "classification", "text"]
"""What the targets of a dataset are: JSON objects, one of a few labels, or free text."""

BASELINES: Final[tuple[str, ...]] = ("majority", "nearest", "linear")

SEED: Final = 7
"""Chooses rows and resamples; the same for all evaluations, so that two of them always share rows."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name for people and which way is up."""

    name: str
    title: str
    meaning: str


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("field_f1", "Field F1", "Fields (without the call's name) that are right, precision and recall in one"),
        Metric("field_precision", "Field precision", "Share of the fields given that are right"),
        Metric("field_recall", "Field recall", "Share of the fields expected that are given and right"),
        Metric("name_accuracy", "Name accuracy", "Share of rows whose call has the right name"),
        Metric("exact_match", "Exact match", "Share of rows answered exactly as expected"),
        Metric("accuracy", "Accuracy", "Share of rows with the right label"),
        Metric("macro_f1", "Macro F1", "F1 of each label, averaged over labels"),
        Metric("text_f1", "Text F1", "Overlap of character pairs with the expected text, averaged over rows"),
        Metric("valid", "Valid", "Share of rows whose answer has the right form and was not cut"),
    )
}

MAIN_METRIC: Final[dict[Task, str]] = {"calls": "field_f1", "classification": "accuracy", "text": "text_f1"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One target over one split of a dataset version. `report` is None until the job has ended well."""

    id: str
    project_id: str
    dataset_version_id: str
    dataset: str
    """"calls:2"."""
    split: str
    limit: int | None
    target: str
    """"assistant@2" or "baseline:nearest"."""
    release_id: str
    release_digest: str
    """Both empty for a baseline."""
    options: dict[str, Any]
    job_id: str
    state: str
    """State of its job."""
    done: int
    total: int
    note: str
    error: dict[str, str] | None
    report: dict[str, Any] | None
    author_id: str
    created_at: datetime
    ended_at: datetime | None

    @property
    def baseline(self) -> str:
        """ "nearest" of "baseline:nearest"; empty for a release."""
        return self.target.partition(":")[2] if self.target.startswith("baseline:") else ""


@dataclass(frozen=True, slots=True)
class Result:
    """What the target gave for one row, and its counts (see noria.evaluation.scorers)."""

    row_id: str
    position: int
    """Index of the row within its dataset version."""
    output: str
    scores: dict[str, float]
    correct: bool
    valid: bool
    latency_ms: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    finish_reason: str
    error: str
    trace_id: str
