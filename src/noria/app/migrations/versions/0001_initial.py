"""Initial."""
# ruff: noqa: PLR0915 - one statement a table, index and column

import sqlalchemy as sa
from alembic import op

from noria.stores.sql import Json, UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("verb", sa.String(length=80), nullable=False),
        sa.Column("target_kind", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        info={"subject": "actor_id", "keep_days": None},
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_project_id"), ["project_id"], unique=False)
        batch_op.create_index("ix_audit_target", ["project_id", "target_kind", "target_id"], unique=False)

    op.create_table(
        "changes",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_changes")),
        info={"subject": None, "keep_days": None},
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("known_as", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("about", Json, nullable=False),
        sa.Column("sealing_job", sa.String(length=36), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_datasets_project_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_datasets_project_id"), ["project_id"], unique=False)

    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("gate", Json, nullable=False),
        sa.Column("self_approval", sa.Boolean(), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_endpoints_project_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_endpoints_project_id"), ["project_id"], unique=False)

    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("before_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("proof", Json, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        info={"subject": "subject_id", "keep_days": None},
    )
    with op.batch_alter_table("erasures", schema=None) as batch_op:
        batch_op.create_index("ix_erasures_digest", ["project_id", "digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_erasures_project_id"), ["project_id"], unique=False)

    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_version_id", sa.String(length=36), nullable=False),
        sa.Column("dataset", sa.String(length=200), nullable=False),
        sa.Column("split", sa.String(length=64), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=True),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("release_id", sa.String(length=36), nullable=False),
        sa.Column("release_digest", sa.String(length=64), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("report", Json, nullable=True),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.create_index("ix_evaluations_dataset_version_id_split", ["dataset_version_id", "split"], unique=False)
        batch_op.create_index(batch_op.f("ix_evaluations_project_id"), ["project_id"], unique=False)

    op.create_table(
        "failed_logins",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_failed_logins")),
        info={"subject": None, "keep_days": 1},
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("args", Json, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("result", Json, nullable=True),
        sa.Column("error", Json, nullable=True),
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        info={"subject": None, "keep_days": 365},
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_project_id"), ["project_id"], unique=False)
        batch_op.create_index("ix_jobs_state_id", ["state", "id"], unique=False)

    op.create_table(
        "lineage_edges",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("source_kind", sa.String(length=24), nullable=False),
        sa.Column("source_id", sa.String(length=120), nullable=False),
        sa.Column("target_kind", sa.String(length=24), nullable=False),
        sa.Column("target_id", sa.String(length=120), nullable=False),
        sa.Column("relation", sa.String(length=60), nullable=False),
        sa.Column("source_title", sa.String(length=200), nullable=False),
        sa.Column("target_title", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "source_kind", "source_id", "target_kind", "target_id", name=op.f("pk_lineage_edges")
        ),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("lineage_edges", schema=None) as batch_op:
        batch_op.create_index("ix_lineage_edges_target", ["project_id", "target_kind", "target_id"], unique=False)

    op.create_table(
        "media",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content_type", sa.String(length=150), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("uploaded_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_media")),
        info={"subject": None, "keep_days": None},
    )
    op.create_table(
        "media_uses",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("media_id", sa.String(length=22), nullable=False),
        sa.Column("trace_id", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "media_id", "trace_id", name=op.f("pk_media_uses")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("media_uses", schema=None) as batch_op:
        batch_op.create_index("ix_media_uses_trace", ["project_id", "trace_id"], unique=False)

    op.create_table(
        "models",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_models_project_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_models_project_id"), ["project_id"], unique=False)

    op.create_table(
        "people",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
        info={"subject": "id", "keep_days": None},
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("limits", Json, nullable=False),
        sa.Column("keep_span_days", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
        info={"subject": None, "keep_days": None},
    )
    op.create_table(
        "prompts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("known_as", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_prompts_project_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("prompts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prompts_project_id"), ["project_id"], unique=False)

    op.create_table(
        "providers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("base_url", sa.String(length=2000), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("balance", sa.String(length=16), nullable=False),
        sa.Column("input_micros", sa.BigInteger(), nullable=False),
        sa.Column("output_micros", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_providers_project_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("providers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_providers_project_id"), ["project_id"], unique=False)

    op.create_table(
        "saved_views",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("q", sa.Text(), nullable=False),
        sa.Column("traffic", sa.String(length=16), nullable=False),
        sa.Column("columns", Json, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("project_id", "person_id", "name", name=op.f("uq_saved_views_project_id_person_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("saved_views", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_saved_views_person_id"), ["person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_saved_views_project_id"), ["project_id"], unique=False)

    op.create_table(
        "training_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("base_version_id", sa.String(length=36), nullable=False),
        sa.Column("base", sa.String(length=120), nullable=False),
        sa.Column("dataset_version_id", sa.String(length=36), nullable=False),
        sa.Column("dataset", sa.String(length=120), nullable=False),
        sa.Column("split", sa.String(length=64), nullable=False),
        sa.Column("prompt_version_id", sa.String(length=36), nullable=False),
        sa.Column("prompt", sa.String(length=120), nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("model_version_id", sa.String(length=36), nullable=True),
        sa.Column("model_version", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_runs")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("training_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_training_runs_dataset_version_id"), ["dataset_version_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_training_runs_model_version_id"), ["model_version_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_training_runs_project_id"), ["project_id"], unique=False)

    op.create_table(
        "dataset_items",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.Column("example", Json, nullable=True),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_items_dataset_id_datasets")),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_dataset_items")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("dataset_items", schema=None) as batch_op:
        batch_op.create_index("ix_dataset_items_waiting", ["dataset_id", "waiting"], unique=False)

    op.create_table(
        "dataset_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("about", Json, nullable=True),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_runs_dataset_id_datasets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_runs")),
        sa.UniqueConstraint("dataset_id", "name", name=op.f("uq_dataset_runs_dataset_id_name")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("dataset_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_runs_project_id"), ["project_id"], unique=False)

    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("dataset_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("operation", sa.String(length=32), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("splits", Json, nullable=False),
        sa.Column("parts", Json, nullable=False),
        sa.Column("report", Json, nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_versions_dataset_id_datasets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("dataset_id", "number", name=op.f("uq_dataset_versions_dataset_id_number")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.create_index("ix_dataset_versions_job_id", ["job_id"], unique=False)
        batch_op.create_index("ix_dataset_versions_parent_id", ["parent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_dataset_versions_project_id"), ["project_id"], unique=False)

    op.create_table(
        "endpoint_policies",
        sa.Column("endpoint_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("policy", Json, nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_endpoint_policies_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "version", name=op.f("pk_endpoint_policies")),
        info={"subject": "author_id", "keep_days": None},
    )
    with op.batch_alter_table("endpoint_policies", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_endpoint_policies_project_id"), ["project_id"], unique=False)

    op.create_table(
        "evaluation_comparisons",
        sa.Column("a_id", sa.String(length=36), nullable=False),
        sa.Column("b_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("result", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["a_id"], ["evaluations.id"], name=op.f("fk_evaluation_comparisons_a_id_evaluations"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["b_id"], ["evaluations.id"], name=op.f("fk_evaluation_comparisons_b_id_evaluations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("a_id", "b_id", name=op.f("pk_evaluation_comparisons")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("evaluation_comparisons", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evaluation_comparisons_project_id"), ["project_id"], unique=False)

    op.create_table(
        "evaluation_results",
        sa.Column("evaluation_id", sa.String(length=36), nullable=False),
        sa.Column("row_id", sa.String(length=200), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("scores", Json, nullable=False),
        sa.Column("correct", sa.Boolean(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("finish_reason", sa.String(length=32), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_evaluation_results_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "row_id", name=op.f("pk_evaluation_results")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("evaluation_results", schema=None) as batch_op:
        batch_op.create_index(
            "ix_evaluation_results_evaluation_id_position", ["evaluation_id", "position"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_evaluation_results_project_id"), ["project_id"], unique=False)

    op.create_table(
        "job_points",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_points_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "step", name=op.f("pk_job_points")),
        info={"subject": None, "keep_days": 365},
    )
    with op.batch_alter_table("job_points", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_points_project_id"), ["project_id"], unique=False)

    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("release", sa.String(length=200), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("limits", Json, nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_keys_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys_digest")),
        info={"subject": "person_id", "keep_days": None},
    )
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_keys_project_id"), ["project_id"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_memberships_person_id_people")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_memberships_project_id_projects")),
        sa.PrimaryKeyConstraint("project_id", "person_id", name=op.f("pk_memberships")),
        info={"subject": "person_id", "keep_days": None},
    )
    op.create_table(
        "model_versions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("base_version_id", sa.String(length=36), nullable=True),
        sa.Column("lineage", Json, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["base_version_id"], ["model_versions.id"], name=op.f("fk_model_versions_base_version_id_model_versions")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_model_versions_model_id_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("model_id", "number", name=op.f("uq_model_versions_model_id_number")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("model_versions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_model_versions_project_id"), ["project_id"], unique=False)

    op.create_table(
        "prompt_versions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("prompt_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("messages", Json, nullable=False),
        sa.Column("config", Json, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_prompt_versions_prompt_id_prompts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_versions")),
        sa.UniqueConstraint("prompt_id", "number", name=op.f("uq_prompt_versions_prompt_id_number")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("prompt_versions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prompt_versions_project_id"), ["project_id"], unique=False)

    op.create_table(
        "provider_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("provider_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_provider_keys_provider_id_providers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_keys")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("provider_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_provider_keys_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_provider_keys_provider_id"), ["provider_id"], unique=False)

    op.create_table(
        "rollout_events",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("endpoint_id", sa.String(length=36), nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_rollout_events_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_events")),
        info={"subject": "actor_id", "keep_days": None},
    )
    with op.batch_alter_table("rollout_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollout_events_endpoint_id"), ["endpoint_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_rollout_events_project_id"), ["project_id"], unique=False)

    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sessions_person_id_people")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
        info={"subject": "person_id", "keep_days": 30},
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_person_id"), ["person_id"], unique=False)

    op.create_table(
        "dataset_run_items",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("item_id", sa.String(length=120), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("observation_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["dataset_runs.id"], name=op.f("fk_dataset_run_items_run_id_dataset_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_run_items")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("dataset_run_items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_run_items_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_dataset_run_items_run_id"), ["run_id"], unique=False)

    op.create_table(
        "key_projects",
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_projects_key_id_keys")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_key_projects_project_id_projects")),
        sa.PrimaryKeyConstraint("key_id", "project_id", name=op.f("pk_key_projects")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("key_projects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_key_projects_project_id"), ["project_id"], unique=False)

    op.create_table(
        "prompt_labels",
        sa.Column("prompt_id", sa.String(length=36), nullable=False),
        sa.Column("label", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("version_id", sa.String(length=36), nullable=False),
        sa.Column("moved_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_prompt_labels_prompt_id_prompts")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["prompt_versions.id"], name=op.f("fk_prompt_labels_version_id_prompt_versions")
        ),
        sa.PrimaryKeyConstraint("prompt_id", "label", name=op.f("pk_prompt_labels")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("prompt_labels", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prompt_labels_project_id"), ["project_id"], unique=False)

    op.create_table(
        "releases",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("endpoint_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("provider_id", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("model_version_id", sa.String(length=36), nullable=True),
        sa.Column("prompt_version_id", sa.String(length=36), nullable=True),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("input_micros", sa.BigInteger(), nullable=False),
        sa.Column("output_micros", sa.BigInteger(), nullable=False),
        sa.Column("cached_micros", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_micros", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_1h_micros", sa.BigInteger(), nullable=True),
        sa.Column("long_prompts", Json, nullable=False),
        sa.Column("price_version", sa.String(length=40), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("touched_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_releases_endpoint_id_endpoints")),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_releases_model_version_id_model_versions")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"], ["prompt_versions.id"], name=op.f("fk_releases_prompt_version_id_prompt_versions")
        ),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_releases_provider_id_providers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("endpoint_id", "number", name=op.f("uq_releases_endpoint_id_number")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_releases_project_id"), ["project_id"], unique=False)

    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("release_id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_approvals_release_id_releases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("release_id", "digest", "person_id", name=op.f("uq_approvals_release_id_digest_person_id")),
        info={"subject": "person_id", "keep_days": None},
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approvals_project_id"), ["project_id"], unique=False)

    op.create_table(
        "gate_results",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("release_id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("clauses", Json, nullable=False),
        sa.Column("p_value", sa.Float(), nullable=True),
        sa.Column("evaluation_id", sa.String(length=36), nullable=False),
        sa.Column("incumbent_evaluation_id", sa.String(length=36), nullable=False),
        sa.Column("incumbent_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_gate_results_release_id_releases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_results")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("gate_results", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gate_results_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_gate_results_release_id"), ["release_id"], unique=False)

    op.create_table(
        "release_evidence",
        sa.Column("release_id", sa.String(length=36), nullable=False),
        sa.Column("evaluation_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_evidence_release_id_releases")),
        sa.PrimaryKeyConstraint("release_id", "evaluation_id", name=op.f("pk_release_evidence")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("release_evidence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_evidence_project_id"), ["project_id"], unique=False)

    op.create_table(
        "rollouts",
        sa.Column("endpoint_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("primary_id", sa.String(length=36), nullable=True),
        sa.Column("canary_id", sa.String(length=36), nullable=True),
        sa.Column("canary_share", sa.Float(), nullable=False),
        sa.Column("shadow_id", sa.String(length=36), nullable=True),
        sa.Column("shadow_share", sa.Float(), nullable=False),
        sa.Column("previous", Json, nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["canary_id"], ["releases.id"], name=op.f("fk_rollouts_canary_id_releases")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_rollouts_endpoint_id_endpoints")),
        sa.ForeignKeyConstraint(["primary_id"], ["releases.id"], name=op.f("fk_rollouts_primary_id_releases")),
        sa.ForeignKeyConstraint(["shadow_id"], ["releases.id"], name=op.f("fk_rollouts_shadow_id_releases")),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_rollouts")),
        info={"subject": None, "keep_days": None},
    )
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollouts_project_id"), ["project_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rollouts_project_id"))

    op.drop_table("rollouts")
    with op.batch_alter_table("release_evidence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_evidence_project_id"))

    op.drop_table("release_evidence")
    with op.batch_alter_table("gate_results", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gate_results_release_id"))
        batch_op.drop_index(batch_op.f("ix_gate_results_project_id"))

    op.drop_table("gate_results")
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_approvals_project_id"))

    op.drop_table("approvals")
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_releases_project_id"))

    op.drop_table("releases")
    with op.batch_alter_table("prompt_labels", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prompt_labels_project_id"))

    op.drop_table("prompt_labels")
    with op.batch_alter_table("key_projects", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_key_projects_project_id"))

    op.drop_table("key_projects")
    with op.batch_alter_table("dataset_run_items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_run_items_run_id"))
        batch_op.drop_index(batch_op.f("ix_dataset_run_items_project_id"))

    op.drop_table("dataset_run_items")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sessions_person_id"))

    op.drop_table("sessions")
    with op.batch_alter_table("rollout_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rollout_events_project_id"))
        batch_op.drop_index(batch_op.f("ix_rollout_events_endpoint_id"))

    op.drop_table("rollout_events")
    with op.batch_alter_table("provider_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_provider_keys_provider_id"))
        batch_op.drop_index(batch_op.f("ix_provider_keys_project_id"))

    op.drop_table("provider_keys")
    with op.batch_alter_table("prompt_versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prompt_versions_project_id"))

    op.drop_table("prompt_versions")
    with op.batch_alter_table("model_versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_model_versions_project_id"))

    op.drop_table("model_versions")
    op.drop_table("memberships")
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_keys_project_id"))

    op.drop_table("keys")
    with op.batch_alter_table("job_points", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_points_project_id"))

    op.drop_table("job_points")
    with op.batch_alter_table("evaluation_results", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evaluation_results_project_id"))
        batch_op.drop_index("ix_evaluation_results_evaluation_id_position")

    op.drop_table("evaluation_results")
    with op.batch_alter_table("evaluation_comparisons", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evaluation_comparisons_project_id"))

    op.drop_table("evaluation_comparisons")
    with op.batch_alter_table("endpoint_policies", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_endpoint_policies_project_id"))

    op.drop_table("endpoint_policies")
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_versions_project_id"))
        batch_op.drop_index("ix_dataset_versions_parent_id")
        batch_op.drop_index("ix_dataset_versions_job_id")

    op.drop_table("dataset_versions")
    with op.batch_alter_table("dataset_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_runs_project_id"))

    op.drop_table("dataset_runs")
    with op.batch_alter_table("dataset_items", schema=None) as batch_op:
        batch_op.drop_index("ix_dataset_items_waiting")

    op.drop_table("dataset_items")
    with op.batch_alter_table("training_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_training_runs_project_id"))
        batch_op.drop_index(batch_op.f("ix_training_runs_model_version_id"))
        batch_op.drop_index(batch_op.f("ix_training_runs_dataset_version_id"))

    op.drop_table("training_runs")
    with op.batch_alter_table("saved_views", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_saved_views_project_id"))
        batch_op.drop_index(batch_op.f("ix_saved_views_person_id"))

    op.drop_table("saved_views")
    with op.batch_alter_table("providers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_providers_project_id"))

    op.drop_table("providers")
    with op.batch_alter_table("prompts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prompts_project_id"))

    op.drop_table("prompts")
    op.drop_table("projects")
    op.drop_table("people")
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_models_project_id"))

    op.drop_table("models")
    with op.batch_alter_table("media_uses", schema=None) as batch_op:
        batch_op.drop_index("ix_media_uses_trace")

    op.drop_table("media_uses")
    op.drop_table("media")
    with op.batch_alter_table("lineage_edges", schema=None) as batch_op:
        batch_op.drop_index("ix_lineage_edges_target")

    op.drop_table("lineage_edges")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_state_id")
        batch_op.drop_index(batch_op.f("ix_jobs_project_id"))

    op.drop_table("jobs")
    op.drop_table("failed_logins")
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evaluations_project_id"))
        batch_op.drop_index("ix_evaluations_dataset_version_id_split")

    op.drop_table("evaluations")
    with op.batch_alter_table("erasures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_erasures_project_id"))
        batch_op.drop_index("ix_erasures_digest")

    op.drop_table("erasures")
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_endpoints_project_id"))

    op.drop_table("endpoints")
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_datasets_project_id"))

    op.drop_table("datasets")
    op.drop_table("changes")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_target")
        batch_op.drop_index(batch_op.f("ix_audit_project_id"))

    op.drop_table("audit")
