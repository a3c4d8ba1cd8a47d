"""What Noria asks of ClickHouse's HTTP protocol: the same suite for the embedded store and for any ClickHouse.

The embedded store is always tested. NORIA_CLICKHOUSE_URL (http://user:password@host:8123) adds a server; the user may create and drop
databases. docs/clickhouse.md says what this proves and what it does not.
"""

import http.client
import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from noria.core import ids
from noria.core.errors import TimedOut
from noria.core.settings import Settings, load
from noria.stores.spans import ClickHouseSpans, NoTable
from noria.tracing import migrations
from tests.stores.process import StoreProcess, eventually

URL = os.environ.get("NORIA_CLICKHOUSE_URL", "")
ODD = "it's\n\t물레방아 \\ {x:String} %s \0 '; DROP TABLE t -- \" ` 👩‍💻"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    started = StoreProcess(load({}, data=tmp_path_factory.mktemp("conformance") / "data"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(params=["embedded", "server"])
def dsn(request: pytest.FixtureRequest, store: StoreProcess) -> Iterator[str]:
    """An URL with a database of this test's own."""
    if request.param == "server" and not URL:
        pytest.skip("NORIA_CLICKHOUSE_URL names no ClickHouse server")
    base = store.dsn() if request.param == "embedded" else URL.rstrip("/")
    name = f"noria_{ids.new_span_id()}"
    admin = clickhouse_connect.get_client(dsn=base)
    admin.command(f"CREATE DATABASE {name} ENGINE = Atomic")
    yield f"{base}/{name}"
    admin.command(f"DROP DATABASE {name} SYNC")
    admin.close()


@pytest.fixture
def spans(dsn: str, settings: Settings) -> Iterator[ClickHouseSpans]:
    opened = ClickHouseSpans(replace(settings, spans_url=dsn))
    yield opened
    opened.close()


def make_table(spans: ClickHouseSpans, engine: str = "MergeTree") -> None:
    spans.command(
        f"CREATE TABLE t (a Int64, b String) ENGINE = {engine} PARTITION BY a % 2 ORDER BY a"
        " SETTINGS non_replicated_deduplication_window = 100"
    )


def count(spans: ClickHouseSpans, final: str = "") -> int:
    return int(spans.query(f"SELECT count() AS n FROM t {final}")[0]["n"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("String", text) for text in ("", ODD, "물" * 20_000)),
        *(("Int64", number) for number in (0, -(2**63), 2**63 - 1)),
        *(("UInt32", 2**32 - 1), ("Float64", -0.1), ("Bool", True), ("Bool", False)),
        *(("Array(String)", texts) for texts in ([], [ODD], ["a'b", "c\\", "물", ""])),
        *(("Array(Int64)", numbers) for numbers in ([], [1, -2])),
        ("Nullable(String)", None),
        ("Nullable(Float64)", 0.5),
    ],
)
def test_a_bound_value_is_what_it_was(spans: ClickHouseSpans, kind: str, value: Any) -> None:
    assert spans.query(f"SELECT {{x:{kind}}} AS x", {"x": value}) == [{"x": value}]


def test_errors_have_their_codes(spans: ClickHouseSpans) -> None:
    with pytest.raises(NoTable):
        spans.query("SELECT * FROM nothing_here")
    for code, sql in (
        ("62", "SELEC 1"),
        ("47", "SELECT nothing_here"),
        ("115", "SELECT 1 SETTINGS no_such_setting = 1"),
    ):
        with pytest.raises(DatabaseError, match=f"code: {code}"):
            spans.query(sql)


def test_a_query_that_takes_too_long_ends_and_others_go_on(spans: ClickHouseSpans) -> None:
    with pytest.raises(TimedOut):
        spans.query("SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 1, max_block_size = 1")
    assert spans.query("SELECT 1 AS one") == [{"one": 1}]


def test_one_token_is_one_insert(spans: ClickHouseSpans) -> None:
    make_table(spans)
    for _ in range(3):
        spans.insert("t", ["a", "b"], [[1, "x"], [2, "y"], [3, "z"]], token="one")  # two partitions, so two parts
    assert count(spans) == 3
    spans.insert("t", ["a", "b"], [[1, "x"]], token="two")
    assert count(spans) == 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: spans.insert("t", ["a", "b"], [[9, "q"]], token="three"), range(16)))
    assert count(spans) == 5


def test_half_an_insert_is_none(spans: ClickHouseSpans, dsn: str) -> None:
    make_table(spans)
    client = clickhouse_connect.get_client(dsn=dsn, compress=False)
    with pytest.raises(DatabaseError):
        client.raw_insert("t", ["a", "b"], b'[1,"x"]\n[2,', fmt="JSONCompactEachRow")
    assert count(spans) == 0
    client.close()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip"])
def test_bodies_may_be_compressed(spans: ClickHouseSpans, dsn: str, compression: str) -> None:
    make_table(spans)
    client = clickhouse_connect.get_client(dsn=dsn, compress=compression)
    client.insert("t", [[number, "물" * 100] for number in range(1000)], column_names=["a", "b"])
    assert client.query("SELECT count(), sum(a) FROM t").result_rows == [(1000, 499_500)]
    client.close()


def test_callers_at_once_keep_their_own_settings(spans: ClickHouseSpans) -> None:
    def work(number: int) -> bool:
        sql = f"SELECT {{n:Int64}} AS n, getSetting('max_threads') AS threads SETTINGS max_threads = {1 + number % 3}"
        return spans.query(sql, {"n": number}) == [{"n": number, "threads": 1 + number % 3}]

    before = spans.query("SELECT getSetting('max_threads') AS threads")
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(work, range(100)))
    assert spans.query("SELECT getSetting('max_threads') AS threads") == before


def test_a_large_result_arrives_whole(spans: ClickHouseSpans) -> None:
    rows = spans.query("SELECT number AS n, repeat('물', 20) AS s FROM numbers(200000)")
    assert len(rows) == 200_000 and rows[-1] == {"n": 199_999, "s": "물" * 20}


def test_the_last_row_of_a_key_stays(spans: ClickHouseSpans) -> None:
    make_table(spans, "ReplacingMergeTree")
    spans.insert("t", ["a", "b"], [[1, "old"]], token="1")
    spans.insert("t", ["a", "b"], [[1, "new"]], token="2")
    assert spans.query("SELECT b FROM t FINAL") == [{"b": "new"}]


def test_partitions_are_named_and_dropped(spans: ClickHouseSpans) -> None:
    make_table(spans)
    spans.insert("t", ["a", "b"], [[1, "odd"], [2, "even"]], token="1")
    [part] = spans.query(
        "SELECT partition_id FROM system.parts WHERE active AND database = currentDatabase() AND partition = '1'"
    )
    spans.command("ALTER TABLE t DROP PARTITION ID {part:String}", {"part": part["partition_id"]})
    assert spans.query("SELECT a FROM t") == [{"a": 2}]


def test_deleted_rows_are_gone_at_once_and_the_mutation_is_listed(spans: ClickHouseSpans) -> None:
    make_table(spans)
    spans.insert("t", ["a", "b"], [[1, ODD], [2, "stays"]], token="1")
    spans.command("DELETE FROM t WHERE b = {b:String}", {"b": ODD})
    assert spans.query("SELECT a FROM t") == [{"a": 2}]
    spans.command("ALTER TABLE t DELETE WHERE a = {a:Int64}", {"a": 2})

    def done() -> bool:
        sql = "SELECT min(is_done) AS done FROM system.mutations WHERE database = currentDatabase() AND table = 't'"
        return bool(spans.query(sql)[0]["done"])

    eventually("mutations are done", done)
    assert count(spans) == 0


def test_rows_are_deleted_in_one_partition_without_waiting(spans: ClickHouseSpans) -> None:
    make_table(spans, "ReplacingMergeTree")
    spans.insert("t", ["a", "b"], [[1, "same"], [2, "same"]], token="1")
    [row] = spans.query("SELECT a, _partition_id AS part FROM t FINAL WHERE a = 1")
    sql = (
        "DELETE FROM t IN PARTITION ID {part:String} WHERE b IN {b:Array(String)} SETTINGS lightweight_deletes_sync = 0"
    )
    spans.command(sql, {"part": row["part"], "b": ["same"]})
    eventually("it is gone, and the other partition's is not", lambda: spans.query("SELECT a FROM t") == [{"a": 2}])


def test_the_tables_of_noria_are_made_and_their_text_index_is_used(spans: ClickHouseSpans) -> None:
    migrations.prepare(spans)
    columns = ("project_id", "trace_id", "text")
    spans.insert("traces", columns, [["p", "1", "a refund, please"], ["p", "2", "배송이 늦어요"]], token="1")
    where = "FROM traces WHERE project_id = 'p' AND text LIKE {like:String}"
    assert spans.query(f"SELECT trace_id {where}", {"like": "%배송%"}) == [{"trace_id": "2"}]
    plan = spans.query(f"EXPLAIN indexes = 1 SELECT trace_id {where}", {"like": "%배송%"})
    assert any("words" in line["explain"] for line in plan)


def test_no_table_of_logs_grows(store: StoreProcess) -> None:
    spans = ClickHouseSpans(store.settings)
    spans.query("SELECT 1")
    found = spans.query(
        "SELECT name FROM system.tables WHERE database = 'system' AND endsWith(name, '_log') AND total_bytes > 0"
    )
    spans.close()
    assert found == []
    assert not list((store.settings.folder.spans / "data").glob("system/*_log*"))


def ask(store: StoreProcess, **headers: str) -> tuple[int, bytes]:
    """The status and answer of a bare request with these headers."""
    where = urlsplit(store.where()["url"])
    connection = http.client.HTTPConnection("127.0.0.1", where.port or 0, timeout=5)
    connection.putrequest("GET", "/?query=SELECT%201", skip_host=True)
    for name, value in {"host": f"127.0.0.1:{where.port}", **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_only_its_own_clients_are_answered(store: StoreProcess) -> None:
    right = "Basic " + b64encode(f"noria:{store.where()['password']}".encode()).decode()
    assert ask(store, authorization=right) == (200, b"1\n")
    assert ask(store)[0] == 401
    assert ask(store, authorization="Basic " + b64encode(b"noria:wrong").decode())[0] == 401
    for name in ("attacker.example", "attacker.example:80", "127.0.0.1.attacker.example", "", "0.0.0.0"):
        assert ask(store, authorization=right, host=name)[0] == 403, name  # a name that was pointed to this machine
    assert ask(store, authorization=right, origin="https://attacker.example")[0] == 403
    assert ask(store, authorization=right, origin="null")[0] == 403


def test_a_stop_lets_queries_end(tmp_path: Path) -> None:
    process = StoreProcess(load({}, data=tmp_path / "data"))
    process.start()
    spans = ClickHouseSpans(process.settings)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(spans.query("SELECT sleep(1) AS slept")))
    thread.start()

    def asked() -> bool:
        other = ClickHouseSpans(process.settings)
        running = other.query("SELECT count() AS n FROM system.processes WHERE query LIKE 'SELECT sleep%'")[0]["n"]
        other.close()
        return bool(running) or bool(found)

    eventually("the query runs", asked)
    assert process.stop() == 0
    thread.join()
    spans.close()
    assert found == [[{"slept": 0}]]
