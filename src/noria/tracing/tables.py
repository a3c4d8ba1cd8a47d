"""Tables of tracing among the records: what people keep for themselves. Spans and scores are in noria.tracing.schema."""

from sqlalchemy import BigInteger, Column, Index, String, Text, UniqueConstraint

from noria.stores.sql import Json, UtcTime, project_column, table

saved_views = table(
    "saved_views",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("person_id", String(36), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("q", Text, nullable=False),
    Column("traffic", String(16), nullable=False),
    Column("columns", Json, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("project_id", "person_id", "name"),
    subject=None,
    keep_days=None,
)

media = table(
    "media",
    Column("project_id", String(36), primary_key=True),
    Column("id", String(22), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("content_type", String(150), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("uploaded_at", UtcTime(), nullable=True),
    subject=None,
    keep_days=None,
)

media_uses = table(
    "media_uses",
    Column("project_id", String(36), primary_key=True),
    Column("media_id", String(22), primary_key=True),
    Column("trace_id", String(200), primary_key=True),
    Index("ix_media_uses_trace", "project_id", "trace_id"),
    subject=None,
    keep_days=None,
)
"""Which traces a media file was announced for; `trace_id` is empty when it was for something else, as a dataset's item."""
