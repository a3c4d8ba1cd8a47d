"""What training gives out: a run, with the inputs that decide its result and what came of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from noria.jobs.records import ENDED, JobState


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One execution of a recipe. State, progress, error and times are those of its job."""

    id: str
    project_id: str
    job_id: str
    recipe: str
    model: str
    """Name of the model that the result becomes a version of."""
    base_version_id: str
    base: str
    """"name:number" of the base model."""
    dataset_version_id: str
    dataset: str
    """"name:number"."""
    split: str
    prompt_version_id: str
    prompt: str
    """"name@number"."""
    parameters: dict[str, Any]
    """The complete configuration of the recipe."""
    author_id: str
    created_at: datetime
    state: JobState
    done: int
    """Steps that are done, of `total`."""
    total: int
    note: str
    error: dict[str, str] | None
    started_at: datetime | None
    metrics: dict[str, Any] = field(default_factory=dict)
    """Of a finished run: examples, steps, seconds, cpu_seconds, first_loss, final_loss, tokens, completion_tokens, left_out."""
    files: list[dict[str, Any]] = field(default_factory=list)
    """{"name", "sha256", "size", "role"} of what it made."""
    model_version_id: str | None = None
    model_version: str = ""
    """"name:number" of what it registered."""
    ended_at: datetime | None = None

    @property
    def moving(self) -> bool:
        return self.state not in ENDED
