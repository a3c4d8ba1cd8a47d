"""Counters in Redis or Valkey, for gateways on several machines. Needs the extra `scaled`.

One Lua script reads, decides and adds, so that two gateways cannot both take the last of a limit.
"""

from collections.abc import Sequence
from typing import Any, Final

import redis.asyncio as redis
from redis.exceptions import RedisError

from noria.core.errors import Unavailable
from noria.stores.ports import Take, Taken

_PREFIX: Final = "noria:"
_TAKE: Final = """
local used = {}
local refused = -1
for i = 1, #KEYS / 2 do
  local held = tonumber(redis.call('GET', KEYS[2 * i - 1]) or '0')
  if ARGV[4 * i] ~= '0' then
    held = held + math.floor(tonumber(redis.call('GET', KEYS[2 * i]) or '0') * tonumber(ARGV[4 * i]))
  end
  used[i] = held
  if refused < 0 and held + tonumber(ARGV[4 * i - 3]) > tonumber(ARGV[4 * i - 2]) then
    refused = i - 1
  end
end
if refused < 0 then
  for i = 1, #KEYS / 2 do
    redis.call('INCRBY', KEYS[2 * i - 1], ARGV[4 * i - 3])
    redis.call('EXPIREAT', KEYS[2 * i - 1], ARGV[4 * i - 1])
  end
end
table.insert(used, 1, refused)
return used
"""
_ADD: Final = """
for i = 1, #KEYS do
  if redis.call('INCRBY', KEYS[i], ARGV[2 * i - 1]) < 0 then redis.call('SET', KEYS[i], '0') end
  redis.call('EXPIREAT', KEYS[i], ARGV[2 * i])
end
"""


class RedisCounters:
    """noria.stores.ports.Counters."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
        self._take = self._redis.register_script(_TAKE)
        self._add = self._redis.register_script(_ADD)

    async def take(self, takes: Sequence[Take]) -> Taken:
        keys: list[str] = []
        values: list[Any] = []
        for one in takes:
            keys += [_PREFIX + one.name, _PREFIX + (one.before or one.name)]
            values += [one.amount, one.limit, int(one.ends_at) + 1, repr(one.weight) if one.before else "0"]
        try:
            refused, *used = await self._take(keys=keys, args=values)
        except RedisError as error:
            raise _away(error) from error
        return Taken(int(refused), tuple(int(one) for one in used))

    async def add(self, changes: Sequence[tuple[str, int, float]]) -> None:
        values = [value for _, amount, ends_at in changes for value in (amount, int(ends_at) + 1)]
        try:
            await self._add(keys=[_PREFIX + name for name, _, _ in changes], args=values)
        except RedisError as error:
            raise _away(error) from error

    async def close(self) -> None:
        await self._redis.aclose()


def _away(error: RedisError) -> Unavailable:
    return Unavailable(
        f"The counters in Redis cannot be reached ({type(error).__name__}).", hint="Check counters_url and the server."
    )
