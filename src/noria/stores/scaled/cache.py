"""A cache in Redis or Valkey, for several gateways. Implements noria.stores.ports.Cache; needs the extra `scaled`.

The decision to know: a cache is a help, never a need. What Redis does not give within a moment is a miss, and after a failure it
is left alone for a few seconds, so that a Redis that hangs costs requests next to nothing.
"""

import asyncio
import logging
import time

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = logging.getLogger("noria.stores")
_PREFIX = "noria:cache:"
_SECONDS = 0.1
_PAUSE = 5.0
_MOST_WAITING = 256


class RedisCache:
    """Keys live under "noria:cache:"; Redis forgets them by their own time and its own `maxmemory-policy`."""

    def __init__(self, url: str) -> None:
        once = Retry(NoBackoff(), 0)
        self._redis = Redis.from_url(url, socket_connect_timeout=1.0, socket_timeout=1.0, retry=once)
        self._alone_until = 0.0
        self._waiting: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> bytes | None:
        if time.monotonic() < self._alone_until:
            return None
        try:
            async with asyncio.timeout(_SECONDS):
                value = await self._redis.get(_PREFIX + key)
        except (RedisError, OSError, TimeoutError) as error:
            self._trouble(error)
            return None
        return value if isinstance(value, bytes) else None

    def put(self, key: str, value: bytes, seconds: int) -> None:
        if time.monotonic() < self._alone_until or len(self._waiting) >= _MOST_WAITING:
            return
        task = asyncio.get_running_loop().create_task(self._put(key, value, seconds))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _put(self, key: str, value: bytes, seconds: int) -> None:
        try:
            await self._redis.set(_PREFIX + key, value, ex=seconds)
        except (RedisError, OSError) as error:
            self._trouble(error)

    async def close(self) -> None:
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=1.0)
        await self._redis.aclose()

    def _trouble(self, error: Exception) -> None:
        if time.monotonic() >= self._alone_until:
            _log.warning("the cache in Redis does not answer (%s)", type(error).__name__)
        self._alone_until = time.monotonic() + _PAUSE
