"""Keys of providers: added, replaced, weighed and taken away. A key comes in here and never goes out again.

The sealed form is read by the publisher, for the snapshot, and opened only to compare it; records and answers carry a hint. For AWS a key is
either a Bedrock API key or "access key id:secret access key[:session token]" in one text.
"""

import hmac
import re
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, NotFound
from noria.governance import audit, keys
from noria.governance.sealing import Sealer
from noria.registry import tables
from noria.registry.records import ProviderKey
from noria.stores import changes
from noria.stores.connect import Stores

_MOST_KEYS = 50
_MOST_WEIGHT = 1_000
_AWS = re.compile(r"[A-Z0-9]{16,128}:[A-Za-z0-9/+=]{16,128}(:[A-Za-z0-9/+=]{16,4000})?")


def add_key(
    stores: Stores,
    *,
    project_id: str,
    provider: str,
    api_key: str,
    name: str = "",
    weight: int = 1,
    reason: str = "",
    actor_id: str,
) -> ProviderKey:
    """Give a provider one more key. Raises NotFound, BadInput."""
    with stores.database.begin() as connection:
        row = _provider(connection, project_id, provider)
        if row["kind"] == "local":
            raise BadInput("A local provider has neither an address nor a key.", hint="Add another provider.")
        if len(by_provider(connection, project_id, row["id"]).get(row["id"], [])) >= _MOST_KEYS:
            raise BadInput(f"A provider has at most {_MOST_KEYS} keys.", hint="Take one away first.")
        key = sealed(stores, row["kind"], row["id"], api_key)
        key_id = insert_key(connection, project_id, row["id"], name=_name(name), weight=_weight(weight), key=key)
        _changed(connection, row, "add", key_id, reason=reason, actor_id=actor_id, weight=weight)
        return _get(connection, row, key_id)


def rotate_key(
    stores: Stores, *, project_id: str, provider: str, key_id: str, api_key: str, reason: str = "", actor_id: str
) -> ProviderKey:
    """Put another key in the place of one; name and weight stay. Raises NotFound, BadInput."""
    with stores.database.begin() as connection:
        row = _provider(connection, project_id, provider)
        before = _get(connection, row, key_id)
        key = sealed(stores, row["kind"], row["id"], api_key)
        here = tables.provider_keys.c.id == before.id
        connection.execute(update(tables.provider_keys).where(here).values(**key, changed_at=clock.now()))
        _changed(connection, row, "rotate", key_id, reason=reason, actor_id=actor_id)
        return _get(connection, row, key_id)


def change_key(
    stores: Stores,
    *,
    project_id: str,
    provider: str,
    key_id: str,
    name: str | None = None,
    weight: int | None = None,
    reason: str = "",
    actor_id: str,
) -> ProviderKey:
    """Another name or weight; what is None stays. Raises NotFound, BadInput."""
    with stores.database.begin() as connection:
        row = _provider(connection, project_id, provider)
        before = _get(connection, row, key_id)
        values = {
            "name": before.name if name is None else _name(name),
            "weight": before.weight if weight is None else _weight(weight),
        }
        here = tables.provider_keys.c.id == before.id
        connection.execute(update(tables.provider_keys).where(here).values(**values, changed_at=clock.now()))
        _changed(connection, row, "change", key_id, reason=reason, actor_id=actor_id, weight=values["weight"])
        return _get(connection, row, key_id)


def remove_key(stores: Stores, *, project_id: str, provider: str, key_id: str, reason: str = "", actor_id: str) -> None:
    """Take a key away; its sealed form is deleted with it. Raises NotFound."""
    with stores.database.begin() as connection:
        row = _provider(connection, project_id, provider)
        key = _get(connection, row, key_id)
        connection.execute(delete(tables.provider_keys).where(tables.provider_keys.c.id == key.id))
        _changed(connection, row, "remove", key_id, reason=reason, actor_id=actor_id)


def by_provider(connection: Connection, project_id: str, provider_id: str = "") -> dict[str, list[ProviderKey]]:
    """Keys by the id of their provider, oldest first."""
    table = tables.provider_keys
    shown = (table.c[name] for name in ProviderKey.__slots__)
    query = select(table.c.provider_id, *shown).where(table.c.project_id == project_id).order_by(table.c.id)
    if provider_id:
        query = query.where(table.c.provider_id == provider_id)
    found: dict[str, list[ProviderKey]] = {}
    for row in connection.execute(query).mappings():
        values = {name: row[name] for name in ProviderKey.__slots__}
        found.setdefault(row["provider_id"], []).append(ProviderKey(**values))
    return found


def has_key(stores: Stores, project_id: str, provider: str, api_key: str) -> bool:
    """Whether the provider has exactly this key. Raises NotFound."""
    wanted = api_key.strip().encode()
    with stores.database.read() as connection:
        provider_id = _provider(connection, project_id, provider)["id"]
    kept = _opened(stores, project_id, provider_id)
    return any(hmac.compare_digest(key.encode(), wanted) for key in kept)


def all_keys(stores: Stores, project_id: str) -> frozenset[str]:
    """Every key of the project's providers in the clear, and the parts of those that have several; only to make sure that a
    text holds none of them. They must not leave the process."""
    kept = _opened(stores, project_id)
    return frozenset({part for key in kept for part in (key, *key.split(":")) if len(part) >= 8})


def _opened(stores: Stores, project_id: str, provider_id: str = "") -> list[str]:
    sealer = Sealer(stores.settings.folder.secret)
    table = tables.provider_keys
    query = select(table.c.provider_id, table.c.sealed).where(table.c.project_id == project_id)
    if provider_id:
        query = query.where(table.c.provider_id == provider_id)
    with stores.database.read() as connection:
        rows = list(connection.execute(query).mappings())
    return [sealer.unseal(row["sealed"], purpose=f"provider:{row['provider_id']}") for row in rows]


def sealed(stores: Stores, kind: str, provider_id: str, api_key: str) -> dict[str, str]:
    """What is kept of a key: `sealed` and `hint`. Raises BadInput when it can be none."""
    key = api_key.strip()
    if not key:
        raise BadInput("There is no key in that.", hint="Nothing was changed.")
    if not key.isascii() or not key.isprintable() or len(key) > 4096:
        raise BadInput("That cannot be a key: it holds characters that no HTTP header may.", hint="Copy it again.")
    shown = key
    if kind == "bedrock" and ":" in key:
        if not _AWS.fullmatch(key):
            raise BadInput(
                "That is no key of AWS.",
                hint="A Bedrock API key, or access key id:secret access key[:session token] in one line.",
            )
        shown = key.partition(":")[0]
    sealer = Sealer(stores.settings.folder.secret)
    hint = keys.hint(shown) if len(shown) >= 12 else "…"
    return {"sealed": sealer.seal(key, purpose=f"provider:{provider_id}"), "hint": hint}


def insert_key(
    connection: Connection, project_id: str, provider_id: str, *, name: str, weight: int, key: dict[str, str]
) -> str:
    """Write one key as `sealed` made it; gives its id. For the verbs of this module and for a provider's first key."""
    key_id, now = ids.new_id(), clock.now()
    values = {"id": key_id, "project_id": project_id, "provider_id": provider_id, "name": name, "weight": weight}
    connection.execute(insert(tables.provider_keys).values(**values, **key, created_at=now, changed_at=now))
    return key_id


def _provider(connection: Connection, project_id: str, name: str) -> Any:
    table = tables.providers
    query = select(table).where(table.c.project_id == project_id, table.c.name == name)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no provider {name[:80]!r}.", hint="An admin can add one.")
    return row


def _get(connection: Connection, provider: Any, key_id: str) -> ProviderKey:
    keys_there = by_provider(connection, provider["project_id"], provider["id"]).get(provider["id"], [])
    for key in keys_there:
        if key.id == key_id:
            return key
    raise NotFound(f"The provider {provider['name']!r} has no such key.", hint="It may have been taken away.")


def _changed(
    connection: Connection, provider: Any, what: str, key_id: str, *, reason: str, actor_id: str, **details: Any
) -> None:
    audit.record(
        connection,
        project_id=provider["project_id"],
        actor_id=actor_id,
        verb=f"provider_key.{what}",
        target_kind="provider",
        target_id=provider["id"],
        reason=reason,
        details={"key": key_id, **details},
    )
    changes.bump(connection)


def _name(name: str) -> str:
    text = name.strip()
    if len(text) > 64 or not text.isprintable():
        raise BadInput("The name of a key has at most 64 characters.")
    return text


def _weight(weight: int) -> int:
    if not 0 <= weight <= _MOST_WEIGHT:
        raise BadInput(f"A weight is between 0 and {_MOST_WEIGHT:,}.", hint="0: the key is kept, but not used.")
    return weight
