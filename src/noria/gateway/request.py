"""The request path, as one page: authenticate, resolve, limit, guard, cache, call, stream, emit.

In: one HTTP request that wants a model. Out: its answer, in its caller's dialect whatever happens, and exactly one span for
every request with a valid key. The decision to know: the span is in the journal before the last byte of the answer is
sent, so a client that has a complete answer can rely on its trace, whatever dies next. This is the boundary of requests.
"""

import asyncio
import logging
import re
from functools import partial

from noria.core.clock import now_ns
from noria.core.errors import NoriaError, ProviderFailed
from noria.core.ids import new_span_id, new_trace_id
from noria.gateway import usage
from noria.gateway.access import authenticate, choose, resolve
from noria.gateway.ask import Headers, header, parse, read_body
from noria.gateway.cache import AnswerCache
from noria.gateway.calls import Calls
from noria.gateway.catalog import Watcher
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import CallerDialect
from noria.gateway.failures import ClientLeft, NotReady
from noria.gateway.guard import Guard, Limits, Receive
from noria.gateway.guardrails.run import Guardrails
from noria.gateway.replay import Replay, assembled
from noria.gateway.reply import Reply, Send
from noria.gateway.spans import Call, Recorder
from noria.gateway.upstream import Streamed, Whole
from noria.registry.snapshot import KeyEntry

_log = logging.getLogger("noria.gateway")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class RequestPath:
    """What every request needs; one for the process."""

    def __init__(
        self,
        *,
        watcher: Watcher,
        guardrails: Guardrails,
        cache: AnswerCache,
        calls: Calls,
        recorder: Recorder,
        limits: Limits,
        max_body: int,
    ) -> None:
        self._watcher = watcher
        self._guardrails = guardrails
        self._cache = cache
        self._calls = calls
        self._recorder = recorder
        self._limits = limits
        self._max_body = max_body

    async def answer(self, headers: Headers, dialect: CallerDialect, receive: Receive, send: Send) -> None:
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
            asks = partial(self._calls.answer, catalog, call, guard=guard)
            around = self._guardrails.around(call, ask, asks) if endpoint.policy.guardrails else None
            ask = await around.before() if around else ask
            kept = await self._cache.find(call, ask) if endpoint.policy.cache.mode != "off" else None
            answer = kept or await asks(around.to_ask() if around else ask)
            if around and not kept:
                answer = await around.after(answer)
            if not isinstance(answer, Whole):
                await self._stream(answer, call, guard, reply)
            elif ask.stream:
                self._cache.keep(call, answer.chat)
                await self._stream(Replay(answer.chat, ask), call, guard, reply)
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

    async def _whole(self, answer: Whole, call: Call, guard: Guard, reply: Reply) -> None:
        ask, body = call.ask, answer.raw
        if ask is not None and answer.dialect.name != ask.dialect.name:
            body = openai.encoded(ask.dialect.answer(answer.chat, ask.body))
        call.first_ns = now_ns()
        self._recorder.write(call, usage.whole(answer.chat))
        if call.cache_key:
            self._cache.keep(call, answer.chat)
        guard.done = True
        await reply.json(200, body)

    async def _stream(self, stream: Streamed, call: Call, guard: Guard, reply: Reply) -> None:
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
            if call.cache_key and not relay.truncated:
                self._cache.keep(call, assembled(relay.told()))
            guard.done = True
            await reply.end_stream(relay.last())
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
                paid = call.relay.output() if call.relay else call.output
                self._recorder.write(call, paid, error)
            except NotReady as failure:
                error = failure
        if not isinstance(error, ClientLeft):
            await reply.fail(error)


def _begin(key: KeyEntry, dialect: CallerDialect, headers: Headers) -> Call:
    """A call in the caller's own trace when it sent a W3C `traceparent`, else in a new one."""
    parent = _TRACEPARENT.fullmatch(header(headers, b"traceparent"))
    if parent and parent[1] != _NO_TRACE and parent[2] != _NO_SPAN:
        return Call(key, dialect, parent[1], new_span_id(), parent[2])
    return Call(key, dialect, new_trace_id(), new_span_id())
