"""What the gateway serves from right now: the last good snapshot and the engines that run, watched on disk.

In: `Folder.snapshot` (written by the server), `Folder.engines` (by the supervisor) and `Folder.recording` (by `noria
record`), looked at every 0.1 s. Out: a `Catalog`, one immutable value that a request takes once and keeps. The decision to
know: a file that cannot be read is logged once and changes nothing, so a half-broken server never takes the gateway down
with it; only age does.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from noria.core.errors import Unavailable
from noria.core.folder import Folder
from noria.core.settings import Settings
from noria.gateway.failures import NotReady
from noria.governance.links import Links
from noria.governance.sealing import Sealer, Unsealable
from noria.registry.recording import Order, read_order
from noria.registry.snapshot import ProviderEntry, ProviderKeyEntry, ReleaseEntry, Snapshot, decode

_log = logging.getLogger("noria.gateway")
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Catalog:
    """One snapshot and the engines that were running when it was taken."""

    snapshot: Snapshot
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    recording: Order | None = None
    """What somebody has ordered to be recorded."""

    def engine_url(self, release: ReleaseEntry) -> str:
        """Where a local release is served, without the path. Raises Unavailable when its engine is not ready."""
        engine = self.engines.get(release.engine, {})
        state = engine.get("state")
        if state == "ready":
            return str(engine["url"])
        if state == "failed":
            raise Unavailable(
                f"The local engine of release {release.number} could not be started.",
                hint="Look at its log in the data folder, or roll back to another release.",
                code="engine_failed",
            )
        raise NotReady(
            f"The local engine of release {release.number} is {'starting' if state else 'not running'}.",
            hint="Try again in a few seconds.",
        )


class Watcher:
    """Keeps `Catalog` current. `refresh` is cheap when nothing changed (three stat calls)."""

    def __init__(self, settings: Settings) -> None:
        self._folder: Folder = settings.folder
        self._max_age = settings.snapshot_max_age
        self._catalog: Catalog | None = None
        self._seen: dict[Path, tuple[int, int, int] | None] = {}
        self._keys: dict[str, str] = {}
        self._sealer: Sealer | None = None
        self._base_url = settings.public_url or settings.server_url
        self._feedback_hours = settings.feedback_hours
        self.links: Links | None = None
        """Makes the answers' feedback links; None while the data folder has no key, or when they are switched off."""

    def current(self) -> Catalog:
        """The catalog to serve from. Raises Unavailable when there is none yet or it is too old to be trusted."""
        catalog = self._catalog
        if catalog is None:
            raise NotReady(
                "The gateway has no configuration yet.", hint="Start the server (noria up); it publishes one."
            )
        age = time.time() - catalog.snapshot.published_at
        if age > self._max_age:
            raise Unavailable(
                f"The gateway's configuration is {age / 3600:.1f} hours old, older than snapshot_max_age allows.",
                hint="Start the server again; it publishes a new one within a second.",
                code="snapshot_too_old",
            )
        return catalog

    def provider_key(self, provider: ProviderEntry, key: ProviderKeyEntry | None = None) -> str:
        """One of the provider's keys in the clear; without `key` its first, "" when it has none.

        It lives in this process's memory only. Raises Unavailable when it cannot be opened.
        """
        key = key or (provider.keys[0] if provider.keys else None)
        if key is None:
            return ""
        text = self._keys.get(key.sealed)
        if text is None:
            text = self._keys[key.sealed] = self._unseal(provider, key)
        return text

    def _unseal(self, provider: ProviderEntry, key: ProviderKeyEntry) -> str:
        try:
            if self._sealer is None:
                if not self._folder.secret.exists():
                    raise Unsealable("The data folder has no secret.key.")
                self._sealer = Sealer(self._folder.secret)
            return self._sealer.unseal(key.sealed, purpose=f"provider:{provider.id}")
        except (Unsealable, OSError) as error:
            _log.error("key %s of provider %s cannot be opened: %s", key.id, provider.name, error)
            raise Unavailable(
                f"The key of provider {provider.name!r} cannot be opened.",
                hint="Enter the key again, or restore the data folder's secret.key.",
                code="provider_key_unreadable",
            ) from error

    async def run(self) -> None:
        """Look at both files until cancelled."""
        while True:
            self.refresh()
            await asyncio.sleep(_POLL_SECONDS)

    def refresh(self) -> None:
        """Take over what changed on disk since the last look."""
        if (data := self._changed(self._folder.snapshot)) is not None:
            try:
                snapshot = decode(data)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                _log.error("snapshot cannot be read, the last good one stays in use: %s", type(error).__name__)
            else:
                if self._catalog:
                    self._catalog = replace(self._catalog, snapshot=snapshot)
                else:
                    self._catalog = Catalog(snapshot, self._read_engines())
                self._forget_keys(snapshot)
        if self.links is None and self._feedback_hours > 0:
            self._open_links()
        if self._catalog and (data := self._changed(self._folder.engines)) is not None:
            self._catalog = replace(self._catalog, engines=self._engines_in(data))
        if self._catalog and (data := self._changed(self._folder.recording)) is not None:
            self._catalog = replace(self._catalog, recording=read_order(data))

    def _open_links(self) -> None:
        if not self._folder.secret.exists():  # the server makes it
            return
        try:
            self.links = Links(self._folder.secret, base_url=self._base_url, hours=self._feedback_hours)
        except (Unsealable, OSError) as error:
            self._feedback_hours = 0
            _log.error("answers carry no feedback links: %s", error)

    def _forget_keys(self, snapshot: Snapshot) -> None:
        in_use = {key.sealed for provider in snapshot.providers.values() for key in provider.keys}
        self._keys = {sealed: key for sealed, key in self._keys.items() if sealed in in_use}

    def _read_engines(self) -> dict[str, dict[str, Any]]:
        data = self._changed(self._folder.engines)
        return {} if data is None else self._engines_in(data)

    def _engines_in(self, data: bytes) -> dict[str, dict[str, Any]]:
        try:
            engines = orjson.loads(data)
            return {str(key): dict(engine) for key, engine in engines.items()}
        except (ValueError, TypeError, AttributeError):
            _log.error("engines.json cannot be read, the last good one stays in use")
            return self._catalog.engines if self._catalog else {}

    def _changed(self, path: Path) -> bytes | None:
        """The file's bytes when it is not the file that was seen last."""
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if self._seen.get(path) == mark:
                return None
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            if self._seen.get(path, ()) is not None:
                _log.error("%s cannot be read: %s", path.name, error.strerror)
                self._seen[path] = None
            return None
        self._seen[path] = mark
        return data
