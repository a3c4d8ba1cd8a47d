"""Shadow traffic: a request is sent to one more release beside the one that answers it; what that says is recorded and thrown away.

In: a request that has been understood. Out: a span of its own with arm "shadow" and live = false, so that its cost and latency
are counted apart; it names the trace that it shadows. The decision to know: it never slows the caller. It runs in a task of
its own, at most `_AT_ONCE` of them; what comes while that many are under way is not shadowed.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Final

from noria.core.errors import NoriaError
from noria.core.ids import new_span_id, new_trace_id
from noria.gateway import usage
from noria.gateway.access import Route, shadow_of
from noria.gateway.ask import Ask
from noria.gateway.calls import Asked, Calls
from noria.gateway.catalog import Catalog
from noria.gateway.failures import NotReady
from noria.gateway.guard import Guard, Times
from noria.gateway.spans import Call, Recorder
from noria.gateway.upstream import Stream
from noria.registry.snapshot import ReleaseEntry

_log = logging.getLogger("noria.gateway")
_AT_ONCE: Final = 64


class Shadows:
    """Shadow calls under way; one for the process."""

    def __init__(self, calls: Calls, recorder: Recorder, times: Times) -> None:
        self._calls = calls
        self._recorder = recorder
        self._times = times
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, catalog: Catalog, call: Call, ask: Ask) -> None:
        """Mirror the request, if its endpoint has a shadow that hears it."""
        route = call.route
        if route is None or not route.endpoint.shadow or route.arm == "candidate":
            return
        release = shadow_of(route.endpoint, call.sticky)
        if release is None or len(self._running) >= _AT_ONCE:
            return
        task = asyncio.create_task(self._run(catalog, call, ask, route, release))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """End what is under way; each still leaves its span."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, catalog: Catalog, call: Call, ask: Ask, route: Route, release: ReleaseEntry) -> None:
        mirror = Call(call.key, call.dialect, new_trace_id(), new_span_id())
        mirror.ask, mirror.model = ask, call.model
        mirror.route = Route(route.endpoint, "shadow", release)
        mirror.attributes["shadow_of"] = call.trace_id
        guard = Guard(None, self._times.under(route.endpoint.policy.timeouts))
        try:
            answer = await self._calls.answer(Asked(catalog, mirror, replace(ask, stream=False), guard))
            if isinstance(answer, Stream):
                raise RuntimeError("a shadow asks for whole answers")
            self._recorder.write(mirror, usage.whole(answer.chat))
        except asyncio.CancelledError as error:
            cause = guard.cause(error)
            told = cause if isinstance(cause, NoriaError) else NotReady("The gateway is stopping.")
            self._fail(mirror, told)
            if not isinstance(cause, NoriaError):
                raise
        except NoriaError as error:
            self._fail(mirror, error)
        except Exception:  # noqa: BLE001 - the boundary of a request that nobody waits for
            _log.exception("shadow failed, trace %s", mirror.trace_id)
            self._fail(mirror, NoriaError("The gateway failed.", hint="Its log says why."))
        finally:
            guard.close()

    def _fail(self, mirror: Call, error: NoriaError) -> None:
        if not mirror.recorded:
            try:
                self._recorder.write(mirror, None, error)
            except NotReady as failure:
                _log.error("a shadow's span could not be written: %s", failure)
