"""Connections to where providers may be: what a host resolves to is looked at each time, not only when it was configured.

In: hosts and addresses of provider URLs. Out: an aiohttp connector that refuses metadata and link-local addresses always and
private ones unless they are allowed. The decision to know: it is checked twice. The resolver refuses a name of whose
addresses any may not be called, with a reason; the socket factory sees the address that is really connected to, so addresses
written in URLs and answers kept by the DNS cache pass it too. Redirects are followed by nobody.
"""

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from noria.registry.addresses import is_metadata_name, is_refused


class RefusedAddress(OSError):
    """The address may not be called; nothing was sent to it."""


class GuardedResolver(AbstractResolver):
    """A resolver that refuses what may not be called. `inner` does the resolving."""

    def __init__(self, *, allow_private: bool, inner: AbstractResolver | None = None) -> None:
        self._allow_private = allow_private
        self._inner = inner or aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises RefusedAddress, or OSError when there is no such host."""
        if is_metadata_name(host):
            raise RefusedAddress(f"{host[:100]} belongs to a metadata service")
        found = await self._inner.resolve(host, port, family)
        if any(is_refused(one["host"], allow_private=self._allow_private) for one in found):
            raise RefusedAddress(f"{host[:100]} resolves to an address that may not be called")
        return found

    async def close(self) -> None:
        await self._inner.close()


def guarded_connector(
    *, allow_private: bool, inner: AbstractResolver | None = None, **options: Any
) -> aiohttp.TCPConnector:
    """A connector for providers; `options` are aiohttp's. Local engines want one of their own with `allow_private`."""

    def make_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if is_refused(str(address[0]), allow_private=allow_private):
            raise RefusedAddress("the address may not be called")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(allow_private=allow_private, inner=inner), socket_factory=make_socket, **options
    )


def was_refused(error: BaseException) -> bool:
    """Whether a failed call failed because its address may not be called."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RefusedAddress) or isinstance(getattr(seen, "os_error", None), RefusedAddress):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
