"""Opens the store of answers that are kept to be given again: in this process, or in the Redis that several gateways share.

It is no part of `Stores`: the gateway opens it, and must not load the stores that it never uses.
"""

from noria.stores.embedded.memory import MemoryCache
from noria.stores.ports import Cache


def open_cache(url: str, max_bytes: int) -> Cache:
    """`url` names a Redis ("redis://…", "rediss://…"); empty: at most `max_bytes` of this process's memory."""
    if not url:
        return MemoryCache(max_bytes)
    from noria.stores.scaled.redis import RedisCache

    return RedisCache(url)
