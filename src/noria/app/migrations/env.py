"""What Alembic executes for each command: noria.app.schema hands it an open connection."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON

from noria.stores.sql import UtcTime, metadata


def _render(kind: str, item: Any, made: AutogenContext) -> str | Literal[False]:
    """Write our own types by their names, so that a migration reads like the tables it makes."""
    if kind == "type" and isinstance(item, UtcTime):
        made.imports.add("from noria.stores.sql import UtcTime")
        return "UtcTime()"
    if kind == "type" and isinstance(item, JSON):
        made.imports.add("from noria.stores.sql import Json")
        return "Json"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column: the table is copied instead
    compare_type=True,
    render_item=_render,
)
context.run_migrations()
