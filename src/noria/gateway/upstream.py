"""The call to a provider: sent once, its first bytes awaited, every way to fail made one of our errors.

In: a `Plan`. Out: a whole answer, or a stream whose first events are already here and good. The decision to know: this
is the boundary of provider calls; a call that returns has a 200 and the shape that was asked for, so whoever calls it
can fall back on any error it raises, because nothing has reached the client yet.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from noria.core.errors import NoriaError, ProviderFailed
from noria.gateway import payload
from noria.gateway.ask import Ask
from noria.gateway.client import Client, Unreachable
from noria.gateway.dialects.base import Json, ProviderDialect
from noria.gateway.dialects.responses.ids import rewrapped
from noria.gateway.failures import ProviderRefused, without_key
from noria.gateway.guard import Guard
from noria.gateway.http1 import Broken, Response
from noria.gateway.plan import Listener, Plan
from noria.gateway.resolver import was_refused
from noria.gateway.sse import PassOn, Relay, Telling, Translate

_log = logging.getLogger("noria.gateway")
_MAX_ANSWER = 64 * 1024 * 1024
_MAX_ERROR = 65_536
_LAST_BYTES_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece: the provider's bytes, what stands in them, and the same as a chat answer."""

    raw: bytes
    answer: Json
    chat: Json
    dialect: ProviderDialect


class Streamed(Protocol):
    """A stream as the request path sees it: a provider's, or the replay of a whole answer."""

    @property
    def relay(self) -> Telling: ...

    @property
    def first(self) -> bytes:
        """Ready for the client."""
        ...

    async def more(self, guard: Guard) -> bytes | None:
        """What the client may have next, None at the end. Raises ProviderFailed when it breaks off."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that has begun: `first` is ready for the client, `rest` follows."""

    relay: Relay
    first: bytes
    response: Response
    tape: Listener | None = None
    on_close: Callable[[], None] | None = None

    async def more(self, guard: Guard) -> bytes | None:
        """What the client may have next, None at the end. Raises ProviderFailed when it breaks off."""
        relay, response = self.relay, self.response
        try:
            while not relay.done:
                if relay.failure:
                    raise relay.failure
                guard.wait_at_most(guard.limits.idle)
                piece = await response.readany()
                guard.rest()
                if self.tape is not None:
                    self.tape.add(piece)
                if not piece:
                    return relay.end() or None
                if ready := relay.feed(piece):
                    return ready
        except OSError as error:
            raise ProviderFailed("The provider broke off in the middle of its answer.") from error
        return None

    async def close(self) -> None:
        """Give the connection back when the answer was read to its end, cut it otherwise."""
        rest = b""
        if self.relay.done and not self.response.at_eof():
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(_LAST_BYTES_SECONDS):
                    rest = await self.response.readany()
        if self.tape is not None:
            self.tape.add(rest)
            self.tape.finish(complete=self.relay.done)
        self.response.release()
        if self.on_close is not None:
            self.on_close()


class Upstream:
    """The connections to all providers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, plan: Plan, ask: Ask, guard: Guard) -> Whole | Stream:
        """The provider's answer. Raises ProviderFailed, ProviderRefused, TimedOut, ClientLeft."""
        guard.wait_at_most(guard.limits.first_byte)
        response: Response | None = None
        try:
            response = await self._post(plan)
            if plan.tape is not None:
                plan.tape.began(response.status, response.headers)
            if response.status != 200:
                raise await _refusal(response, plan)
            if ask.stream:
                return await _begin(response, plan, ask)
            return await _read(response, plan)
        except asyncio.CancelledError as error:
            _cut(response)
            raise guard.cause(error) from None
        except NoriaError:
            _cut(response)
            raise
        except Exception as error:
            _cut(response)
            raise _failure(error, plan) from error
        finally:
            guard.rest()

    async def json(self, plan: Plan, guard: Guard, method: str = "POST") -> Json:
        """A JSON object of the provider that is no answer of a model. Raises as `call` does."""
        guard.wait_at_most(guard.limits.first_byte)
        response: Response | None = None
        try:
            response = await self._post(plan, method)
            if response.status != 200:
                raise await _refusal(response, plan)
            answer = payload.tolerant(await _bytes(response, _MAX_ANSWER))
        except asyncio.CancelledError as error:
            _cut(response)
            raise guard.cause(error) from None
        except NoriaError:
            _cut(response)
            raise
        except Exception as error:
            _cut(response)
            raise _failure(error, plan) from error
        finally:
            guard.rest()
        if not isinstance(answer, dict):
            raise _garbage(response, plan)
        return answer

    async def _post(self, plan: Plan, method: str = "POST") -> Response:
        return await self._client.request(
            method,
            plan.url,
            headers=plan.headers,
            body=plan.body,
            connect_seconds=plan.connect_seconds,
            trusted=plan.to.provider.kind == "local",
        )


def _cut(response: Response | None) -> None:
    if response is not None and not response.closed:
        response.close()


async def _read(response: Response, plan: Plan) -> Whole:
    raw = await _bytes(response, _MAX_ANSWER)
    if plan.tape is not None:
        plan.tape.add(raw)
        plan.tape.finish()
    try:
        answer = payload.tolerant(raw)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise _garbage(response, plan)
    try:
        return Whole(raw, answer, plan.dialect.to_answer(answer), plan.dialect)
    except ProviderFailed as error:
        raise _garbage(response, plan) from error


async def _begin(response: Response, plan: Plan, ask: Ask) -> Stream:
    if "stream" not in response.headers.get("Content-Type", ""):
        raise _garbage(response, plan)
    relay = _relay(plan, ask)
    while piece := await response.readany():
        if plan.tape is not None:
            plan.tape.add(piece)
        first = relay.feed(piece)
        if relay.failure:
            if plan.tape is not None:
                plan.tape.finish(complete=False)
            raise relay.failure
        if first or relay.done:
            return Stream(relay, first, response, plan.tape)
    if first := relay.end():
        return Stream(relay, first, response, plan.tape)
    raise ProviderFailed(f"The provider {plan.provider!r} ended its stream without an answer.")


def _relay(plan: Plan, ask: Ask) -> Relay:
    if plan.dialect.name == ask.dialect.name:
        rewrite = partial(rewrapped, release=plan.release) if plan.dialect.name == "responses" else None
        return PassOn(plan.dialect, ask.dialect, include_usage=ask.include_usage, rewrite=rewrite)
    writer = ask.dialect.writer(ask.told, include_usage=ask.include_usage)
    return Translate(plan.adapter.events(plan.to), plan.dialect, writer)


async def _bytes(response: Response, limit: int) -> bytes:
    raw = await response.read(limit)
    if len(raw) > limit:
        raise ProviderFailed(f"The provider's answer is larger than {limit // 1_000_000} MB.")
    response.release()
    return raw


async def _refusal(response: Response, plan: Plan) -> NoriaError:
    """The provider's error, with its message and code where its adapter finds them and they may be shown."""
    status = response.status
    if 300 <= status < 400:
        return ProviderFailed(f"The provider {plan.provider!r} redirects elsewhere, which is not followed.")
    said = (await response.read(_MAX_ERROR))[:_MAX_ERROR]
    response.release()
    if plan.tape is not None:
        plan.tape.add(said)
        plan.tape.finish()
    told = plan.adapter.refusal(status, response.headers, said)
    if told.key_refused:
        return ProviderRefused(
            status if status in {401, 403} else 401,
            f"The provider {plan.provider!r} refused the key that Noria has for it. An admin can enter a new one.",
            code="provider_key_refused",
        )
    message = told.message or f"The provider {plan.provider!r} answered with status {status}."
    message = without_key(message, plan.key)
    return ProviderRefused(
        status,
        message,
        kind=told.kind,
        param=told.param,
        code=told.code or "provider_error",
        retry_after=told.retry_after,
    )


def _garbage(response: Response, plan: Plan) -> ProviderFailed:
    kind = response.headers.get("Content-Type", "no content type").split(";")[0][:100]
    return ProviderFailed(
        f"The provider {plan.provider!r} answered with something that is no completion ({kind}).",
        hint="Check the provider's URL.",
    )


def _failure(error: Exception, plan: Plan) -> ProviderFailed:
    """Every other way to fail. The exception's text stays out: it can hold addresses and headers."""
    if was_refused(error):
        what = f"The address of the provider {plan.provider!r} may not be called."
    elif isinstance(error, Unreachable) and error.late:
        what = f"The provider {plan.provider!r} could not be reached in time."
    elif isinstance(error, Broken):
        what = f"The provider {plan.provider!r} closed the connection without an answer."
    elif isinstance(error, OSError | ssl.SSLError):
        what = f"The provider {plan.provider!r} could not be reached."
    else:
        what = f"The call to the provider {plan.provider!r} failed."
        _log.exception("provider call failed")
    return ProviderFailed(what, hint="Try again; an admin can check the provider's address.")
