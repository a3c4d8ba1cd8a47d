"""chDB, owned by this one process: a pool-less wrapper that gives each request a connection with its own settings.

Opening a connection to the running engine takes 0.2 ms, and `SET` on it touches no other, so a request's settings cannot leak.
Queries run in the calling thread without the GIL. Results are the raw bytes of the asked format.
"""

import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from noria.stores.embedded import seal

_CODE: Final = re.compile(r"Code: (\d+)\. (.*)", re.DOTALL)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_DATABASE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULTS: Final = {"async_insert": "0", "max_partitions_per_insert_block": "0"}
_AT_ONCE: Final = 8

_CONFIG: Final = """<clickhouse>
  <logger><level>none</level></logger>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{cache}</mark_cache_size>
  <index_mark_cache_size>{cache}</index_mark_cache_size>
  <primary_index_cache_size>{cache}</primary_index_cache_size>
  <text_index_tokens_cache_size>{cache}</text_index_tokens_cache_size>
  <text_index_header_cache_size>{cache}</text_index_header_cache_size>
  <text_index_postings_cache_size>{cache}</text_index_postings_cache_size>
  <query_condition_cache_size>1048576</query_condition_cache_size>
  <compiled_expression_cache_size>4194304</compiled_expression_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <storage_configuration>
    <disks><default><keep_free_space_bytes>{reserve}</keep_free_space_bytes></default>{disks}</disks>{policies}
  </storage_configuration>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_initial_size>2</background_schedule_pool_initial_size>
  <max_thread_pool_free_size>8</max_thread_pool_free_size>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <non_replicated_deduplication_window>10000</non_replicated_deduplication_window>
    <old_parts_lifetime>30</old_parts_lifetime>
    <merge_max_block_size>2048</merge_max_block_size>
    {policy}
  </merge_tree>
</clickhouse>
"""


_DISKS: Final = """
      <plain><type>local</type><path>{folder}/sealed/</path><keep_free_space_bytes>{reserve}</keep_free_space_bytes></plain>
      <sealed><type>encrypted</type><disk>plain</disk><algorithm>AES_256_CTR</algorithm><key_hex from_env="{key}"/></sealed>"""
_POLICIES: Final = """
    <policies><sealed><volumes><main><disk>sealed</disk></main></volumes></sealed></policies>"""
_POLICY: Final = "<storage_policy>sealed</storage_policy>"
"""All tables lie on a disk that the engine encrypts, columns and indexes alike. It has no <path> of its own: with one, the engine looks for
part folders to sync under that path twice and fails."""


class EngineError(Exception):
    """What the engine refused, with ClickHouse's number for it."""

    def __init__(self, message: str) -> None:
        found = _CODE.search(message)
        self.code = int(found[1]) if found else 1000
        super().__init__(message if found else f"Code: 1000. DB::Exception: {message}")


class Engine:
    """chDB over one folder. `folder` must be held by a lock: a second process on it would fail in obscure ways."""

    def __init__(self, folder: Path, *, memory_mb: int, reserve_mb: int = 0, sealed: bool = False) -> None:
        self._folder = folder
        self._reserve = reserve_mb * 1024 * 1024
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = folder / "noria.xml"
        megabyte = 1024 * 1024
        cache = max(8, memory_mb // 32) * megabyte
        seals = {"disks": "", "policies": "", "policy": ""}
        reserve = reserve_mb * megabyte
        if sealed:
            disks = _DISKS.format(folder=escape(str(folder.absolute())), key=seal.KEY, reserve=reserve)
            seals = {"disks": disks, "policies": _POLICIES, "policy": _POLICY}
        _write(config, _CONFIG.format(memory=memory_mb * megabyte, cache=cache, reserve=reserve, **seals))
        _leave_out("pyarrow", "numpy", "pandas")
        from chdb import _chdb

        self._chdb: Any = _chdb
        self._first = self._chdb.connect(f"{folder}?config-file={config}")

    def query(
        self,
        sql: str,
        *,
        form: str,
        parameters: Mapping[str, str],
        settings: Mapping[str, str],
        database: str = "",
    ) -> bytes:
        """The result in the format that `sql` names, else in `form`. Parameters are in ClickHouse's escaped text form."""
        with self._connection(settings, database) as connection, _engine_errors():
            result = connection.query(sql, form, params=dict(parameters))
            data: bytes = result.bytes()
            return data

    def insert(self, sql: str, *, form: str, data: bytes, settings: Mapping[str, str], database: str = "") -> int:
        """Insert `data`, which is in format `form`, by the statement `sql` (without FORMAT); all of it or nothing."""
        if shutil.disk_usage(self._folder).free < self._reserve:
            # On a disk that is full to the last byte the engine may write a part without its marks and say that all is well.
            raise EngineError("Code: 243. DB::Exception: The disk has no room beyond its reserve. (NOT_ENOUGH_SPACE)")
        with self._connection(settings, database) as connection, _engine_errors():
            stream = connection.send_insert(sql, form)
            try:
                if data:
                    connection.insert_append(stream, data)
            except RuntimeError:
                connection.insert_cancel(stream)
                raise
            rows: int = connection.insert_done(stream).rows_written()
            return rows

    def free_memory(self) -> None:
        """Give pages that the allocator keeps back to the system."""
        with _engine_errors():
            self._first.query("SYSTEM JEMALLOC PURGE", "TSV")

    def close(self) -> None:
        """Close; running queries end first."""
        for _ in range(_AT_ONCE):
            self._slots.acquire(timeout=5)
        self._first.close()

    @contextmanager
    def _connection(self, settings: Mapping[str, str], database: str) -> Iterator[Any]:
        with self._slots:
            connection = self._chdb.connect(str(self._folder))
            try:
                with _engine_errors():
                    connection.query(f"SET {_assignments({**_DEFAULTS, **settings})}", "TSV")
                    if database:
                        connection.query(f"USE {_quoted(database)}", "TSV")
                yield connection
            finally:
                connection.close()


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError(str(error)) from None


def _assignments(settings: Mapping[str, str]) -> str:
    for name in settings:
        if not _NAME.fullmatch(name):
            raise EngineError(f"Code: 115. DB::Exception: Setting {name!r} is not known. (UNKNOWN_SETTING)")
    values = {name: str(value).replace("\\", "\\\\").replace("'", "\\'") for name, value in settings.items()}
    return ", ".join(f"{name}='{value}'" for name, value in values.items())


def _write(path: Path, text: str) -> None:
    """Only what is new, and whole or not at all: the store must also start on a full disk."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _quoted(name: str) -> str:
    if not _DATABASE.fullmatch(name):
        raise EngineError(f"Code: 81. DB::Exception: Database {name!r} does not exist. (UNKNOWN_DATABASE)")
    return f"`{name}`"


def _leave_out(*names: str) -> None:
    """chDB imports data-frame libraries where it finds them; this process hands on bytes and saves their 15 MB."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
