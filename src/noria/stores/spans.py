"""The client of the span store: ClickHouse SQL over HTTP, to the embedded store process or to a ClickHouse server.

Embedded, address and password are read from `Folder.store`, again whenever that file changes, so a restart of the store process is
one retry. Nothing of the engine is imported here; the client library stays free of numpy and pandas.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
import orjson
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, Error, OperationalError
from clickhouse_connect.driver.httputil import get_pool_manager

from noria.core.errors import TimedOut, Unavailable
from noria.core.settings import Settings
from noria.stores import ports

Result = TypeVar("Result")

_UNKNOWN_TABLE: Final = frozenset({60, 81})
_WRONG_PASSWORD: Final = 516
_OUT_OF_MEMORY: Final = 241
_TOO_SLOW: Final = frozenset({159, 160})
_DISK_FULL: Final = 243
_USER: Final = "noria"
_ONE_BLOCK: Final = {
    **{"async_insert": 0, "insert_deduplicate": 1, "input_format_parallel_parsing": 0},
    "max_partitions_per_insert_block": 0,
}
"""A token names one block, so an insert must not be cut into several; nor refused because a client sent years at once."""

_READING: Final = {"do_not_merge_across_partitions_select_final": 1}
"""What makes a table's partition is in its key, so that FINAL need not look beyond one."""

logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)  # it warns of each refused connection; we raise


class NoTable(Unavailable):
    """The store is there, its tables are not (yet)."""

    code = "no_table"


def open_spans(settings: Settings) -> ports.Spans:
    """The span store of these settings. Connects when first asked, so it may be opened before the store is up."""
    return ClickHouseSpans(settings)


class ClickHouseSpans:
    """noria.stores.ports.Spans. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._seen: tuple[int, int] = (0, 0)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries. Raises Unavailable (NoTable when a table is missing) and TimedOut."""

        def ask(client: Client) -> list[dict[str, Any]]:
            return list(client.query(sql, parameters=dict(parameters or {}), settings=_READING).named_results())

        return self._with_client(ask)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, token: str) -> None:
        """One block, one token: a replay does nothing, also when the first try died between sending and hearing."""
        if not rows:
            return

        # Encoded here: the client's own insert would import pandas (45 MB, 2 s) where it is installed.
        data = b"\n".join(orjson.dumps(row) for row in rows)
        settings = {**_ONE_BLOCK, "insert_deduplication_token": token}
        self._with_client(
            lambda client: client.raw_insert(table, list(columns), data, settings=settings, fmt="JSONCompactEachRow")
        )

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """DDL and mutations."""
        self._with_client(lambda client: client.command(sql, parameters=dict(parameters or {})))

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _with_client(self, act: Callable[[Client], Result]) -> Result:
        """`act`, once more with a new connection when the store has moved since."""
        for last in (False, True):
            client = self._connected()
            try:
                return act(client)
            except OperationalError as error:
                self._forget(client)
                if last or not self._moved():
                    raise _away(error) from error
            except DatabaseError as error:
                code = error.code or 0
                if code == _WRONG_PASSWORD and not last:
                    self._forget(client)
                    continue
                raise _translated(code, error) from error
        raise AssertionError("unreachable")

    def _connected(self) -> Client:
        with self._lock:
            if self._client is not None and not self._moved():
                return self._client
            self._drop()
            self._seen = self._stamp()
            try:
                self._client = self._connect()
            except Error as error:
                raise _away(error) from error
            return self._client

    def _connect(self) -> Client:
        if self._settings.spans_url:
            # No session: one would forbid two queries at the same time.
            return clickhouse_connect.get_client(dsn=self._settings.spans_url, autogenerate_session_id=False)
        try:
            where = json.loads(self._settings.folder.store.read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise _away(error) from error
        address = urlsplit(where["url"])
        return clickhouse_connect.get_client(
            host=address.hostname,
            port=address.port or 0,
            username=_USER,
            password=where["password"],
            interface="http",
            compress=False,
            autogenerate_session_id=False,
            connect_timeout=2,
            pool_mgr=get_pool_manager(keep_interval=60),  # its own: never through a proxy
        )

    def _stamp(self) -> tuple[int, int]:
        if self._settings.spans_url:
            return (1, 1)
        try:
            status = self._settings.folder.store.stat()
        except FileNotFoundError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_ino)

    def _moved(self) -> bool:
        return self._stamp() != self._seen

    def _forget(self, client: Client) -> None:
        with self._lock:
            if self._client is client:
                self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Error, OSError):
                client.close_connections()
                client.close()


def _away(error: BaseException) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    return Unavailable(
        "The span store is not there now; what was journalled is kept and will appear.",
        hint="`noria up` starts it again by itself; otherwise look into logs/store.log.",
    )


def _translated(code: int, error: DatabaseError) -> Exception:
    if code in _UNKNOWN_TABLE:
        return NoTable("The span store has no tables yet.", hint="The worker makes them when it starts.")
    if code == _WRONG_PASSWORD:
        return _away(error)
    if code == _OUT_OF_MEMORY:
        return Unavailable(
            "The span store needs more memory for this than it may use.",
            hint="Ask for a shorter time, or raise the setting store_memory_mb.",
        )
    if code == _DISK_FULL:
        return Unavailable(
            "The disk of the span store is full.", hint="Free space; nothing is lost meanwhile.", code="disk_full"
        )
    if code in _TOO_SLOW:
        return TimedOut("The span store took too long.", hint="Ask for a shorter time.")
    return error
