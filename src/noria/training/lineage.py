"""What training knows of lineage: which dataset, prompt and base went into a run, and which model version came out."""

from sqlalchemy import or_, select

from noria.core.slices import Edge
from noria.stores.connect import Stores
from noria.training import tables

_MOST = 200


def edges(stores: Stores, project_id: str, kind: str, node_id: str) -> list[Edge]:
    """Edges that touch the node, newest runs first. A run that made nothing is told too: it read the rows."""
    table = tables.runs
    columns = {
        "training_run": [table.c.id],
        "dataset_version": [table.c.dataset_version_id],
        "prompt_version": [table.c.prompt_version_id],
        "model_version": [table.c.model_version_id, table.c.base_version_id],
    }.get(kind)
    if not columns or not node_id:
        return []
    query = select(table).where(table.c.project_id == project_id, or_(*(column == node_id for column in columns)))
    found: list[Edge] = []
    with stores.database.read() as connection:
        for row in connection.execute(query.order_by(table.c.id.desc()).limit(_MOST)):
            run = ("training_run", row.id)
            title = f"{row.recipe} on {row.dataset} {row.split}"
            found += [
                Edge("dataset_version", row.dataset_version_id, *run, "trained on", row.dataset, title),
                Edge("prompt_version", row.prompt_version_id, *run, "trained on", row.prompt, title),
                Edge("model_version", row.base_version_id, *run, "started from", row.base, title),
            ]
            if row.model_version_id:
                found.append(Edge(*run, "model_version", row.model_version_id, "made by", title, row.model_version))
    touching = {(kind, node_id)}
    return [e for e in found if touching & {(e.source_kind, e.source_id), (e.target_kind, e.target_id)}]
