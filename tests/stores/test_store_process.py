"""The store process end to end: real chDB behind the ClickHouse client, killed, refused, restarted."""

import gzip
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from noria.core.errors import TimedOut, Unavailable
from noria.core.settings import Settings
from noria.stores.spans import ClickHouseSpans, NoTable
from tests.stores.process import StoreProcess, eventually


@pytest.fixture
def process(settings: Settings) -> Iterator[StoreProcess]:
    started = StoreProcess(settings)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def spans(process: StoreProcess) -> Iterator[ClickHouseSpans]:
    opened = ClickHouseSpans(process.settings)
    yield opened
    opened.close()


def make_table(spans: ClickHouseSpans) -> None:
    spans.command(
        "CREATE TABLE t (a Int64, b String, c Array(String), d Nullable(Float64)) ENGINE = MergeTree ORDER BY a"
    )


def count(spans: ClickHouseSpans) -> int:
    return int(spans.query("SELECT count() AS n FROM t")[0]["n"])


def test_values_and_parameters_come_back_as_they_were(spans: ClickHouseSpans) -> None:
    make_table(spans)
    odd = "it's\n\t물레방아 \\ {x:String} %s \0 '; DROP TABLE t --"
    spans.insert("t", ["a", "b", "c", "d"], [[2**62, odd, ["a'b", "c\\"], None], [-1, "", [], 0.5]], token="1")
    assert spans.query("SELECT * FROM t WHERE b = {b:String}", {"b": odd}) == [
        {"a": 2**62, "b": odd, "c": ["a'b", "c\\"], "d": None}
    ]
    assert spans.query("SELECT a FROM t WHERE a IN {a:Array(Int64)}", {"a": [-1, 7]}) == [{"a": -1}]
    long = "물" * 20_000  # longer than an address may be: the client sends a form
    assert spans.query("SELECT length({x:String}) AS n, {y:String} AS y", {"x": long, "y": odd}) == [
        {"n": 60_000, "y": odd}
    ]


def test_a_token_is_inserted_once_also_after_a_kill(spans: ClickHouseSpans, process: StoreProcess) -> None:
    make_table(spans)
    for token in ("one", "one", "two"):
        spans.insert("t", ["a"], [[1]], token=token)
    assert count(spans) == 2
    process.kill()
    with pytest.raises(Unavailable):
        spans.query("SELECT 1")
    process.start()
    spans.insert("t", ["a"], [[1]], token="two")
    assert count(spans) == 2
    spans.insert("t", ["a"], [[1]], token="three")
    assert count(spans) == 3


def test_a_second_store_on_the_folder_is_refused_by_name(process: StoreProcess) -> None:
    second = subprocess.run(process.command(), env=process.environment(), capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"held by process {process.pid}" in second.stderr
    assert process.where()["pid"] == process.pid


def test_the_announcement_is_private_and_goes_with_the_process(settings: Settings) -> None:
    process = StoreProcess(settings)
    process.start()
    path = settings.folder.store
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = process.where()["password"]
    assert process.stop() == 0
    assert not path.exists()
    process.start()
    assert process.where()["password"] != first
    process.stop()


def test_nobody_is_let_in_without_the_password(process: StoreProcess) -> None:
    url = process.where()["url"]
    for headers in (
        {},
        {"Authorization": "Basic " + b64encode(b"noria:wrong").decode()},
        {"Authorization": "Basic nonsense"},
        {"X-ClickHouse-User": "default"},
    ):
        for path in ("/ping", "/?query=SELECT%201"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=5)
            assert refused.value.code == 401
            assert refused.value.headers["X-ClickHouse-Exception-Code"] == "516"
            refused.value.close()
    spans = ClickHouseSpans(replace(process.settings, spans_url=process.dsn().replace("noria:", "noria:x")))
    with pytest.raises(Unavailable):
        spans.query("SELECT 1")
    spans.close()


def test_errors_are_told_apart(spans: ClickHouseSpans) -> None:
    with pytest.raises(NoTable):
        spans.query("SELECT * FROM nothing_here")
    with pytest.raises(DatabaseError, match="47"):
        spans.query("SELECT nothing_here")
    with pytest.raises(TimedOut):
        spans.query("SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 1, max_block_size = 1")
    with pytest.raises(DatabaseError, match="115"):
        spans.query("SELECT 1 SETTINGS no_such_setting = 1")


def test_memory_is_capped_and_the_store_lives_on(settings: Settings) -> None:
    process = StoreProcess(replace(settings, store_memory_mb=300))
    process.start()
    spans = ClickHouseSpans(process.settings)
    with pytest.raises(Unavailable, match="memory"):
        spans.query("SELECT length(groupArray(randomPrintableASCII(100))) FROM numbers(20000000)")
    assert spans.query("SELECT 1 AS one") == [{"one": 1}]
    spans.close()
    process.stop()


def test_many_callers_at_once_keep_their_own_settings(spans: ClickHouseSpans) -> None:
    make_table(spans)

    def work(number: int) -> bool:
        if number % 5 == 0:
            spans.insert("t", ["a"], [[number]], token=str(number))
        sql = f"SELECT {{n:Int64}} AS n, getSetting('max_threads') AS threads SETTINGS max_threads = {1 + number % 3}"
        [row] = spans.query(sql, {"n": number})
        return bool(row["n"] == number and row["threads"] == 1 + number % 3)

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(work, range(200)))
    assert count(spans) == 40


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip"])
def test_the_unmodified_client_may_compress(process: StoreProcess, compression: str) -> None:
    client = clickhouse_connect.get_client(dsn=process.dsn(), compress=compression)
    client.command("CREATE TABLE t (a Int64, b String) ENGINE = MergeTree ORDER BY a")
    client.insert("t", [[i, "물" * 100] for i in range(1000)], column_names=["a", "b"])
    assert client.query("SELECT count(), sum(a) FROM t").result_rows == [(1000, 499_500)]
    assert client.command("SELECT count() FROM t") == 1000
    client.raw_insert("t", ["a", "b"], gzip.compress(b"1\tx\n2\ty\n"), fmt="TSV", compression="gzip")
    assert client.raw_query("SELECT b FROM t WHERE b < 'z' ORDER BY b", fmt="JSONEachRow") == b'{"b":"x"}\n{"b":"y"}\n'
    assert client.ping()
    client.close()


def test_half_an_insert_leaves_nothing(process: StoreProcess, spans: ClickHouseSpans) -> None:
    make_table(spans)
    client = clickhouse_connect.get_client(dsn=process.dsn(), compress=False)
    block = client.raw_query("SELECT toInt64(number) AS a FROM numbers(1000)", fmt="Native")
    with pytest.raises(DatabaseError):
        client.raw_insert("t", ["a"], block[:-100], fmt="Native")
    assert count(spans) == 0
    client.close()


def test_the_store_forgets_nothing_that_it_took_when_killed(spans: ClickHouseSpans, process: StoreProcess) -> None:
    make_table(spans)
    for number in range(20):
        spans.insert("t", ["a"], [[number]], token=str(number))
    process.kill()
    process.start()
    eventually("it answers again", lambda: count(spans) == 20)


LIGHT = """
import sys
from noria.core.settings import load
from noria.stores.spans import open_spans
spans = open_spans(load())
spans.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
spans.insert("t", ["a"], [[1]], token="1")
assert spans.query("SELECT a FROM t") == [{"a": 1}]
spans.close()
print([name for name in ("numpy", "pandas", "pyarrow", "polars", "chdb", "sqlalchemy") if name in sys.modules])
"""


def test_the_client_brings_no_data_frames_along(process: StoreProcess) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], env=process.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="anonymous memory is read from /proc")
def test_an_idle_store_is_small(process: StoreProcess, spans: ClickHouseSpans) -> None:
    make_table(spans)
    spans.insert("t", ["a", "b"], [[number, "x" * 500] for number in range(5000)], token="x")

    def anonymous_mb() -> int:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) // 1024

    eventually("it is at most 110 MB", lambda: anonymous_mb() <= 110)
