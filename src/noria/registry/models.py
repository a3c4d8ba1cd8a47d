"""Models and their versions: files by digest, what they are based on, and what they were made of.

Versions are added by training and at the start of an installation, never by a request: a file that an engine maps comes from
a job or a package, not from whoever can reach the API.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Select, String, cast, func, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, NotFound
from noria.core.slices import Edge
from noria.governance import audit
from noria.registry import lineage as edges
from noria.registry import providers, tables
from noria.registry.naming import check_name, number_of, split_reference
from noria.registry.records import Model, ModelVersion
from noria.stores.connect import Stores
from noria.web import paging

MODEL_FILE, ADAPTER_FILE = "model_gguf", "adapter_gguf"
"""Roles of the files that a local engine loads."""


def add_model_version(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    kind: str,
    files: Sequence[Mapping[str, Any]],
    base_id: str | None,
    lineage: Mapping[str, Any],
    actor_id: str,
) -> ModelVersion:
    """Register the next version of the model `name` (made if it is new).

    `files` are {"name", "sha256", "size", "role"}; `lineage` may have training_run_id, dataset_version_id,
    prompt_version_id, recipe, parameters, code_version, seed, metrics. Raises BadInput.
    """
    check_name(name, "model")
    base = get_model_version(connection, project_id, base_id) if base_id else None
    kept = [_checked(file) for file in files]
    if kind not in {"base", "adapter", "merged"}:
        raise BadInput(f"There is no kind of model version {kind[:40]!r}.", hint="One of base, adapter, merged.")
    if kind == "adapter" and base is None:
        raise BadInput("An adapter names the version that it is based on.", hint="Give base_id.")
    model_id = _model_id(connection, project_id, name)
    number = _next_number(connection, model_id)
    version_id = ids.new_id()
    connection.execute(
        insert(tables.model_versions).values(
            id=version_id,
            project_id=project_id,
            model_id=model_id,
            number=number,
            kind=kind,
            files=kept,
            base_version_id=base_id,
            lineage=dict(lineage),
            digest=_digest(kind, kept, base.digest if base else ""),
            author_id=actor_id,
            created_at=clock.now(),
        )
    )
    version = get_model_version(connection, project_id, version_id)
    edges.record(connection, project_id, _edges(version))
    audit.record(
        connection,
        project_id=project_id,
        actor_id=actor_id,
        verb="model.version",
        target_kind="model_version",
        target_id=version_id,
        details={"name": version.name, "kind": kind},
    )
    return version


def ensure_local_base(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    path: str,
    sha256: str,
    size: int,
    title: str = "",
    licence: str = "",
) -> ModelVersion:
    """Register a base model whose file lies at `path`, and the provider "local"; safe to call at every start.

    A file that has moved since gets its new path: its digest is what counts, the path only says where it lies.
    """
    providers.ensure_local(connection, project_id)
    file = {"name": name, "sha256": sha256, "size": size, "role": MODEL_FILE, "path": path}
    for row in connection.execute(_versions(project_id).where(tables.models.c.name == name)).mappings():
        version = ModelVersion(**row)
        if version.files and version.files[0]["sha256"] == sha256:
            if version.files[0].get("path") != path:
                here = tables.model_versions.c.id == version.id
                connection.execute(update(tables.model_versions).where(here).values(files=[file]))
            return get_model_version(connection, project_id, version.id)
    made_of = {key: value for key, value in (("title", title), ("licence", licence)) if value}
    return add_model_version(
        connection,
        project_id=project_id,
        name=name,
        kind="base",
        files=[file],
        base_id=None,
        lineage=made_of,
        actor_id="",
    )


def list_models(stores: Stores, project_id: str, *, limit: int = 50, cursor: str | None = None) -> paging.Page[Model]:
    """By name."""
    query = _models(project_id)
    if after := paging.decode(cursor, str):
        query = query.where(tables.models.c.name > after[0])
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.models.c.name).limit(limit + 1)).mappings()
        found = [Model(**row) for row in rows]
    return paging.cut(found, limit, lambda model: [model.name])


def model_versions(stores: Stores, project_id: str, name: str) -> list[ModelVersion]:
    """All versions of a model, newest first. Raises NotFound."""
    query = _versions(project_id).where(tables.models.c.name == name)
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.model_versions.c.number.desc())).mappings().all()
    if not rows:
        raise NotFound(f"There is no model {name[:80]!r}.", hint="GET /api/models lists those that there are.")
    return [ModelVersion(**row) for row in rows]


def get_model_version(connection: Connection, project_id: str, version_id: str) -> ModelVersion:
    """By id. Raises NotFound."""
    query = _versions(project_id).where(tables.model_versions.c.id == version_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such model version.")
    return ModelVersion(**row)


def find_model_version(connection: Connection, project_id: str, reference: str) -> ModelVersion:
    """The version that "calls-lora:1" names. Raises BadInput, NotFound."""
    name, version = split_reference(reference, ":", example="calls-lora:1")
    query = _versions(project_id).where(
        tables.models.c.name == name, tables.model_versions.c.number == (number_of(version) or 0)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no model version {reference[:80]!r}.", hint="GET /api/models lists them.")
    return ModelVersion(**row)


def file_of(version: ModelVersion, role: str) -> dict[str, Any] | None:
    """The version's file with that role."""
    return next((file for file in version.files if file["role"] == role), None)


def _checked(file: Mapping[str, Any]) -> dict[str, Any]:
    digest = str(file.get("sha256", ""))
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise BadInput("A model's file names its sha256 as 64 hex digits.")
    kept = {"name": str(file["name"]), "sha256": digest, "size": int(file["size"]), "role": str(file["role"])}
    return {**kept, "path": str(file["path"])} if file.get("path") else kept


def _digest(kind: str, files: Sequence[Mapping[str, Any]], base: str) -> str:
    content = {"kind": kind, "files": sorted([file["role"], file["sha256"]] for file in files), "base": base}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _model_id(connection: Connection, project_id: str, name: str) -> str:
    """The id of the model, locked until the transaction ends."""
    table = tables.models
    query = select(table.c.id).where(table.c.project_id == project_id, table.c.name == name).with_for_update()
    found: str | None = connection.execute(query).scalar()
    if found is not None:
        return found
    made = ids.new_id()
    connection.execute(insert(table).values(id=made, project_id=project_id, name=name, created_at=clock.now()))
    return made


def _next_number(connection: Connection, model_id: str) -> int:
    table = tables.model_versions
    latest = select(func.coalesce(func.max(table.c.number), 0)).where(table.c.model_id == model_id)
    return int(connection.execute(latest).scalar_one()) + 1


def _edges(version: ModelVersion) -> list[Edge]:
    """What the version's lineage says, as edges."""
    found = []
    run = str(version.lineage.get("training_run_id") or "")
    if version.base_version_id:
        source = ("model_version", version.base_version_id)
        found.append(Edge(*source, "model_version", version.id, "based on", version.base, version.name))
    if run:
        found.append(Edge("training_run", run, "model_version", version.id, "made by", "", version.name))
    for kind in ("dataset_version", "prompt_version"):
        if source_id := version.lineage.get(f"{kind}_id"):
            target = ("training_run", run) if run else ("model_version", version.id)
            found.append(Edge(kind, str(source_id), *target, "trained on", "", "" if run else version.name))
    return found


def _models(project_id: str) -> Select[Any]:
    version = tables.model_versions
    its = version.c.model_id == tables.models.c.id
    latest = select(func.coalesce(func.max(version.c.number), 0)).where(its).scalar_subquery()
    kind = select(version.c.kind).where(its).order_by(version.c.number.desc()).limit(1).scalar_subquery()
    columns = (tables.models, latest.label("latest"), func.coalesce(kind, "").label("kind"))
    return select(*columns).where(tables.models.c.project_id == project_id)


def _versions(project_id: str) -> Select[Any]:
    version = tables.model_versions
    base, base_model = version.alias("base"), tables.models.alias("base_model")
    joined = (
        version.join(tables.models, tables.models.c.id == version.c.model_id)
        .outerjoin(base, base.c.id == version.c.base_version_id)
        .outerjoin(base_model, base_model.c.id == base.c.model_id)
    )
    name = base_model.c.name + ":" + cast(base.c.number, String)
    return (
        select(version, tables.models.c.name.label("model"), func.coalesce(name, "").label("base"))
        .select_from(joined)
        .where(version.c.project_id == project_id)
    )
