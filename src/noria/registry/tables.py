"""Tables of registry: providers, prompts, models, endpoints, releases, rollouts, gates, approvals, lineage."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint

from noria.stores.sql import Json, UtcTime, project_column, table

providers = table(
    "providers",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("base_url", String(2000), nullable=False),
    Column("options", Json, nullable=False),
    Column("balance", String(16), nullable=False),
    Column("input_micros", BigInteger, nullable=False),
    Column("output_micros", BigInteger, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("changed_at", UtcTime(), nullable=False),
    UniqueConstraint("project_id", "name"),
    subject=None,
    keep_days=None,
)

provider_keys = table(
    "provider_keys",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("provider_id", String(36), ForeignKey("providers.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("sealed", Text, nullable=False),  # noria.governance.sealing, purpose "provider:<provider id>"
    Column("hint", String(16), nullable=False),
    Column("weight", Integer, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("changed_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

prompts = table(
    "prompts",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("known_as", String(200), nullable=False),  # its name elsewhere, where that is none of ours
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("project_id", "name"),
    subject=None,
    keep_days=None,
)

prompt_versions = table(
    "prompt_versions",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("prompt_id", String(36), ForeignKey("prompts.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("format", String(8), nullable=False),
    Column("template", Text, nullable=False),
    Column("messages", Json, nullable=False),
    Column("config", Json, nullable=False),
    Column("note", Text, nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("prompt_id", "number"),
    subject=None,
    keep_days=None,
)

prompt_labels = table(
    "prompt_labels",
    Column("prompt_id", String(36), ForeignKey("prompts.id"), primary_key=True),
    Column("label", String(40), primary_key=True),
    project_column(),
    Column("version_id", String(36), ForeignKey("prompt_versions.id"), nullable=False),
    Column("moved_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

models = table(
    "models",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("project_id", "name"),
    subject=None,
    keep_days=None,
)

model_versions = table(
    "model_versions",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("model_id", String(36), ForeignKey("models.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("files", Json, nullable=False),
    Column("base_version_id", String(36), ForeignKey("model_versions.id"), nullable=True),
    Column("lineage", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("model_id", "number"),
    subject=None,
    keep_days=None,
)

endpoints = table(
    "endpoints",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("name", String(64), nullable=False),
    Column("description", Text, nullable=False),
    Column("gate", Json, nullable=False),
    Column("self_approval", Boolean, nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("project_id", "name"),
    subject=None,
    keep_days=None,
)

releases = table(
    "releases",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("endpoint_id", String(36), ForeignKey("endpoints.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("provider_id", String(36), ForeignKey("providers.id"), nullable=False),
    Column("model", String(200), nullable=False),
    Column("model_version_id", String(36), ForeignKey("model_versions.id"), nullable=True),
    Column("prompt_version_id", String(36), ForeignKey("prompt_versions.id"), nullable=True),
    Column("parameters", Json, nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("input_micros", BigInteger, nullable=False),
    Column("output_micros", BigInteger, nullable=False),
    Column("cached_micros", BigInteger, nullable=True),  # None: as other input; likewise below
    Column("cache_write_micros", BigInteger, nullable=True),
    Column("cache_write_1h_micros", BigInteger, nullable=True),
    Column("long_prompts", Json, nullable=False),  # noria.registry.snapshot.LongPrompts, or {}
    Column("price_version", String(40), nullable=False),
    Column("author_id", String(36), nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    Column("touched_at", UtcTime(), nullable=False),  # last evaluated, approved or asked for; keeps its engine warm
    UniqueConstraint("endpoint_id", "number"),
    subject=None,
    keep_days=None,
)

rollouts = table(
    "rollouts",
    Column("endpoint_id", String(36), ForeignKey("endpoints.id"), primary_key=True),
    project_column(),
    Column("primary_id", String(36), ForeignKey("releases.id"), nullable=True),
    Column("canary_id", String(36), ForeignKey("releases.id"), nullable=True),
    Column("canary_share", Float, nullable=False),
    Column("shadow_id", String(36), ForeignKey("releases.id"), nullable=True),
    Column("shadow_share", Float, nullable=False),
    Column("previous", Json, nullable=False),  # ids of primaries before this one, newest last
    Column("changed_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

rollout_events = table(
    "rollout_events",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("endpoint_id", String(36), ForeignKey("endpoints.id"), nullable=False, index=True),
    Column("time", UtcTime(), nullable=False),
    Column("event", String(16), nullable=False),
    Column("release", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Column("actor_id", String(36), nullable=False),
    Column("reason", Text, nullable=False),
    subject="actor_id",
    keep_days=None,
)

endpoint_policies = table(
    "endpoint_policies",
    Column("endpoint_id", String(36), ForeignKey("endpoints.id"), primary_key=True),
    Column("version", Integer, primary_key=True),  # from 1, without gaps; the newest is in force
    project_column(),
    Column("policy", Json, nullable=False),  # noria.registry.policy, what differs from the empty one, without `version`
    Column("author_id", String(36), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    subject="author_id",
    keep_days=None,
)

approvals = table(
    "approvals",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("release_id", String(36), ForeignKey("releases.id"), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("person_id", String(36), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    UniqueConstraint("release_id", "digest", "person_id"),
    subject="person_id",
    keep_days=None,
)

gate_results = table(
    "gate_results",
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("release_id", String(36), ForeignKey("releases.id"), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("clauses", Json, nullable=False),
    Column("p_value", Float, nullable=True),
    Column("evaluation_id", String(36), nullable=False),
    Column("incumbent_evaluation_id", String(36), nullable=False),
    Column("incumbent_id", String(36), nullable=True),  # the primary release that it was tested against
    Column("created_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

evidence = table(
    "release_evidence",
    Column("release_id", String(36), ForeignKey("releases.id"), primary_key=True),
    Column("evaluation_id", String(36), primary_key=True),
    project_column(),
    Column("digest", String(64), nullable=False),
    Column("summary", Json, nullable=False),
    Column("created_at", UtcTime(), nullable=False),
    subject=None,
    keep_days=None,
)

edges = table(
    "lineage_edges",
    Column("project_id", String(36), primary_key=True),
    Column("source_kind", String(24), primary_key=True),
    Column("source_id", String(120), primary_key=True),
    Column("target_kind", String(24), primary_key=True),
    Column("target_id", String(120), primary_key=True),
    Column("relation", String(60), nullable=False),
    Column("source_title", String(200), nullable=False),
    Column("target_title", String(200), nullable=False),
    Index("ix_lineage_edges_target", "project_id", "target_kind", "target_id"),
    subject=None,
    keep_days=None,
)
