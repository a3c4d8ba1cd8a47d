"""Saved views."""

import sqlalchemy as sa
from alembic import op

from noria.stores.sql import Json, UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
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


def downgrade() -> None:
    with op.batch_alter_table("saved_views", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_saved_views_project_id"))
        batch_op.drop_index(batch_op.f("ix_saved_views_person_id"))

    op.drop_table("saved_views")
