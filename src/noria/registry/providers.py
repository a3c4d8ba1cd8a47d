"""Providers: places that run models, of a kind, at an address, with options, keys and prices.

Their keys have verbs of their own (noria.registry.provider_keys); a first one may come with the provider.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit
from noria.registry import presets, provider_keys, tables
from noria.registry.addresses import check_base_url
from noria.registry.kinds import check_kind, check_options, default_url
from noria.registry.naming import check_name
from noria.registry.records import Provider
from noria.stores import changes
from noria.stores.connect import Stores

LOCAL = "local"
"""Name of the provider that is this installation itself."""

_BALANCES = ("weighted", "least_busy")
_NEITHER = "A local provider has neither an address nor a key."


def list_providers(stores: Stores, project_id: str) -> list[Provider]:
    """By name."""
    with stores.database.read() as connection:
        rows = list(connection.execute(_select(project_id).order_by(tables.providers.c.name)).mappings())
        keys = provider_keys.by_provider(connection, project_id)
    return [Provider(**row, keys=keys.get(row["id"], [])) for row in rows]


def find_provider(connection: Connection, project_id: str, name: str) -> Provider:
    """By name. Raises NotFound."""
    found = _first(connection, project_id, _select(project_id).where(tables.providers.c.name == name))
    if found is None:
        raise NotFound(f"There is no provider {name[:80]!r}.", hint="An admin can add one.")
    return found


def get_provider(connection: Connection, project_id: str, provider_id: str) -> Provider:
    """By id. Raises NotFound."""
    found = _first(connection, project_id, _select(project_id).where(tables.providers.c.id == provider_id))
    if found is None:
        raise NotFound("There is no such provider.")
    return found


def add_provider(
    stores: Stores,
    *,
    project_id: str,
    name: str,
    kind: str = "",
    preset: str = "",
    base_url: str = "",
    options: Mapping[str, Any] | None = None,
    balance: str = "weighted",
    api_key: str = "",
    input_micros: int = 0,
    output_micros: int = 0,
    actor_id: str,
) -> Provider:
    """Add a provider of a kind, or start from a preset; what is given besides goes before what the preset says.

    Raises BadInput for an address or option that it may not have, Conflict when the name is taken.
    """
    check_name(name, "provider")
    if preset:
        row = presets.find_preset(preset)
        if kind and kind != row.kind:
            raise BadInput(f"The preset {preset!r} is of kind {row.kind}.", hint="Leave the kind out.")
        kind, base_url = row.kind, base_url or row.base_url
        options = presets.filled_in(row, options or {})
    checked = check_options(kind, options or {})
    if kind == "local" and (base_url or api_key):
        raise BadInput(_NEITHER, hint="Its engines are started by Noria.")
    provider_id, now = ids.new_id(), clock.now()
    values = {
        "id": provider_id,
        "project_id": project_id,
        "name": name,
        "kind": kind,
        "base_url": _address(stores, kind, base_url, checked),
        "options": checked,
        "balance": _balance(balance),
        **_prices(input_micros, output_micros),
        "created_at": now,
        "changed_at": now,
    }
    key = provider_keys.sealed(stores, kind, provider_id, api_key) if api_key.strip() else None
    with stores.database.begin() as connection:
        _add(connection, values, actor_id=actor_id)
        if key:
            provider_keys.insert_key(connection, project_id, provider_id, name="", weight=1, key=key)
        return get_provider(connection, project_id, provider_id)


def ensure_local(connection: Connection, project_id: str) -> Provider:
    """The provider "local", made if it is not there."""
    query = _select(project_id).where(tables.providers.c.name == LOCAL)
    if (found := _first(connection, project_id, query)) is not None:
        return found
    now = clock.now()
    values = {"id": ids.new_id(), "project_id": project_id, "name": LOCAL, "kind": "local", "base_url": ""}
    rest = {"options": {}, "balance": "weighted", "input_micros": 0, "output_micros": 0}
    return _add(connection, {**values, **rest, "created_at": now, "changed_at": now}, actor_id="")


def update_provider(
    stores: Stores,
    *,
    project_id: str,
    name: str,
    base_url: str | None = None,
    options: Mapping[str, Any] | None = None,
    balance: str | None = None,
    input_micros: int | None = None,
    output_micros: int | None = None,
    reason: str = "",
    actor_id: str,
) -> Provider:
    """Change address, options (all of them), balance or prices; what is None stays.

    Another address or option changes what releases of this provider answer, so their gates and approvals no longer count.
    """
    with stores.database.begin() as connection:
        provider = find_provider(connection, project_id, name)
        if provider.kind == "local" and base_url:
            raise BadInput(_NEITHER, hint="Add another provider.")
        checked = provider.options if options is None else check_options(provider.kind, options)
        follows = provider.base_url == default_url(provider.kind, provider.options)  # the region, if that changes
        wanted = base_url if base_url is not None else "" if follows else provider.base_url
        changed = {
            "base_url": _address(stores, provider.kind, wanted, checked),
            "options": checked,
            "balance": provider.balance if balance is None else _balance(balance),
            **_prices(
                provider.input_micros if input_micros is None else input_micros,
                provider.output_micros if output_micros is None else output_micros,
            ),
        }
        here = tables.providers.c.id == provider.id
        connection.execute(update(tables.providers).where(here).values(**changed, changed_at=clock.now()))
        details = {"changed": sorted(field for field, value in changed.items() if value != getattr(provider, field))}
        _audit(connection, provider, "provider.change", actor_id=actor_id, reason=reason, details=details)
        changes.bump(connection)
        return get_provider(connection, project_id, provider.id)


def _add(connection: Connection, values: dict[str, Any], *, actor_id: str) -> Provider:
    try:
        with connection.begin_nested():
            connection.execute(insert(tables.providers).values(values))
    except IntegrityError as error:
        raise Conflict(
            f"There is a provider {values['name']!r} already.", hint="Change it, or choose another name."
        ) from error
    provider = get_provider(connection, values["project_id"], values["id"])
    details = {"name": provider.name, "kind": provider.kind}
    _audit(connection, provider, "provider.add", actor_id=actor_id, details=details)
    changes.bump(connection)
    return provider


def _address(stores: Stores, kind: str, base_url: str, options: Mapping[str, Any]) -> str:
    """The checked address; the kind's own when none is given, which is not looked up."""
    if kind == "local":
        return ""
    own = default_url(kind, options)
    if own and base_url.strip() in {"", own}:
        return own
    if not base_url.strip():
        raise BadInput(f"A provider of kind {kind} needs an address.", hint=f"{check_kind(kind).title}: see base_url.")
    return check_base_url(base_url, allow_private=stores.settings.allow_private_providers)


def _balance(balance: str) -> str:
    if balance not in _BALANCES:
        raise BadInput(f"Calls cannot be balanced {balance[:40]!r}.", hint=f"One of {', '.join(_BALANCES)}.")
    return balance


def _prices(input_micros: int, output_micros: int) -> dict[str, int]:
    if input_micros < 0 or output_micros < 0:
        raise BadInput("A price is not below 0.", hint="In micro-dollars for a million tokens.")
    return {"input_micros": input_micros, "output_micros": output_micros}


def _select(project_id: str) -> Select[Any]:
    return select(tables.providers).where(tables.providers.c.project_id == project_id)


def _first(connection: Connection, project_id: str, query: Select[Any]) -> Provider | None:
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    keys = provider_keys.by_provider(connection, project_id, row["id"])
    return Provider(**row, keys=keys.get(row["id"], []))


def _audit(connection: Connection, provider: Provider, verb: str, **values: Any) -> None:
    audit.record(
        connection,
        project_id=provider.project_id,
        verb=verb,
        target_kind="provider",
        target_id=provider.id,
        **values,
    )
