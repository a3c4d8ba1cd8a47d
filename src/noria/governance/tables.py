"""Tables of governance: projects, people, memberships, sessions, failed logins, keys and where they write, audit, erasures."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Text

from noria.stores.sql import Json, UtcTime, project_column, table

projects = table(
    "projects",
    Column("id", String(36), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("limits", Json, nullable=False),  # noria.governance.limits, without zeros
    Column("keep_span_days", Integer, nullable=True),  # null: the installation's setting
    Column("created_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

people = table(
    "people",
    Column("id", String(36), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),  # lower case
    Column("name", String(120), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    subject="id",
    keep_days=None,
)

memberships = table(
    "memberships",
    Column("project_id", String(36), ForeignKey("projects.id"), primary_key=True),
    Column("person_id", String(36), ForeignKey("people.id"), primary_key=True),
    Column("role", String(16), nullable=False),
    subject="person_id",
    keep_days=None,
)

sessions = table(
    "sessions",
    Column("digest", String(64), primary_key=True),
    Column("person_id", String(36), ForeignKey("people.id"), nullable=False, index=True),
    Column("project_id", String(36), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("expires_at", UtcTime(), nullable=False),
    subject="person_id",
    keep_days=30,
)

failed_logins = table(
    "failed_logins",
    Column("account", String(64), primary_key=True),  # SHA-256 of the address that was tried
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=1,
)

keys = table(
    "keys",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("name", String(120), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("role", String(16), nullable=False),
    Column("release", String(200), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("limits", Json, nullable=False),  # noria.governance.limits, without zeros
    Column("person_id", String(36), ForeignKey("people.id"), nullable=True),
    Column("created_at", UtcTime(), nullable=False),
    Column("expires_at", UtcTime(), nullable=True),
    Column("revoked_at", UtcTime(), nullable=True),
    subject="person_id",
    keep_days=None,
)

key_projects = table(
    "key_projects",  # the projects that a key may write traces to, beside its own
    Column("key_id", String(36), ForeignKey("keys.id"), primary_key=True),
    Column("project_id", String(36), ForeignKey("projects.id"), primary_key=True, index=True),
    Column("created_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

audit = table(
    "audit",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("time", UtcTime(), nullable=False),
    Column("actor_id", String(36), nullable=False),
    Column("verb", String(80), nullable=False),
    Column("target_kind", String(40), nullable=False),
    Column("target_id", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", Json, nullable=False),
    Index("ix_audit_target", "project_id", "target_kind", "target_id"),
    subject="actor_id",
    keep_days=None,
)

erasures = table(
    "erasures",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("subject_id", Text, nullable=False),  # empty once the erasure is done
    Column("digest", String(64), nullable=False),  # keyed; tells whether a record is the subject's, never who that is
    Column("before_ns", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("counts", Json, nullable=False),
    Column("proof", Json, nullable=False),
    Column("job_id", String(36), nullable=False),
    Column("actor_id", String(36), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("ended_at", UtcTime()),
    Index("ix_erasures_digest", "project_id", "digest"),
    subject="subject_id",
    keep_days=None,
)
