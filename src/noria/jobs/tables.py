"""Tables of jobs. A job's row is also its place in the queue: whoever commits the row has started the job."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Text

from noria.stores.sql import Json, UtcTime, project_column, table

jobs = table(
    "jobs",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("args", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("result", Json),
    Column("error", Json),
    Column("actor_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("started_at", UtcTime()),
    Column("ended_at", UtcTime()),
    Column("cpu_seconds", Float, nullable=False),
    # How the engine keeps hold of a job:
    Column("cancel_requested", Boolean, nullable=False),
    Column("deaths", Integer, nullable=False),  # times in a row that the job's process died without a word
    Column("owner", String(64), nullable=False),  # the worker that runs it now; empty: nobody
    Column("lease_until", UtcTime()),  # after this moment the owner is taken for dead
    Index("ix_jobs_state_id", "state", "id"),
    subject=None,
    keep_days=365,
)

points = table(
    "job_points",
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Integer, primary_key=True),
    project_column(),
    Column("values", Json, nullable=False),
    subject=None,
    keep_days=365,
)
