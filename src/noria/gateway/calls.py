"""The call step: the chosen release is asked, again where that makes sense, and then the next one of the chain.

In: a `Call` with its route. Out: an answer whose first bytes are here and good. The decision to know: whatever fails here has
reached no client, so a retry or another release may still answer; from the first byte on nothing is tried again. What was
tried in vain is on the span, each try with its release, key, status and time.
"""

import asyncio
import random
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from noria.core.clock import now_ns
from noria.core.errors import BadInput, NoriaError, TimedOut
from noria.gateway.ask import Ask
from noria.gateway.balance import Balancer
from noria.gateway.breaker import Breakers, is_fault
from noria.gateway.catalog import Catalog, Watcher
from noria.gateway.failures import ClientLeft, ProviderRefused, retry_after
from noria.gateway.guard import Guard
from noria.gateway.hedge import first_of
from noria.gateway.plan import Plan, make_plan
from noria.gateway.spans import Call
from noria.gateway.tape import Tapes
from noria.gateway.upstream import Stream, Upstream, Whole
from noria.registry.policy import Policy, Retries
from noria.registry.recording import Order
from noria.registry.snapshot import ProviderKeyEntry, ReleaseEntry

_CALLERS_FAULT: Final = frozenset({400, 413, 415, 422})
_ANOTHER_KEY: Final = frozenset({401, 403, 429})
_MOST_TRIES_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of releases on behalf of one request."""

    catalog: Catalog
    call: Call
    ask: Ask
    guard: Guard


class Calls:
    """Calls to releases; one for the process."""

    def __init__(self, watcher: Watcher, upstream: Upstream, tapes: Tapes) -> None:
        self._watcher = watcher
        self._upstream = upstream
        self._tapes = tapes
        self._breakers = Breakers()
        self._balancer = Balancer()

    async def answer(self, asked: Asked) -> Whole | Stream:
        """The answer of the first release of the route that gives one. Raises what the last of them failed with."""
        call, route = asked.call, asked.call.route
        if route is None:
            raise RuntimeError("a call is made after its route was chosen")
        policy = route.endpoint.policy
        chain = (route.release, *route.fallbacks)
        for release in chain:
            try:
                answer = await _Tries(self, asked, release, policy).answer()
            except ClientLeft:
                raise
            except NoriaError as error:
                if release is chain[-1] or asked.guard.over or not _another_may_answer(error, call):
                    raise
                call.attributes.setdefault("fallback", _failure(release, error))
            else:
                return answer
        raise RuntimeError("a route has at least one release")

    def broke(self, call: Call, error: NoriaError) -> None:
        """A provider failed in the middle of its answer."""
        if call.release is not None and call.route is not None:
            self._breakers.failed(call.release.provider_id, error, call.route.endpoint.policy.breaker)


class _Tries:
    """All tries of one release for one request."""

    __slots__ = ("_asked", "_call", "_calls", "_guard", "_policy", "_release", "_snapshot", "_tried")

    def __init__(self, calls: Calls, asked: Asked, release: ReleaseEntry, policy: Policy) -> None:
        self._calls = calls
        self._asked = asked
        self._call = asked.call
        self._guard = asked.guard
        self._snapshot = asked.catalog.snapshot
        self._release = release
        self._policy = policy
        self._tried: set[str] = set()

    async def answer(self) -> Whole | Stream:
        for number in range(self._policy.retries.attempts + 1):
            try:
                return await self._once()
            except ClientLeft:
                raise
            except NoriaError as error:
                pause = self._pause(number, error)
                if pause is None:
                    raise
                await self._sleep(pause)
        raise RuntimeError("there is at least one try")

    async def _once(self) -> Whole | Stream:
        """One try, or two beside each other when the first is late and the policy hedges."""
        after = self._policy.hedge.after_ms
        if not after or self._call.route is None or self._call.route.arm == "candidate":
            plan, answer = await self._attempt()
        else:
            try:
                (plan, answer), won = await first_of(self._attempt, after / 1000, _discard)
            except asyncio.CancelledError as error:
                raise self._guard.cause(error) from None
            if won:
                self._call.attributes["hedged"] = {"after_ms": after, "won": won}
        self._call.release, self._call.plan = self._release, plan
        return answer

    async def _attempt(self) -> tuple[Plan, Whole | Stream]:
        call, calls, release = self._call, self._calls, self._release
        call.release, call.plan = release, None
        provider = self._snapshot.providers.get(release.provider_id)
        breaker = self._policy.breaker
        key: ProviderKeyEntry | None = None
        began = now_ns()
        try:
            if provider is not None:
                calls._breakers.check(provider.id, provider.name, breaker)
                key = calls._balancer.choose(provider, self._tried)
            plan = call.plan = make_plan(calls._watcher, self._asked.catalog, release, self._asked.ask, key)
            if plan.left_out:
                call.attributes["left_out"] = list(plan.left_out)
            if self._policy.timeouts.connect:
                plan = replace(plan, connect_seconds=self._policy.timeouts.connect)
            if (order := self._asked.catalog.recording) is not None:
                plan = self._taped(order, plan)
            answer = await self._paid_by(key, plan)
        except NoriaError as error:
            if key is not None:
                self._tried.add(key.id)
            if not isinstance(error, ClientLeft):
                calls._breakers.failed(release.provider_id, error, breaker)
                self._remember(error, key, began)
            raise
        calls._breakers.succeeded(release.provider_id)
        return plan, answer

    async def _paid_by(self, key: ProviderKeyEntry | None, plan: Plan) -> Whole | Stream:
        """The call, counted as under way for its key until its answer, or its stream, has ended."""
        balancer = self._calls._balancer
        balancer.begin(key)
        streaming = False
        try:
            answer = await self._calls._upstream.call(plan, self._asked.ask, self._guard)
            if key is not None and isinstance(answer, Stream):
                streaming = True
                answer = replace(answer, on_close=partial(balancer.end, key))
            return answer
        finally:
            if not streaming:
                balancer.end(key)

    def _taped(self, order: Order, plan: Plan) -> Plan:
        """The plan with a tape, when somebody has ordered this endpoint to be recorded; the span says so."""
        route = self._call.route
        if route is None or (order.project_id, order.endpoint) != (route.endpoint.project_id, route.endpoint.name):
            return plan
        if (tape := self._calls._tapes.begin(order, plan)) is None:
            return plan
        self._call.attributes["recording"] = order.id
        return replace(plan, tape=tape)

    def _remember(self, error: NoriaError, key: ProviderKeyEntry | None, began: int) -> None:
        """The try on the span, where there can be more than one."""
        tries: list[dict[str, Any]] = self._call.attributes.setdefault("failed_tries", [])
        if len(tries) < _MOST_TRIES_KEPT:
            tried = {**_failure(self._release, error), "ms": (now_ns() - began) // 1_000_000}
            tries.append({**tried, "key": key.id} if key else tried)

    def _pause(self, number: int, error: NoriaError) -> float | None:
        """Seconds until the next try; None when there is none."""
        retries = self._policy.retries
        if number >= retries.attempts or self._guard.over or not self._again(error):
            return None
        asked = retry_after(error)
        if asked is not None and asked * 1000 > retries.most_ms and not self._has_other_key():
            return None
        return _jittered(number, retries)

    def _again(self, error: NoriaError) -> bool:
        if isinstance(error, ProviderRefused) and error.provider_status in _ANOTHER_KEY:
            return error.provider_status == 429 or self._has_other_key()
        return is_fault(error)

    def _has_other_key(self) -> bool:
        provider = self._snapshot.providers.get(self._release.provider_id)
        return provider is not None and any(key.id not in self._tried for key in provider.keys)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError as error:
            raise self._guard.cause(error) from None


async def _discard(tried: tuple[Plan, Whole | Stream]) -> None:
    answer = tried[1]
    if isinstance(answer, Stream):
        await answer.close()


def _jittered(number: int, retries: Retries) -> float:
    """Full jitter: uniform below a bound that doubles (AWS Architecture Blog, "Exponential backoff and jitter", 2015)."""
    return random.uniform(0, min(retries.most_ms, retries.base_ms * 2**number)) / 1000


def _another_may_answer(error: NoriaError, call: Call) -> bool:
    """A canary's failure may always be its own fault; else what the caller did wrong is wrong for the next release too."""
    if call.route is not None and call.route.arm == "canary" and call.release is call.route.release:
        return True
    if isinstance(error, ProviderRefused):
        return error.provider_status not in _CALLERS_FAULT
    return not isinstance(error, BadInput)


def _failure(release: ReleaseEntry, error: NoriaError) -> dict[str, Any]:
    status = getattr(error, "provider_status", error.status)
    timed_out = {"timed_out": True} if isinstance(error, TimedOut) else {}
    return {"release": release.number, "status": status, "error": error.code, "message": error.message, **timed_out}
