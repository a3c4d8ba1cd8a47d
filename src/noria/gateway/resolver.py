"""Where providers may be: what a host resolves to is looked at each time it is connected to, not only when it was configured.

In: a host and a port. Out: addresses to connect to. Metadata and link-local addresses are refused always, private ones unless they
are allowed. The decision to know: a name of whose addresses any may not be called is refused whole, and the caller connects
to the very addresses that were checked, so there is no second look-up that could answer otherwise. Redirects are
followed by nobody.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final

from noria.registry.addresses import is_metadata_name, is_refused

Lookup = Callable[[str, int], Awaitable[list[str]]]
_KEEP_SECONDS: Final = 30.0
_MOST_NAMES: Final = 1_000


class RefusedAddress(OSError):
    """The address may not be called; nothing was sent to it."""


class Resolver:
    """Resolves and refuses; one for the process. `lookup` gives a host's addresses as text."""

    def __init__(
        self, *, allow_private: bool, lookup: Lookup | None = None, keep_seconds: float = _KEEP_SECONDS
    ) -> None:
        self._allow_private = allow_private
        self._lookup = lookup or _from_system
        self._keep_seconds = keep_seconds
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}

    async def addresses(self, host: str, port: int, *, trusted: bool = False) -> list[str]:
        """Addresses that may be called, at least one. Raises RefusedAddress, or OSError when there is no such host.

        `trusted` hosts may be private whatever the settings say.
        """
        if is_metadata_name(host):
            raise RefusedAddress(f"{host[:100]} belongs to a metadata service")
        found = await self._found(host, port)
        allow_private = self._allow_private or trusted
        if any(is_refused(address, allow_private=allow_private) for address in found):
            raise RefusedAddress(f"{host[:100]} resolves to an address that may not be called")
        return found

    async def _found(self, host: str, port: int) -> list[str]:
        now = time.monotonic()
        known = self._known.get((host, port))
        if known is not None and now - known[0] < self._keep_seconds:
            return known[1]
        found = await self._lookup(host, port)
        if not found:
            raise OSError("the host has no address")
        if len(self._known) >= _MOST_NAMES:
            self._known.clear()
        self._known[host, port] = (now, found)
        return found


async def _from_system(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def was_refused(error: BaseException) -> bool:
    """Whether a failed call failed because its address may not be called."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RefusedAddress):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
