"""Lineage: what went into what, as edges between nodes, and walks along them in both directions.

Slices write edges where they make something (`record`), or answer for their own nodes when asked (a hook in the manifest:
`(stores, project_id, kind, id) -> list[Edge]`), where edges would be as many as rows. A walk asks both. Nodes are
(kind, id); a release may also be named "assistant@2", a model version "calls-lora:1".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Literal

from sqlalchemy import Connection, String, cast, func, insert, select, update

from noria.core.errors import BadInput, NotFound
from noria.core.slices import Edge, Slice, resolve
from noria.registry import tables
from noria.registry.naming import number_of
from noria.registry.records import Walk
from noria.stores.connect import Stores

Direction = Literal["back", "forward"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("back", "forward")
Hook = Callable[[Stores, str, str, str], list[Edge]]

MOST_NODES = 400
MOST_AT_ONCE = 50
"""Of one node's neighbours; a dataset version has as many rows as it likes."""

KINDS: Final[dict[str, str]] = {
    "trace": "answer",
    "score": "feedback",
    "row": "row",
    "dataset_version": "dataset version",
    "training_run": "training run",
    "model_version": "model version",
    "prompt_version": "prompt version",
    "evaluation": "evaluation",
    "release": "release",
    "file": "file",
}
"""Kinds of nodes and what people call them."""

_SENTENCES: Final[dict[tuple[str, str], str]] = {
    ("release", "trace"): "{target} was given by {source}.",
    ("model_version", "release"): "{target} runs {source}.",
    ("prompt_version", "release"): "{target} speaks with {source}.",
    ("training_run", "model_version"): "{target} was made by {source}.",
    ("model_version", "model_version"): "{target} is based on {source}.",
    ("dataset_version", "training_run"): "{target} learned from {source}.",
    ("prompt_version", "training_run"): "{target} used {source}.",
    ("model_version", "training_run"): "{target} started from {source}.",
    ("dataset_version", "dataset_version"): "{target} was made from {source}.",
    ("dataset_version", "evaluation"): "{target} was measured on {source}.",
    ("release", "evaluation"): "{target} measured {source}.",
    ("row", "dataset_version"): "{target} holds {source}.",
    ("row", "row"): "{target} was made from {source}.",
    ("trace", "row"): "{target} was collected from {source}.",
    ("score", "row"): "{target} was written from {source}.",
    ("trace", "score"): "{target} judges {source}.",
    ("trace", "dataset_version"): "{target} was collected from {source}.",
    ("file", "dataset_version"): "{target} was imported from {source}.",
}


def record(connection: Connection, project_id: str, edges: Iterable[Edge]) -> None:
    """Write edges in the transaction that makes their target; one that is there already only gets titles it lacks."""
    table = tables.edges
    for edge in edges:
        row = {"project_id": project_id, **asdict(edge)}
        row["relation"] = edge.relation[:60]
        row["source_title"], row["target_title"] = edge.source_title[:200], edge.target_title[:200]
        here = [table.c[c.name] == row[c.name] for c in table.primary_key]
        there = connection.execute(select(table.c.source_title, table.c.target_title).where(*here)).mappings().first()
        if there is None:
            connection.execute(insert(table).values(row))
        elif better := {name: row[name] for name, title in there.items() if not title and row[name]}:
            connection.execute(update(table).where(*here).values(better))


def hooks(slices: Sequence[Slice]) -> list[Hook]:
    """What the manifests of `slices` can be asked."""
    return [resolve(part.lineage) for part in slices if part.lineage]


def walk(
    stores: Stores,
    project_id: str,
    kind: str,
    node_id: str,
    *,
    direction: Direction = "back",
    depth: int = 8,
    hooks: Sequence[Hook] = (),
) -> Walk:
    """Everything that went into the node (back), or that it went into (forward), breadth first.

    Raises BadInput for a kind that nobody knows, NotFound for a release or model version named but not there.
    """
    if kind not in KINDS:
        raise BadInput(f"There is no kind {kind[:40]!r}.", hint=f"One of {', '.join(KINDS)}.")
    start = (kind, _id_of(stores, project_id, kind, node_id))
    seen = {start: 0}
    found: dict[tuple[str, str, str, str], Edge] = {}
    said: list[Edge] = []
    level, truncated = [start], False
    for distance in range(1, depth + 1):
        following: list[tuple[str, str]] = []
        for node in level:
            edges = _edges(stores, project_id, node, direction, hooks)
            truncated = truncated or len(edges) > MOST_AT_ONCE
            said += edges
            for edge in edges[:MOST_AT_ONCE]:
                found.setdefault((edge.source_kind, edge.source_id, edge.target_kind, edge.target_id), edge)
                other = _other(edge, direction)
                if other not in seen:
                    seen[other] = distance
                    following.append(other)
        level = following
        if not level or len(seen) > MOST_NODES:
            truncated = truncated or bool(level)
            break
    del seen[start]
    titles = _titles(stores, project_id, [start, *seen], said)
    titled = [
        replace(
            edge,
            source_title=titles[edge.source_kind, edge.source_id],
            target_title=titles[edge.target_kind, edge.target_id],
        )
        for edge in found.values()
    ]
    return Walk(
        kind=start[0],
        id=start[1],
        title=titles[start],
        direction=direction,
        nodes=[{"kind": k, "id": i, "title": titles[k, i], "depth": distance} for (k, i), distance in seen.items()],
        edges=[asdict(edge) for edge in titled],
        readable=[sentence(edge) for edge in titled],
        truncated=truncated,
    )


def sentence(edge: Edge) -> str:
    """The edge in words: "Release assistant@2 runs model version calls-lora:1."."""
    source = _called(edge.source_kind, edge.source_title or _short(edge.source_id))
    target = _called(edge.target_kind, edge.target_title or _short(edge.target_id))
    form = _SENTENCES.get((edge.source_kind, edge.target_kind), f"{{target}}: {edge.relation} {{source}}.")
    words = form.format(source=source, target=target)
    return words[0].upper() + words[1:]


def _called(kind: str, title: str) -> str:
    """ "training run 7" of a run titled "run 7", "release assistant@2" of one titled "assistant@2"."""
    noun = KINDS.get(kind, kind)
    return f"{noun} {title.removeprefix(noun.rpartition(' ')[2] + ' ')}"


def _short(node_id: str) -> str:
    return node_id if len(node_id) <= 12 else f"{node_id[:8]}…"


def _other(edge: Edge, direction: Direction) -> tuple[str, str]:
    """Where the edge leads."""
    if direction == "back":
        return edge.source_kind, edge.source_id
    return edge.target_kind, edge.target_id


def _edges(
    stores: Stores, project_id: str, node: tuple[str, str], direction: Direction, hooks: Sequence[Hook]
) -> list[Edge]:
    """Edges that lead on from the node in that direction, written ones first."""
    table = tables.edges
    side = "target" if direction == "back" else "source"
    query = select(*(table.c[name] for name in Edge.__slots__)).where(
        table.c.project_id == project_id, table.c[f"{side}_kind"] == node[0], table.c[f"{side}_id"] == node[1]
    )
    with stores.database.read() as connection:
        found = [Edge(**row) for row in connection.execute(query.limit(MOST_AT_ONCE + 1)).mappings()]
    for hook in hooks:
        found += hook(stores, project_id, *node)
    leading = [edge for edge in found if (getattr(edge, f"{side}_kind"), getattr(edge, f"{side}_id")) == node]
    # Rows and answers come last, where a limit may cut: there can be thousands, and one version beside them matters more.
    return sorted(leading, key=lambda edge: _other(edge, direction)[0] in {"row", "trace", "score"})


def _titles(
    stores: Stores, project_id: str, nodes: Sequence[tuple[str, str]], edges: Iterable[Edge]
) -> dict[tuple[str, str], str]:
    """What people call the nodes: registry's own by their names now, others by what their slice said."""
    titles = dict.fromkeys(nodes, "")
    for edge in edges:
        for node, title in (
            ((edge.source_kind, edge.source_id), edge.source_title),
            ((edge.target_kind, edge.target_id), edge.target_title),
        ):
            titles[node] = titles.get(node) or title
    with stores.database.read() as connection:
        for kind in ("release", "model_version", "prompt_version"):
            ids = [node_id for found, node_id in titles if found == kind]
            for node_id, title in connection.execute(_named(kind, project_id, ids)):
                titles[kind, node_id] = title
    return titles


def _named(kind: str, project_id: str, ids: Sequence[str]) -> Any:
    """Select of (id, title) of registry's own nodes."""
    table, parent, key, sign = {
        "release": (tables.releases, tables.endpoints, "endpoint_id", "@"),
        "model_version": (tables.model_versions, tables.models, "model_id", ":"),
        "prompt_version": (tables.prompt_versions, tables.prompts, "prompt_id", "@"),
    }[kind]
    title = parent.c.name + sign + cast(table.c.number, String)
    joined = table.join(parent, parent.c.id == table.c[key])
    return (
        select(table.c.id, func.coalesce(title, ""))
        .select_from(joined)
        .where(table.c.project_id == project_id, table.c.id.in_(ids))
    )


def _id_of(stores: Stores, project_id: str, kind: str, node_id: str) -> str:
    """The id of a node that may be given by name. Raises NotFound for a name that is not there."""
    signs = {"release": "@", "prompt_version": "@", "model_version": ":"}
    name, found, version = node_id.rpartition(signs.get(kind, "\0"))
    if not found:
        return node_id
    table, parent, key = {
        "release": (tables.releases, tables.endpoints, "endpoint_id"),
        "model_version": (tables.model_versions, tables.models, "model_id"),
        "prompt_version": (tables.prompt_versions, tables.prompts, "prompt_id"),
    }[kind]
    query = (
        select(table.c.id)
        .select_from(table.join(parent, parent.c.id == table.c[key]))
        .where(parent.c.project_id == project_id, parent.c.name == name, table.c.number == (number_of(version) or 0))
    )
    with stores.database.read() as connection:
        known = connection.execute(query).scalar()
    if known is None:
        raise NotFound(f"There is no {KINDS[kind]} {node_id[:80]!r}.")
    return str(known)
