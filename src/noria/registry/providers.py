"""Providers: places that run models, with their sealed keys. A key comes in here and never goes out again.

The sealed form is read by the publisher alone, for the snapshot; records and answers carry the last four characters.
"""

from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit, keys
from noria.governance.sealing import Sealer
from noria.registry import tables
from noria.registry.addresses import check_base_url
from noria.registry.naming import check_name
from noria.registry.records import Provider
from noria.stores import changes
from noria.stores.connect import Stores

_SECRET = {"sealed_key"}
LOCAL = "local"
"""Name of the provider that is this installation itself."""


def list_providers(stores: Stores, project_id: str) -> list[Provider]:
    """By name."""
    with stores.database.read() as connection:
        rows = connection.execute(_select(project_id).order_by(tables.providers.c.name)).mappings()
        return [Provider(**row) for row in rows]


def find_provider(connection: Connection, project_id: str, name: str) -> Provider:
    """By name. Raises NotFound."""
    row = connection.execute(_select(project_id).where(tables.providers.c.name == name)).mappings().first()
    if row is None:
        raise NotFound(f"There is no provider {name[:80]!r}.", hint="An admin can add one.")
    return Provider(**row)


def get_provider(connection: Connection, project_id: str, provider_id: str) -> Provider:
    """By id. Raises NotFound."""
    row = connection.execute(_select(project_id).where(tables.providers.c.id == provider_id)).mappings().first()
    if row is None:
        raise NotFound("There is no such provider.")
    return Provider(**row)


def add_provider(
    stores: Stores,
    *,
    project_id: str,
    name: str,
    kind: str,
    base_url: str = "",
    api_key: str = "",
    input_micros: int = 0,
    output_micros: int = 0,
    actor_id: str,
) -> Provider:
    """Add a provider. Raises BadInput for an address that it may not have, Conflict when the name is taken."""
    check_name(name, "provider")
    if kind not in {"openai", "local"}:
        raise BadInput(f"There is no kind of provider {kind[:40]!r}.", hint="One of openai, local.")
    if kind == "local" and (base_url or api_key):
        raise BadInput("A local provider has neither an address nor a key.", hint="Its engines are started by Noria.")
    provider_id, now = ids.new_id(), clock.now()
    values = {
        "id": provider_id,
        "project_id": project_id,
        "name": name,
        "kind": kind,
        "base_url": _checked(stores, base_url) if kind == "openai" else "",
        **_sealed(stores, provider_id, api_key),
        **_prices(input_micros, output_micros),
        "created_at": now,
        "changed_at": now,
    }
    with stores.database.begin() as connection:
        return _add(connection, values, actor_id=actor_id)


def ensure_local(connection: Connection, project_id: str) -> Provider:
    """The provider "local", made if it is not there."""
    query = _select(project_id).where(tables.providers.c.name == LOCAL)
    if (row := connection.execute(query).mappings().first()) is not None:
        return Provider(**row)
    now = clock.now()
    values = {"id": ids.new_id(), "project_id": project_id, "name": LOCAL, "kind": "local", "base_url": ""}
    prices = {"sealed_key": "", "key_hint": "", "input_micros": 0, "output_micros": 0}
    return _add(connection, {**values, **prices, "created_at": now, "changed_at": now}, actor_id="")


def update_provider(
    stores: Stores,
    *,
    project_id: str,
    name: str,
    base_url: str | None = None,
    api_key: str | None = None,
    input_micros: int | None = None,
    output_micros: int | None = None,
    reason: str = "",
    actor_id: str,
) -> Provider:
    """Change address, key or prices; what is None stays, an empty key is taken away.

    Another address changes what releases of this provider answer, so their gates and approvals no longer count.
    """
    with stores.database.begin() as connection:
        provider = find_provider(connection, project_id, name)
        if provider.kind == "local" and (base_url or api_key):
            raise BadInput("A local provider has neither an address nor a key.", hint="Add another provider.")
        changed: dict[str, Any] = {}
        if base_url is not None and provider.kind == "openai":
            changed["base_url"] = _checked(stores, base_url)
        if api_key is not None:
            changed |= _sealed(stores, provider.id, api_key)
        changed |= _prices(
            provider.input_micros if input_micros is None else input_micros,
            provider.output_micros if output_micros is None else output_micros,
        )
        here = tables.providers.c.id == provider.id
        connection.execute(update(tables.providers).where(here).values(**changed, changed_at=clock.now()))
        details = {"changed": sorted({"base_url", "api_key"} & _given(base_url=base_url, api_key=api_key))}
        _audit(connection, provider, "provider.change", actor_id=actor_id, reason=reason, details=details)
        changes.bump(connection)
        return get_provider(connection, project_id, provider.id)


def _given(**values: Any) -> set[str]:
    return {name for name, value in values.items() if value is not None}


def _add(connection: Connection, values: dict[str, Any], *, actor_id: str) -> Provider:
    try:
        with connection.begin_nested():
            connection.execute(insert(tables.providers).values(values))
    except IntegrityError as error:
        raise Conflict(
            f"There is a provider {values['name']!r} already.", hint="Change it, or choose another name."
        ) from error
    provider = get_provider(connection, values["project_id"], values["id"])
    _audit(connection, provider, "provider.add", actor_id=actor_id, details={"name": provider.name})
    changes.bump(connection)
    return provider


def _checked(stores: Stores, base_url: str) -> str:
    return check_base_url(base_url, allow_private=stores.settings.allow_private_providers)


def _sealed(stores: Stores, provider_id: str, api_key: str) -> dict[str, str]:
    key = api_key.strip()
    if not key:
        return {"sealed_key": "", "key_hint": ""}
    if not key.isascii() or not key.isprintable() or len(key) > 4096:
        raise BadInput("That cannot be a key: it holds characters that no HTTP header may.", hint="Copy it again.")
    sealer = Sealer(stores.settings.folder.secret)
    hint = keys.hint(key) if len(key) >= 12 else "…"
    return {"sealed_key": sealer.seal(key, purpose=f"provider:{provider_id}"), "key_hint": hint}


def _prices(input_micros: int, output_micros: int) -> dict[str, int]:
    if input_micros < 0 or output_micros < 0:
        raise BadInput("A price is not below 0.", hint="In micro-dollars for a million tokens.")
    return {"input_micros": input_micros, "output_micros": output_micros}


def _select(project_id: str) -> Select[Any]:
    table = tables.providers
    return select(*(c for c in table.c if c.name not in _SECRET)).where(table.c.project_id == project_id)


def _audit(connection: Connection, provider: Provider, verb: str, **values: Any) -> None:
    audit.record(
        connection,
        project_id=provider.project_id,
        verb=verb,
        target_kind="provider",
        target_id=provider.id,
        **values,
    )
