"""Tables of evaluations. Results point at rows of a dataset version; what was asked and expected stays there alone."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Text

from noria.stores.sql import Json, UtcTime, project_column, table

evaluations = table(
    "evaluations",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("dataset_version_id", String(36), nullable=False),
    Column("dataset", String(200), nullable=False),
    Column("split", String(64), nullable=False),
    Column("limit", Integer),
    Column("target", String(200), nullable=False),
    Column("release_id", String(36), nullable=False),
    Column("release_digest", String(64), nullable=False),
    Column("options", Json, nullable=False),
    Column("job_id", String(36), nullable=False),
    Column("key_id", String(36), nullable=False),  # the candidate key in use; empty when there is none to revoke
    Column("cpu_seconds", Float, nullable=False),  # of the job and the local engine, added up while it runs
    Column("report", Json),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("ended_at", UtcTime()),
    Index("ix_evaluations_dataset_version_id_split", "dataset_version_id", "split"),
    subject=None,
    keep_days=None,
)

results = table(
    "evaluation_results",
    Column("evaluation_id", String(36), ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True),
    Column("row_id", String(200), primary_key=True),
    project_column(),
    Column("position", Integer, nullable=False),
    Column("output", Text, nullable=False),
    Column("scores", Json, nullable=False),
    Column("correct", Boolean, nullable=False),
    Column("valid", Boolean, nullable=False),
    Column("latency_ms", Float),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("finish_reason", String(32), nullable=False),
    Column("error", Text, nullable=False),
    Column("trace_id", String(64), nullable=False),
    Index("ix_evaluation_results_evaluation_id_position", "evaluation_id", "position"),
    subject=None,
    keep_days=None,
)

comparisons = table(
    "evaluation_comparisons",
    Column("a_id", String(36), ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True),
    Column("b_id", String(36), ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True),
    project_column(),
    Column("result", Json, nullable=False),
    subject=None,
    keep_days=None,
)
