"""Opens the store of answers that are kept to be given again: in this process, or in the Redis that several gateways share.

It is no part of `Stores`: the gateway opens it, and must not load the stores that it never uses.
"""

from noria.core.settings import Settings
from noria.stores.embedded.memory import MemoryCache
from noria.stores.ports import Cache


def open_cache(settings: Settings) -> Cache:
    """In the Redis that counts limits, when there is one; else in at most `cache_memory_mb` of this process's memory."""
    if not settings.counters_url:
        return MemoryCache(settings.cache_memory_mb * 1_000_000)
    from noria.stores.scaled.cache import RedisCache

    return RedisCache(settings.counters_url)
