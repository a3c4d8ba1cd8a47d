"""The snapshot: built from the records, written for gateways and supervisor whenever the changes counter has moved.

Verbs that change a rollout call `publish` right after their transaction, so it is on disk, and the gateway has been told to
take it over, before they answer: a caller's next request meets the new rollout. The `Publisher` thread of the server sees
changes that anybody else made within 0.1 s. One file lock keeps processes from writing over each other: whoever comes
second finds its version there and leaves it.

Which engines should run: those of everything that serves (primary, canary, shadow, fallbacks of policies, and the primary that
a rollback returns to), and those of the `WARM` candidates that somebody made, evaluated or approved last. Everything else
sleeps, so that memory is bounded however many drafts there are.
"""

import fcntl
import http.client
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, and_, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from noria.core import clock
from noria.core.errors import NoriaError
from noria.governance.projects import all_limits
from noria.governance.records import GatewayKey
from noria.governance.service import gateway_keys
from noria.registry import engines, models, prompts, snapshot, tables
from noria.registry.endpoints import Rollout
from noria.registry.policy import EMPTY, Policy, decode
from noria.registry.records import ModelVersion, PromptVersion
from noria.registry.releases import CANDIDATES
from noria.registry.snapshot import (
    EndpointEntry,
    EngineEntry,
    KeyEntry,
    LongPrompts,
    ProviderEntry,
    ProviderKeyEntry,
    ReleaseEntry,
    Snapshot,
)
from noria.stores import changes
from noria.stores.connect import Stores
from noria.stores.ports import Files

WARM: Final = 3
"""Candidates whose engines run although they serve nobody."""
POLL_SECONDS: Final = 0.1
REFRESH_SECONDS: Final = 10.0
TELL_SECONDS: Final = 1.0
"""How long a gateway may take to say that it has looked at the snapshot; it looks by itself every 0.1 s."""

logger = logging.getLogger("noria.registry")


def build(stores: Stores) -> Snapshot:
    """Everything that gateways and supervisor need, of all projects, as the records are now."""
    with stores.database.read() as connection:
        # Read first: what changes meanwhile may be in already, and is published again under its own number.
        version = changes.current(connection)
        rollouts = {row["endpoint_id"]: Rollout(**_only(row, Rollout)) for row in _rows(connection, tables.rollouts)}
        policies = _policies(connection)
        live = _live(connection, rollouts.values(), policies)
        releases = _releases(connection, live)
        providers = _providers(connection)
        weights = _Weights(connection, releases, providers)
        spoken = _prompts(connection, releases)
        keys = [_key(key) for key in gateway_keys(connection)]
        limits = all_limits(connection)
        names = list(_rows(connection, tables.endpoints))
    by_endpoint: dict[str, dict[int, ReleaseEntry]] = {row["id"]: {} for row in names}
    for row in releases:
        files = weights.of(row)
        by_endpoint[row["endpoint_id"]][row["number"]] = _release(row, spoken, files.key if files else "")
    numbers = {row["id"]: row["number"] for row in releases}
    endpoints = (
        _endpoint(row, rollouts[row["id"]], numbers, by_endpoint[row["id"]], policies.get(row["id"], EMPTY))
        for row in names
    )
    return Snapshot(
        version=version,
        published_at=clock.now().timestamp(),
        keys={key.digest: key for key in keys},
        endpoints={f"{entry.project_id}/{entry.name}": entry for entry in endpoints},
        providers=providers,
        engines=_engines(stores.files, _awake(releases, live), weights),
        projects=limits,
    )


def publish(stores: Stores, *, refresh: bool = False) -> bool:
    """Write the snapshot if the records have moved on (`refresh`: in any case) and have the gateway take it over; says
    whether it was written. A gateway that does not answer changes nothing."""
    path = stores.settings.folder.snapshot
    with _locked(path.with_name("snapshot.lock")):
        written = refresh or not _is_current(stores, path)
        if written:
            snapshot.write(path, build(stores))
    # Also when somebody else wrote it: the gateway may not have looked since.
    _tell_gateway(stores.settings.gateway_url)
    return written


def _is_current(stores: Stores, path: Path) -> bool:
    with stores.database.read() as connection:
        return changes.current(connection) == _published(path)


def _tell_gateway(url: str) -> None:
    """Ask the gateway on this machine whether it is ready; it looks at the snapshot before it answers."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TELL_SECONDS)
    try:
        connection.request("GET", "/readyz")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        logger.debug("no gateway answers at %s", url)
    finally:
        connection.close()


class Publisher:
    """The server's thread that keeps the snapshot fresh. Its age tells gateways how long the server has been dead."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        published = -1
        refreshed_at = 0.0
        failing = False
        while not self._stop.is_set():
            now = clock.now().timestamp()
            try:
                with self._stores.database.read() as connection:
                    version = changes.current(connection)
                if version != published or now - refreshed_at >= REFRESH_SECONDS:
                    publish(self._stores, refresh=now - refreshed_at >= REFRESH_SECONDS)
                    published, refreshed_at = version, now
                failing = False
            except (SQLAlchemyError, NoriaError, OSError) as error:
                if not failing:
                    logger.error(
                        "the snapshot could not be published, gateways go on with the last: %s", type(error).__name__
                    )
                failing = True
            self._stop.wait(POLL_SECONDS)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for whoever publishes now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _published(path: Path) -> int:
    """The version on disk; -1 when there is none that can be read."""
    try:
        found = snapshot.read(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        return -1
    return found.version if found else -1


def _key(key: GatewayKey) -> KeyEntry:
    return KeyEntry(**{name: getattr(key, name) for name in KeyEntry.__slots__})


def _rows(connection: Connection, table: Any) -> Iterator[Any]:
    return iter(connection.execute(select(table)).mappings().all())


def _only(row: Any, record: Any) -> dict[str, Any]:
    return {name: row[name] for name in record.__slots__}


def _live(connection: Connection, rollouts: Iterable[Rollout], policies: Mapping[str, Policy]) -> set[str]:
    """Ids of the releases that may be asked at any moment: those of rollouts, and the fallbacks of policies."""
    live = {release_id for rollout in rollouts for release_id in rollout.live}
    named = {endpoint_id: policy.fallbacks for endpoint_id, policy in policies.items() if policy.fallbacks}
    table = tables.releases
    query = select(table.c.id, table.c.endpoint_id, table.c.number).where(table.c.endpoint_id.in_(sorted(named)))
    return live | {row.id for row in connection.execute(query) if row.number in named[row.endpoint_id]}


def _releases(connection: Connection, live: set[str]) -> list[Any]:
    """Rows of every release that may still be called."""
    table = tables.releases
    callable_ = or_(table.c.state.not_in(("retired", "rejected")), table.c.id.in_(sorted(live)))
    return list(connection.execute(select(table).where(callable_)).mappings())


def _awake(releases: Iterable[Any], live: set[str]) -> list[Any]:
    """The releases whose engines should run (module docstring)."""
    candidates = [row for row in releases if row["state"] in CANDIDATES and row["id"] not in live]
    newest = sorted(candidates, key=lambda row: (row["touched_at"], row["id"]), reverse=True)[:WARM]
    return [row for row in releases if row["id"] in live] + newest


def _policies(connection: Connection) -> dict[str, Policy]:
    """The policies in force by endpoint id, of those endpoints that have any."""
    table = tables.endpoint_policies
    newest = select(table.c.endpoint_id, func.max(table.c.version).label("version")).group_by(table.c.endpoint_id)
    last = newest.subquery()
    joined = table.join(last, and_(last.c.endpoint_id == table.c.endpoint_id, last.c.version == table.c.version))
    rows = connection.execute(select(table.c.endpoint_id, table.c.version, table.c.policy).select_from(joined))
    return {row.endpoint_id: decode({**row.policy, "version": row.version}) for row in rows}


class _Weights:
    """The files that local releases need."""

    def __init__(self, connection: Connection, releases: Iterable[Any], providers: dict[str, ProviderEntry]) -> None:
        local = [row for row in releases if providers[row["provider_id"]].kind == "local"]
        wanted = {row["model_version_id"] for row in local if row["model_version_id"]}
        projects = {row["model_version_id"]: row["project_id"] for row in local}
        self._versions: dict[str, ModelVersion] = {}
        for version_id in wanted:
            version = models.get_model_version(connection, projects[version_id], version_id)
            self._versions[version_id] = version
            if version.base_version_id:
                base = models.get_model_version(connection, version.project_id, version.base_version_id)
                self._versions[base.id] = base
        self._local = {row["id"] for row in local}

    def of(self, row: Any) -> engines.EngineFiles | None:
        """What the engine of a release loads; None when the release is not local."""
        if row["id"] not in self._local or row["model_version_id"] is None:
            return None
        version = self._versions[row["model_version_id"]]
        return engines.files_of(version, self._versions.get(version.base_version_id or ""))


def _engines(files: Files, awake: Iterable[Any], weights: _Weights) -> dict[str, EngineEntry]:
    found: dict[str, EngineEntry] = {}
    for row in awake:
        pair = weights.of(row)
        if pair is None or pair.key in found:
            continue
        try:
            adapter = _path(files, pair.adapter) if pair.adapter else ""
            found[pair.key] = EngineEntry(pair.key, _path(files, pair.model), adapter)
        except NoriaError as error:
            # One release with a lost file must not keep all others from being published.
            logger.error("engine %s cannot run, a file is missing: %s", pair.key, error.code)
    return found


def _path(files: Files, file: Any) -> str:
    return str(file.get("path") or files.path(file["sha256"]))


def _prompts(connection: Connection, releases: Iterable[Any]) -> dict[str, PromptVersion]:
    wanted = {row["prompt_version_id"]: row["project_id"] for row in releases if row["prompt_version_id"]}
    return {
        version_id: prompts.get_prompt_version(connection, project_id, version_id)
        for version_id, project_id in wanted.items()
    }


def _providers(connection: Connection) -> dict[str, ProviderEntry]:
    table = tables.provider_keys
    keys: dict[str, list[ProviderKeyEntry]] = {}
    for row in connection.execute(select(table).where(table.c.weight > 0).order_by(table.c.id)).mappings():
        keys.setdefault(row["provider_id"], []).append(ProviderKeyEntry(row["id"], row["sealed"], row["weight"]))
    own = [name for name in ProviderEntry.__slots__ if name != "keys"]
    return {
        row["id"]: ProviderEntry(**{name: row[name] for name in own}, keys=tuple(keys.get(row["id"], ())))
        for row in _rows(connection, tables.providers)
    }


def _release(row: Any, spoken: dict[str, PromptVersion], engine: str) -> ReleaseEntry:
    prompt = spoken.get(row["prompt_version_id"] or "")
    return ReleaseEntry(
        number=row["number"],
        provider_id=row["provider_id"],
        model=row["model"],
        engine=engine,
        prompt=prompts.entry_of(prompt) if prompt else None,
        parameters=row["parameters"],
        state=row["state"],
        input_micros=row["input_micros"],
        output_micros=row["output_micros"],
        cached_micros=row["cached_micros"],
        cache_write_micros=row["cache_write_micros"],
        cache_write_1h_micros=row["cache_write_1h_micros"],
        long_prompts=LongPrompts(**row["long_prompts"]) if row["long_prompts"] else None,
        price_version=row["price_version"],
    )


def _endpoint(
    row: Any, rollout: Rollout, numbers: dict[str, int], releases: dict[int, ReleaseEntry], policy: Policy
) -> EndpointEntry:
    return EndpointEntry(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        primary=numbers.get(rollout.primary_id or "", 0),
        canary=numbers.get(rollout.canary_id or "", 0),
        canary_share=rollout.canary_share,
        shadow=numbers.get(rollout.shadow_id or "", 0),
        shadow_share=rollout.shadow_share,
        policy=policy,
        releases=releases,
    )
