"""The table of training runs. State and progress are the job's; what came out is a model version of the registry."""

from sqlalchemy import Column, String

from noria.stores.sql import Json, UtcTime, project_column, table

runs = table(
    "training_runs",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("job_id", String(36), nullable=False),
    Column("recipe", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("base_version_id", String(36), nullable=False),
    Column("base", String(120), nullable=False),
    Column("dataset_version_id", String(36), nullable=False, index=True),
    Column("dataset", String(120), nullable=False),
    Column("split", String(64), nullable=False),
    Column("prompt_version_id", String(36), nullable=False),
    Column("prompt", String(120), nullable=False),
    Column("parameters", Json, nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("metrics", Json, nullable=False),
    Column("files", Json, nullable=False),
    Column("model_version_id", String(36), index=True),
    Column("model_version", String(120), nullable=False),
    subject=None,
    keep_days=None,
)
