"""Tables of datasets. Rows themselves are Parquet parts in the file store; here is only what names and counts them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint

from noria.stores.sql import Json, UtcTime, project_column, table

datasets = table(
    "datasets",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("description", Text, nullable=False),
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
