"""Tables of datasets. Rows themselves are Parquet parts in the file store; here is only what names and counts them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint

from noria.stores.sql import Json, UtcTime, project_column, table

datasets = table(
    "datasets",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("known_as", String(200), nullable=False),  # its name elsewhere, where that is none of ours
    Column("description", Text, nullable=False),
    Column("about", Json, nullable=False),  # metadata and schemas that clients keep beside it
    Column("sealing_job", String(36), nullable=False),  # that makes a version of items that wait; may have ended
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("project_id", "name"),
    subject=None,
    keep_days=None,
)

versions = table(
    "dataset_versions",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("dataset_id", String(36), ForeignKey("datasets.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("parent_id", String(36)),
    Column("operation", String(32), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("splits", Json, nullable=False),
    Column("parts", Json, nullable=False),
    Column("report", Json, nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("digest", String(64), nullable=False),
    # The job that wrote it; a job that is run again after a kill finds its version here instead of writing a second one.
    Column("job_id", String(36), nullable=False),
    UniqueConstraint("dataset_id", "number"),
    Index("ix_dataset_versions_job_id", "job_id"),
    Index("ix_dataset_versions_parent_id", "parent_id"),
    subject=None,
    keep_days=None,
)

# Single items that clients add or change (design/0008): an item waits here until a version holds it. What is in a version already
# is only remembered here by its id and times.
items = table(
    "dataset_items",
    Column("project_id", String(36), primary_key=True),
    Column("id", String(120), primary_key=True),
    Column("dataset_id", String(36), ForeignKey("datasets.id"), nullable=False),
    Column("status", String(8), nullable=False),  # active, archived (in no later version) or deleted
    Column("waiting", Boolean, nullable=False),
    Column("example", Json, nullable=True),  # while it waits, or is archived
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("updated_at", UtcTime(), nullable=False),
    Index("ix_dataset_items_waiting", "dataset_id", "waiting"),
    subject=None,
    keep_days=None,
)

runs = table(
    "dataset_runs",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("dataset_id", String(36), ForeignKey("datasets.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("about", Json, nullable=True),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("updated_at", UtcTime(), nullable=False),
    UniqueConstraint("dataset_id", "name"),
    subject=None,
    keep_days=None,
)

run_items = table(
    "dataset_run_items",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("run_id", String(36), ForeignKey("dataset_runs.id"), nullable=False, index=True),
    Column("item_id", String(120), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("observation_id", String(16), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)
