"""What evaluation knows of lineage: which dataset version and which release went into an evaluation."""

from sqlalchemy import select

from noria.core.slices import Edge
from noria.evaluation.tables import evaluations as table
from noria.stores.connect import Stores

_MOST = 200


def edges(stores: Stores, project_id: str, kind: str, node_id: str) -> list[Edge]:
    """Edges that touch the node, newest evaluations first; of baselines only those to their data."""
    column = {"evaluation": table.c.id, "dataset_version": table.c.dataset_version_id, "release": table.c.release_id}
    if kind not in column or not node_id:
        return []
    query = select(
        table.c.id, table.c.dataset_version_id, table.c.dataset, table.c.split, table.c.target, table.c.release_id
    ).where(table.c.project_id == project_id, column[kind] == node_id)
    found = []
    with stores.database.read() as connection:
        for row in connection.execute(query.order_by(table.c.id.desc()).limit(_MOST)):
            title = f"{row.target} on {row.dataset} {row.split}"
            data = Edge(
                "dataset_version", row.dataset_version_id, "evaluation", row.id, "evaluated on", row.dataset, title
            )
            found.append(data)
            if row.release_id:
                found.append(Edge("release", row.release_id, "evaluation", row.id, "evaluated by", row.target, title))
    return [
        edge
        for edge in found
        if (kind, node_id) in {(edge.source_kind, edge.source_id), (edge.target_kind, edge.target_id)}
    ]
