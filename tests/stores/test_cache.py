"""One conformance suite for what keeps answers: a process's memory, and a real Redis server."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from noria.stores.embedded.memory import MemoryCache
from noria.stores.ports import Cache
from noria.stores.scaled.cache import RedisCache
from tests.stores.test_counters import redis_server

Play = Callable[[Cache], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
def play(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Play], None]]:
    """Runs a scene with a cache of each engine."""

    def run(scene: Play, make: Callable[[], Cache]) -> None:
        async def whole() -> None:
            cache = make()
            try:
                await scene(cache)
            finally:
                await cache.close()

        asyncio.run(whole())

    if request.param == "memory":
        yield lambda scene: run(scene, lambda: MemoryCache(1_000_000))
        return
    with redis_server(tmp_path_factory.mktemp("r")) as url:
        yield lambda scene: run(scene, lambda: RedisCache(url))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + 5
    while not await condition():
        assert time.monotonic() < end, "the condition was not met in time"
        await asyncio.sleep(0.01)


def test_what_is_kept_is_found_until_its_time_is_over(play: Callable[[Play], None]) -> None:
    async def scene(cache: Cache) -> None:
        async def gone(key: str) -> bool:
            return await cache.get(key) is None

        async def there(key: str) -> bool:
            return not await gone(key)

        assert await cache.get("a") is None
        cache.put("a", b"\x00\xff", 60)
        cache.put("b", b"short", 1)
        await until(lambda: there("a"))
        assert await cache.get("a") == b"\x00\xff"
        await until(lambda: gone("b"))
        cache.put("a", b"other", 60)

        async def changed() -> bool:
            return await cache.get("a") == b"other"

        await until(changed)

    play(scene)


def test_redis_that_is_gone_is_a_miss_and_costs_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        cache = RedisCache(f"unix://{tmp_path / 'nothing.sock'}")
        began = time.monotonic()
        for _ in range(1_000):
            cache.put("a", b"x", 60)
            assert await cache.get("a") is None
        assert time.monotonic() - began < 2
        await cache.close()

    asyncio.run(scene())


def test_redis_that_hangs_is_left_alone() -> None:
    async def scene(port: int) -> None:
        cache = RedisCache(f"redis://127.0.0.1:{port}")
        began = time.monotonic()
        for _ in range(50):
            assert await cache.get("a") is None
        assert time.monotonic() - began < 3, "only the first waits"
        await cache.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(scene(silent.getsockname()[1]))
