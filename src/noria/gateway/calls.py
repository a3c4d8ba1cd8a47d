"""The call step: the chosen release is asked, and the next one of the chain when it fails before its first byte.

In: a `Call` with its route. Out: an answer whose first bytes are here and good. The decision to know: whatever fails here has
reached no client, so another release may still answer; from the first byte on nothing is tried again.
"""

from noria.core.errors import NoriaError
from noria.gateway.ask import Ask
from noria.gateway.catalog import Catalog, Watcher
from noria.gateway.failures import ClientLeft
from noria.gateway.guard import Guard
from noria.gateway.plan import make_plan
from noria.gateway.spans import Call
from noria.gateway.upstream import Stream, Upstream, Whole
from noria.registry.snapshot import ReleaseEntry


class Calls:
    """Calls to releases; one for the process."""

    def __init__(self, watcher: Watcher, upstream: Upstream) -> None:
        self._watcher = watcher
        self._upstream = upstream

    async def answer(self, catalog: Catalog, call: Call, ask: Ask, guard: Guard) -> Whole | Stream:
        """The answer of the chosen release, or of the primary when a canary fails before its first byte."""
        route = call.route
        if route is None:
            raise RuntimeError("a call is made after its route was chosen")
        try:
            return await self._attempt(catalog, call, ask, route.release, guard)
        except ClientLeft:
            raise
        except NoriaError as error:
            if route.fallback is None:
                raise
            call.attributes["fallback"] = {
                "release": route.release.number,
                "status": getattr(error, "provider_status", error.status),
                "error": error.code,
                "message": error.message,
            }
            return await self._attempt(catalog, call, ask, route.fallback, guard)

    async def _attempt(
        self, catalog: Catalog, call: Call, ask: Ask, release: ReleaseEntry, guard: Guard
    ) -> Whole | Stream:
        call.release, call.plan = release, None
        call.plan = make_plan(self._watcher, catalog, release, ask)
        return await self._upstream.call(call.plan, ask, guard)
