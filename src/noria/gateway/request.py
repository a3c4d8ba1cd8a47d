"""The request path, as one page: authenticate, resolve, limit, guard, cache, call, stream, emit.

In: one HTTP request that wants a model. Out: its answer, in its caller's dialect whatever happens, and exactly one span for
every request with a valid key. The decision to know: the span is in the journal before the last byte of the answer is
sent, so a client that has a complete answer can rely on its trace, whatever dies next. Guardrails come before the cache, so
that it holds nothing that they took out (design/0005). This is the boundary of requests.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from noria.core.clock import now_ns
from noria.core.errors import NoriaError, ProviderFailed
from noria.core.ids import new_span_id, new_trace
from noria.core.settings import Settings
from noria.gateway import usage
from noria.gateway.access import authenticate, choose, resolve
from noria.gateway.ask import Headers, header, parse, read_body
from noria.gateway.cache import AnswerCache
from noria.gateway.calls import Asked, Calls
from noria.gateway.catalog import Watcher
from noria.gateway.conversations import Conversations
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import CallerDialect, Json
from noria.gateway.dialects.responses.ids import rewrapped
from noria.gateway.failures import ClientLeft, NotReady, without_key
from noria.gateway.guard import Guard, Receive, Times
from noria.gateway.guardrails.run import Around, Guardrails
from noria.gateway.limits import Limiter, Ticket
from noria.gateway.replay import Replay, assembled
from noria.gateway.reply import Reply, Send
from noria.gateway.shadow import Shadows
from noria.gateway.spans import Call, Recorder
from noria.gateway.upstream import Stream, Streamed, Whole
from noria.registry.policy import EMPTY
from noria.registry.snapshot import KeyEntry

_log = logging.getLogger("noria.gateway")
_REWRITTEN = frozenset({"embeddings", "responses"})
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class RequestPath:
    """What every request needs; one for the process."""

    def __init__(
        self,
        settings: Settings,
        *,
        watcher: Watcher,
        limiter: Limiter,
        guardrails: Guardrails,
        cache: AnswerCache,
        calls: Calls,
        recorder: Recorder,
        conversations: Conversations,
    ) -> None:
        self._watcher = watcher
        self._limiter = limiter
        self._guardrails = guardrails
        self._cache = cache
        self._calls = calls
        self._conversations = conversations
        self._recorder = recorder
        self._times = Times.of(settings)
        self._max_body = settings.max_body_mb * 1_000_000
        self._shadows = Shadows(calls, recorder, self._times)

    async def close(self) -> None:
        await self._shadows.close()
        await self._cache.close()

    async def answer(self, headers: Headers, dialect: CallerDialect, receive: Receive, send: Send) -> None:
        """One request from its headers to its last byte."""
        catalog = self._watcher.current()
        key = authenticate(catalog.snapshot, headers)
        call = _begin(key, dialect, headers)
        reply = Reply(send, call, self._watcher.links)
        guard = Guard(receive.connection, self._times)
        ticket: Ticket | None = None
        try:
            self._recorder.check()
            body = await read_body(headers, receive, self._max_body)
            guard.watch_client()
            ask = call.ask = parse(body, dialect, headers, self._continued(key, dialect))
            call.model = ask.model
            endpoint, candidate = resolve(catalog.snapshot, key, ask.model)
            call.route = self._conversations.bound(choose(endpoint, candidate, call.sticky), ask)
            if endpoint.policy is not EMPTY:
                guard.use(self._times.under(endpoint.policy.timeouts))
            if (ticket := await self._limiter.admit(catalog.snapshot, call)) is not None:
                call.headers += ticket.headers
            asked = Asked(catalog, call, ask, guard)
            around = self._guardrails.around(asked, self._calls) if endpoint.policy.guardrails else None
            if around is not None:
                ask = await around.before()
                asked = replace(asked, ask=ask)
            kept = await self._cache.find(call, ask) if endpoint.policy.cache.mode != "off" else None
            answer = kept or await self._call(asked, around)
            if not isinstance(answer, Whole):
                await self._stream(answer, call, guard, reply)
            elif ask.stream:
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
            if ticket is not None:
                await self._limiter.settle(ticket, call)

    async def _call(self, asked: Asked, around: Around | None) -> Whole | Stream:
        """What the release answers, and its shadow beside it, within the guardrails that stand around it."""
        self._shadows.begin(asked.catalog, asked.call, asked.ask)
        if around is None:
            return await self._calls.answer(asked)
        return await around.after(await self._calls.answer(replace(asked, ask=around.to_ask())))

    async def _whole(self, answer: Whole, call: Call, guard: Guard, reply: Reply) -> None:
        body = self._told(answer, call)
        call.first_ns = now_ns()
        self._recorder.write(call, usage.whole(answer.chat))
        if call.cache_key:
            self._cache.keep(call, answer.chat)
        guard.done = True
        await reply.json(200, body)

    def _told(self, answer: Whole, call: Call) -> bytes:
        """The answer in the caller's dialect: the provider's own bytes where nothing has to be changed."""
        ask = call.ask
        if ask is None or (answer.dialect.name == ask.dialect.name and ask.dialect.name not in _REWRITTEN):
            return answer.raw
        if answer.dialect.name == "responses" == ask.dialect.name:
            return openai.encoded(rewrapped(answer.answer, call.plan.release if call.plan else ""))
        told = ask.dialect.answer(answer.chat, ask.told)
        if ask.caller == "responses":
            self._conversations.keep(call, told)
        return openai.encoded(told)

    def _continued(self, key: KeyEntry, dialect: CallerDialect) -> Callable[[Json], Json] | None:
        return partial(self._conversations.continued, key.project_id) if dialect.name == "responses" else None

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
            last = relay.last()
            self._conversations.keep_streamed(call, relay)
            self._recorder.write(call, output)
            if call.cache_key and not relay.truncated:
                self._cache.keep(call, assembled(relay.told()))
            guard.done = True
            await reply.end_stream(last)
        except ProviderFailed as error:
            self._calls.broke(call, error)
            raise
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
        if call.plan is not None and call.plan.key:
            error.message = without_key(error.message, call.plan.key)
        if not call.recorded:
            try:
                self._recorder.write(call, call.relay.output() if call.relay else call.output, error)
            except NotReady as failure:
                error = failure
        if not isinstance(error, ClientLeft):
            await reply.fail(error)


def _begin(key: KeyEntry, dialect: CallerDialect, headers: Headers) -> Call:
    """A call in the caller's own trace when it sent a W3C `traceparent`, else in a new one."""
    parent = _TRACEPARENT.fullmatch(header(headers, b"traceparent"))
    if parent and parent[1] != _NO_TRACE and parent[2] != _NO_SPAN:
        return Call(key, dialect, parent[1], new_span_id(), parent[2])
    return Call(key, dialect, *new_trace())
