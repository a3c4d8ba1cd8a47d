"""What tracing knows of lineage: a release gave an answer, a judgement speaks of an answer.

Nothing is recorded for this: a span names its endpoint and the release that answered, a score names its trace. Of a release
only its newest answers are told, as many as a walk takes from one node.
"""

from collections.abc import Iterator
from typing import Any

from noria.core.errors import NotFound, Unavailable
from noria.core.slices import Edge
from noria.registry import service as registry
from noria.stores.connect import Stores
from noria.tracing import service
from noria.tracing.reading import ask

MOST = 51
"""One more than a walk takes from one node, so that it knows of the rest."""


def edges(stores: Stores, project_id: str, kind: str, id: str) -> list[Edge]:
    """The edges at the node (kind, id): trace, score or release; empty for others. Raises Unavailable."""
    if kind == "trace":
        return [*_given_by(stores, project_id, id), *_judged(stores, project_id, id)]
    if kind == "score":
        found = _ask(stores, project_id, "trace_id FROM scores FINAL", "score_id = {id:String}", id=id)
        return [edge for row in found for edge in _judged(stores, project_id, row["trace_id"]) if edge.target_id == id]
    if kind == "release":
        return list(_answers(stores, project_id, id))
    return []


def _given_by(stores: Stores, project_id: str, trace_id: str) -> Iterator[Edge]:
    wanted = "trace_id = {id:String} AND release > 0"
    each = "DISTINCT calls.endpoint AS endpoint, calls.release AS release FROM traces FINAL ARRAY JOIN calls"
    found = _ask(stores, project_id, each, wanted, id=trace_id)
    with stores.database.read() as connection:
        for row in found:
            try:
                release = registry.find_release(connection, project_id, row["endpoint"], row["release"])
            except NotFound:
                continue
            name = f"{row['endpoint']}@{row['release']}"
            yield Edge("release", release.id, "trace", trace_id, "answered", name, trace_id[:8])


def _judged(stores: Stores, project_id: str, trace_id: str) -> Iterator[Edge]:
    for score in service.scores_of(stores, project_id, [trace_id]).get(trace_id, []):
        yield Edge("trace", trace_id, "score", score.score_id, "judged", trace_id[:8], score.name)


def _answers(stores: Stores, project_id: str, release_id: str) -> Iterator[Edge]:
    with stores.database.read() as connection:
        try:
            release = registry.get_release_by_id(connection, project_id, release_id)
        except NotFound:
            return
    here = "arrayExists((e, r) -> e = {endpoint:String} AND r = {number:Int64}, calls.endpoint, calls.release)"
    wanted = f"{here} ORDER BY listed_ns DESC LIMIT {{most:UInt32}}"
    try:
        found = _ask(
            stores,
            project_id,
            "trace_id FROM traces FINAL",
            wanted,
            endpoint=release.endpoint,
            number=release.number,
            most=MOST,
        )
    except Unavailable:
        return  # what a release is made of can be told without its answers
    name = f"{release.endpoint}@{release.number}"
    for row in found:
        yield Edge("release", release_id, "trace", row["trace_id"], "answered", name, row["trace_id"][:8])


def _ask(stores: Stores, project_id: str, what: str, wanted: str, **values: object) -> list[dict[str, Any]]:
    sql = f"SELECT {what} WHERE project_id = {{project:String}} AND {wanted}"
    return ask(stores, sql, {"project": project_id, **values})
