"""Releases: immutable bundles with a digest of all that can change an answer, and the states they move through.

    draft ──▶ evaluated ──▶ approved ──▶ canary, shadow ──▶ primary ──▶ retired
      └────────────┴────────────┴──▶ rejected, retired

A rollback takes a release back to approved, as does the end of a shadow. A shadow may become the canary. Only `move` writes a state, and it fails when somebody else has moved it since.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Select, String, cast, func, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.core.slices import Edge
from noria.governance import audit
from noria.governance.tables import people
from noria.registry import endpoints, engines, lineage, models, prices, prompts, providers, tables
from noria.registry.naming import number_of
from noria.registry.prices import PriceTable
from noria.registry.records import ModelVersion, PromptVersion, Provider, Release
from noria.stores import changes
from noria.stores.connect import Stores
from noria.web import paging

CANDIDATES: Final = ("draft", "evaluated", "approved")
"""States of releases that may still be released."""

_RESERVED = frozenset({"model", "messages", "prompt", "stream", "n", "noria"})
_MOST_PARAMETERS = 64_000


@dataclass(frozen=True, slots=True)
class _Content:
    """All that can change an answer."""

    provider: Provider
    model: str
    version: ModelVersion | None
    base: ModelVersion | None
    prompt: PromptVersion | None
    parameters: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """sha256 of canonical JSON: address and options, weights, prompt text, parameters."""
        weights = [one.digest if one else "" for one in (self.version, self.base)]
        prompt = self.prompt
        content = {
            "provider": [self.provider.kind, self.provider.base_url, self.provider.options],
            "model": self.model,
            "weights": weights,
            "prompt": [prompt.format, prompt.template, prompt.messages] if prompt else None,
            "parameters": dict(self.parameters),
        }
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def create_release(
    connection: Connection,
    *,
    project_id: str,
    endpoint: str,
    provider: str,
    model: str = "",
    model_version: str = "",
    prompt: str = "",
    parameters: Mapping[str, Any] | None = None,
    note: str = "",
    input_micros: int | None = None,
    output_micros: int | None = None,
    cached_micros: int | None = None,
    cache_write_micros: int | None = None,
    cache_write_1h_micros: int | None = None,
    known_prices: PriceTable | None = None,
    actor_id: str,
) -> Release:
    """Make the endpoint's next release, a draft.

    `model_version` is "name:number", `prompt` is "name@number" or "name@label" (resolved now, for good). Prices
    that nobody says are the provider's, else those of `known_prices` (this version's table when it is not given). Raises
    NotFound, BadInput.
    """
    into = endpoints.lock(connection, project_id, endpoint)
    where = providers.find_provider(connection, project_id, provider)
    version = models.find_model_version(connection, project_id, model_version) if model_version else None
    base_id = version.base_version_id if version else None
    base = models.get_model_version(connection, project_id, base_id) if base_id else None
    content = _Content(
        provider=where,
        model=_model_name(where, version, base, model),
        version=version,
        base=base,
        prompt=prompts.find_prompt_version(connection, project_id, prompt) if prompt else None,
        parameters=_checked_parameters(parameters or {}),
    )
    said = (input_micros, output_micros, cached_micros, cache_write_micros, cache_write_1h_micros)
    release_id, now = ids.new_id(), clock.now()
    price = prices.for_release(
        where,
        content.model,
        known_prices or prices.table(),
        dict(zip(prices.COLUMNS, said, strict=True)),
        f"{now:%Y-%m-%d}",
    )
    number = into.releases + 1
    connection.execute(
        insert(tables.releases).values(
            id=release_id,
            project_id=project_id,
            endpoint_id=into.id,
            number=number,
            state="draft",
            provider_id=where.id,
            model=content.model,
            model_version_id=version.id if version else None,
            prompt_version_id=content.prompt.id if content.prompt else None,
            parameters=content.parameters,
            note=note.strip()[:2000],
            digest=content.digest,
            **price,
            author_id=actor_id,
            created_at=now,
            touched_at=now,
        )
    )
    release = get_release_by_id(connection, project_id, release_id)
    _record_edges(connection, release)
    audit_release(connection, release, "release.create", actor_id=actor_id, details={"digest": release.digest})
    changes.bump(connection)
    return release


def get_release(stores: Stores, project_id: str, endpoint: str, number: int) -> Release:
    """Raises NotFound."""
    with stores.database.read() as connection:
        return find_release(connection, project_id, endpoint, number)


def find_release(connection: Connection, project_id: str, endpoint: str, number: int) -> Release:
    """The same within a transaction. Raises NotFound."""
    query = _select(project_id).where(tables.endpoints.c.name == endpoint, tables.releases.c.number == number)
    row = connection.execute(query).mappings().first()
    if row is None:
        known = endpoints.find_endpoint(connection, project_id, endpoint)
        raise NotFound(
            f"The endpoint {endpoint!r} has no release {number}.",
            hint=f"Its latest is {known.releases}." if known.releases else "Make one first.",
        )
    return Release(**row)


def resolve_release(stores: Stores, project_id: str, reference: str) -> Release:
    """The release that "assistant@2" names. Raises NotFound."""
    name, _, number = reference.rpartition("@")
    return get_release(stores, project_id, name, number_of(number) or 0)


def get_release_by_id(connection: Connection, project_id: str, release_id: str) -> Release:
    """Raises NotFound."""
    row = connection.execute(_select(project_id).where(tables.releases.c.id == release_id)).mappings().first()
    if row is None:
        raise NotFound("There is no such release.")
    return Release(**row)


def list_releases(
    stores: Stores, project_id: str, endpoint: str, *, limit: int = 50, cursor: str | None = None
) -> paging.Page[Release]:
    """Newest first. Raises NotFound when there is no such endpoint."""
    query = _select(project_id).where(tables.endpoints.c.name == endpoint)
    if after := paging.decode(cursor, int):
        query = query.where(tables.releases.c.number < after[0])
    with stores.database.read() as connection:
        endpoints.find_endpoint(connection, project_id, endpoint)
        rows = connection.execute(query.order_by(tables.releases.c.number.desc()).limit(limit + 1)).mappings()
        found = [Release(**row) for row in rows]
    return paging.cut(found, limit, lambda release: [release.number])


def newest_releases(stores: Stores, project_id: str, *, limit: int = 20) -> list[Release]:
    """Of all endpoints, newest first; those that can still be called."""
    query = _select(project_id).where(tables.releases.c.state.not_in(("retired", "rejected")))
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.releases.c.id.desc()).limit(limit)).mappings()
        return [Release(**row) for row in rows]


def current_digest(connection: Connection, release: Release) -> str:
    """The digest of what the release would be made of now; differs from its own when a provider has moved."""
    project_id = release.project_id
    version_id, prompt_id = release.model_version_id, release.prompt_version_id
    version = models.get_model_version(connection, project_id, version_id) if version_id else None
    base_id = version.base_version_id if version else None
    return _Content(
        provider=providers.get_provider(connection, project_id, release.provider_id),
        model=release.model,
        version=version,
        base=models.get_model_version(connection, project_id, base_id) if base_id else None,
        prompt=prompts.get_prompt_version(connection, project_id, prompt_id) if prompt_id else None,
        parameters=release.parameters,
    ).digest


def check_digest(connection: Connection, release: Release) -> None:
    """Raise Conflict when what the release would answer has changed since it was made."""
    if current_digest(connection, release) != release.digest:
        raise Conflict(
            f"{release.endpoint}@{release.number} is no longer what was made: its provider has another address.",
            hint="Make a new release with the same content; evidence for the old one says nothing about it.",
            code="digest_mismatch",
        )


def mark_evaluated(
    connection: Connection,
    *,
    project_id: str,
    release_id: str,
    digest: str,
    evaluation_id: str,
    report: Mapping[str, Any],
    actor_id: str,
) -> None:
    """Evaluation tells that a release has a report: a draft becomes evaluated, and its figures are kept for pages.

    `report` is the evaluation's report; one about another digest is ignored, because the release is not what was evaluated.
    """
    release = get_release_by_id(connection, project_id, release_id)
    if release.digest != digest:
        return
    table = tables.evidence
    key = {"release_id": release_id, "evaluation_id": evaluation_id}
    values = {"digest": digest, "summary": summary_of(report), "created_at": clock.now()}
    here = (table.c.release_id == release_id) & (table.c.evaluation_id == evaluation_id)
    if connection.execute(update(table).where(here).values(values)).rowcount == 0:
        connection.execute(insert(table).values(**key, project_id=project_id, **values))
    touch(connection, release)
    if release.state == "draft":
        move(connection, release, "evaluated")
        details = {"evaluation_id": evaluation_id}
        audit_release(connection, release, "release.evaluated", actor_id=actor_id, details=details)
    changes.bump(connection)


def summary_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report that an endpoint's page shows beside a release."""
    main = str(report.get("main_metric", ""))
    metrics = report.get("metrics") or {}
    return {
        "metric": main,
        "score": metrics.get(main),
        "valid": (metrics.get("valid") or {}).get("value"),
        "dataset": report.get("dataset", ""),
        "split": report.get("split", ""),
        "n": report.get("n", 0),
        "p50_ms": (report.get("latency") or {}).get("p50_ms"),
        "p95_ms": (report.get("latency") or {}).get("p95_ms"),
        "prompt_tokens": (report.get("tokens") or {}).get("prompt_mean"),
    }


def touch(connection: Connection, release: Release) -> None:
    """Remember that somebody works with the release, so that its engine is kept warm before those of others."""
    here = tables.releases.c.id == release.id
    connection.execute(update(tables.releases).where(here).values(touched_at=clock.now()))


def move(connection: Connection, release: Release, state: str) -> None:
    """Change the state. Raises Conflict when it is no longer the one that `release` was read with."""
    table = tables.releases
    here = (table.c.id == release.id) & (table.c.state == release.state)
    if connection.execute(update(table).where(here).values(state=state)).rowcount == 0:
        raise Conflict(
            f"Somebody else has just changed {release.endpoint}@{release.number}; nothing was done.",
            hint="Look at it again.",
        )


def audit_release(connection: Connection, release: Release, verb: str, **values: Any) -> None:
    """One audit entry about a release; its name goes into the details."""
    details = {"name": f"{release.endpoint}@{release.number}", **values.pop("details", {})}
    audit.record(
        connection,
        project_id=release.project_id,
        verb=verb,
        target_kind="release",
        target_id=release.id,
        details=details,
        **values,
    )


def _model_name(provider: Provider, version: ModelVersion | None, base: ModelVersion | None, model: str) -> str:
    """The name that the provider knows the model by. Raises BadInput when it cannot be served there."""
    if provider.kind == "local":
        if version is None:
            raise BadInput("A local release names a model version.", hint='Like "gemma-3-270m:1".')
        if engines.files_of(version, base) is None:
            raise BadInput(f"{version.name} has no files that llama.cpp can load (GGUF).", hint="Use another version.")
        return version.name
    name = model.strip()
    if not name or len(name) > 200:
        raise BadInput("Say which of the provider's models this release calls.", hint='Like "gpt-4o-mini".')
    return name


def _checked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(parameters)
    if reserved := _RESERVED & kept.keys():
        raise BadInput(f"{min(reserved)!r} is not a parameter: it comes from the release or the caller.")
    try:
        size = len(orjson.dumps(kept))
    except TypeError as error:
        raise BadInput("The parameters are not JSON.") from error
    if size > _MOST_PARAMETERS:
        raise BadInput(f"The parameters are longer than {_MOST_PARAMETERS:,} characters.")
    for name, least, most in (("temperature", 0, 2), ("top_p", 0, 1), ("max_tokens", 1, 1_000_000)):
        value = kept.get(name)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (numeric and least <= value <= most):
            raise BadInput(f"{name} is a number from {least} to {most:,}.")
    return kept


def _record_edges(connection: Connection, release: Release) -> None:
    title = f"{release.endpoint}@{release.number}"
    edges = []
    if release.model_version_id:
        source = ("model_version", release.model_version_id)
        edges.append(Edge(*source, "release", release.id, "runs", release.model_version, title))
    if release.prompt_version_id:
        source = ("prompt_version", release.prompt_version_id)
        edges.append(Edge(*source, "release", release.id, "speaks with", release.prompt, title))
    lineage.record(connection, release.project_id, edges)


def _select(project_id: str) -> Select[Any]:
    release, version, prompt = tables.releases, tables.model_versions, tables.prompt_versions
    joined = (
        release.join(tables.endpoints, tables.endpoints.c.id == release.c.endpoint_id)
        .join(tables.providers, tables.providers.c.id == release.c.provider_id)
        .outerjoin(version, version.c.id == release.c.model_version_id)
        .outerjoin(tables.models, tables.models.c.id == version.c.model_id)
        .outerjoin(prompt, prompt.c.id == release.c.prompt_version_id)
        .outerjoin(tables.prompts, tables.prompts.c.id == prompt.c.prompt_id)
        .outerjoin(people, people.c.id == release.c.author_id)
    )
    version_name = tables.models.c.name + ":" + cast(version.c.number, String)
    prompt_name = tables.prompts.c.name + "@" + cast(prompt.c.number, String)
    return (
        select(
            release,
            tables.endpoints.c.name.label("endpoint"),
            tables.providers.c.name.label("provider"),
            tables.providers.c.kind.label("provider_kind"),
            func.coalesce(version_name, "").label("model_version"),
            func.coalesce(prompt_name, "").label("prompt"),
            func.coalesce(people.c.name, "").label("author"),
        )
        .select_from(joined)
        .where(release.c.project_id == project_id)
    )
