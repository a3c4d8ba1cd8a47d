"""The request path, as one page: authenticate, resolve, choose an arm, render, call, stream, record.

In: one HTTP request to a completions path. Out: its answer, in OpenAI's shape whatever happens, and exactly one span for
every request with a valid key. The decision to know: the span is in the journal before the last byte of the answer is
sent, so a client that has a complete answer can rely on its trace, whatever dies next. This is the boundary of requests.
"""

import asyncio
import logging
import re

from noria.core.clock import now_ns
from noria.core.errors import NoriaError, ProviderFailed
from noria.core.ids import new_span_id, new_trace_id
from noria.gateway import shapes, usage
from noria.gateway.access import Route, authenticate, choose, resolve
from noria.gateway.ask import Ask, Headers, header, parse, read_body
from noria.gateway.catalog import Catalog, Watcher
from noria.gateway.failures import ClientLeft, NotReady
from noria.gateway.guard import Guard, Limits, Receive
from noria.gateway.plan import make_plan
from noria.gateway.reply import Reply, Send
from noria.gateway.shapes import Dialect
from noria.gateway.spans import Call, Recorder
from noria.gateway.upstream import Stream, Upstream, Whole
from noria.registry.snapshot import KeyEntry, ReleaseEntry

_log = logging.getLogger("noria.gateway")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class RequestPath:
    """What every request needs; one for the process."""

    def __init__(self, watcher: Watcher, upstream: Upstream, recorder: Recorder, limits: Limits, max_body: int) -> None:
        self._watcher = watcher
        self._upstream = upstream
        self._recorder = recorder
        self._limits = limits
        self._max_body = max_body

    async def answer(self, headers: Headers, dialect: Dialect, receive: Receive, send: Send) -> None:
        """One request from its headers to its last byte."""
        catalog = self._watcher.current()
        key = authenticate(catalog.snapshot, headers.get(b"authorization", b"").decode("latin-1"))
        call = _begin(key, dialect, headers)
        reply = Reply(send, call)
        guard = Guard(receive, self._limits)
        try:
            self._recorder.check()
            body = await read_body(headers, receive, self._max_body)
            guard.watch_client()
            ask = call.ask = parse(body, dialect, headers)
            call.model = ask.model
            endpoint, candidate = resolve(catalog.snapshot, key, ask.model)
            call.route = choose(endpoint, candidate, call.sticky)
            answer = await self._call(catalog, call, ask, call.route, guard)
            if isinstance(answer, Stream):
                await self._stream(answer, call, guard, reply)
            else:
                await self._whole(answer, call, guard, reply)
        except asyncio.CancelledError as error:
            await self._end_early(guard.cause(error), call, guard, reply)
        except NoriaError as error:
            await self._fail(error, call, guard, reply)
        except Exception:  # noqa: BLE001 - the boundary of requests
            _log.exception("request failed, trace %s", call.trace_id)
            await self._fail(NoriaError("The gateway failed.", hint="Its log says why."), call, guard, reply)
        finally:
            guard.close()

    async def _call(self, catalog: Catalog, call: Call, ask: Ask, route: Route, guard: Guard) -> Whole | Stream:
        """The answer of the chosen release, or of the primary when a canary fails before its first byte."""
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

    async def _whole(self, answer: Whole, call: Call, guard: Guard, reply: Reply) -> None:
        body = answer.raw
        if answer.dialect != call.dialect:
            told = shapes.to_chat(answer.answer) if call.dialect == "chat" else shapes.to_text(answer.answer)
            body = shapes.encoded(told)
        call.first_ns = now_ns()
        self._recorder.write(call, usage.whole(answer.answer, answer.dialect))
        guard.done = True
        await reply.json(200, body)

    async def _stream(self, stream: Stream, call: Call, guard: Guard, reply: Reply) -> None:
        relay = call.relay = stream.relay
        try:
            call.first_ns = now_ns()
            await reply.begin_stream(stream.first)
            while not relay.done and (ready := await stream.more(guard)) is not None:
                await reply.piece(ready)
            output = relay.output()
            if not relay.done and not output.finish_reason:
                raise ProviderFailed("The provider ended its stream before its answer was complete.")
            self._recorder.write(call, output)
            guard.done = True
            await reply.end_stream(shapes.DONE)
        finally:
            await stream.close()

    async def _end_early(self, cause: BaseException, call: Call, guard: Guard, reply: Reply) -> None:
        """A time limit, a client that left, or a shutdown that waited long enough."""
        if isinstance(cause, NoriaError):
            await self._fail(cause, call, guard, reply)
            return
        await self._fail(NotReady("The gateway is stopping.", hint="Send the request again."), call, guard, reply)
        raise cause

    async def _fail(self, error: NoriaError, call: Call, guard: Guard, reply: Reply) -> None:
        """Record the failure, then tell it; a span that cannot be written is the failure that is told."""
        guard.done = True
        if not call.recorded:
            try:
                self._recorder.write(call, call.relay.output() if call.relay else None, error)
            except NotReady as failure:
                error = failure
        if not isinstance(error, ClientLeft):
            await reply.fail(error)


def _begin(key: KeyEntry, dialect: Dialect, headers: Headers) -> Call:
    """A call in the caller's own trace when it sent a W3C `traceparent`, else in a new one."""
    parent = _TRACEPARENT.fullmatch(header(headers, b"traceparent"))
    if parent and parent[1] != _NO_TRACE and parent[2] != _NO_SPAN:
        return Call(key, dialect, parent[1], new_span_id(), parent[2])
    return Call(key, dialect, new_trace_id(), new_span_id())
