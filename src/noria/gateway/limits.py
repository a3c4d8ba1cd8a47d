"""Limits and budgets: what a key, an endpoint and a project may use.

In: a request that has been understood. Out: a ticket, or `OverLimit` (429) that says what ran out and when to come again. The
decision to know: what a request will use is unknown when it is let in, so an estimate is reserved and settled to what was
really used as soon as its span is written, also when the client left. Requests and tokens are counted in sliding minutes
(two windows, the earlier one weighed), money in days and months of UTC.
"""

import calendar
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from noria.core.errors import Unavailable
from noria.gateway.failures import OverLimit, Unit
from noria.gateway.spans import Call
from noria.governance.limits import NO_LIMITS, Limits
from noria.registry.snapshot import Snapshot
from noria.stores.ports import Counters, Take

_log = logging.getLogger("noria.gateway")
_MINUTE: Final = 60
_CHARS_A_TOKEN: Final = 4
_GAUGE: Final = 900
"""Seconds for which what is under way is counted under one name: the death of a gateway leaks its requests for twice that."""
_SAID: Final[dict[Unit, str]] = {
    "requests": "requests a minute",
    "tokens": "tokens a minute",
    "concurrent": "requests at the same time",
    "day": "micro-dollars a day",
    "month": "micro-dollars a month",
}


@dataclass(frozen=True, slots=True)
class _Reserved:
    unit: Unit
    scope: str
    take: Take


@dataclass(slots=True)
class Ticket:
    """What one request has reserved; settled once."""

    reserved: list[_Reserved] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Limiter:
    """Admits requests; one for the process."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._failing = False

    async def admit(self, snapshot: Snapshot, call: Call) -> Ticket | None:
        """None when nothing limits the request. Raises OverLimit."""
        route = call.route
        if route is None or route.arm == "candidate":
            return None
        if call.key.limits is NO_LIMITS and route.endpoint.policy.limits is NO_LIMITS and not snapshot.projects:
            return None  # nearly always
        scopes = [
            (scope, limits)
            for scope, limits in (
                (f"key/{call.key.id}", call.key.limits),
                (f"endpoint/{route.endpoint.id}", route.endpoint.policy.limits),
                (f"project/{call.key.project_id}", snapshot.projects.get(call.key.project_id, NO_LIMITS)),
            )
            if limits != NO_LIMITS
        ]
        if not scopes:
            return None
        reserved = _wanted(scopes, *_estimate(call), time.time())
        try:
            taken = await self._counters.take([one.take for one in reserved])
        except Unavailable as error:
            self._say(error)
            return None
        self._failing = False
        if taken.refused >= 0:
            raise _over(reserved[taken.refused], taken.used[taken.refused])
        return Ticket(reserved, _headers(reserved, taken.used))

    async def settle(self, ticket: Ticket, call: Call) -> None:
        """Count what was really used in the place of what was reserved."""
        used: dict[Unit, int] = {"requests": 1, "tokens": call.tokens, "concurrent": 0}
        used |= {"day": call.cost_micros, "month": call.cost_micros}
        changes = [
            (one.take.name, difference, one.take.ends_at)
            for one in ticket.reserved
            if (difference := used[one.unit] - one.take.amount)
        ]
        if changes:
            try:
                await self._counters.add(changes)
            except Unavailable as error:
                self._say(error)

    async def close(self) -> None:
        await self._counters.close()

    def _say(self, error: Unavailable) -> None:
        """Without counters requests are served unlimited: a limit is there to protect a service, not to end it."""
        if not self._failing:
            _log.error("limits are not counted now: %s", error.message)
        self._failing = True


def _estimate(call: Call) -> tuple[int, int]:
    """Tokens and micro-dollars that the request may use, before anybody has counted them."""
    ask, route = call.ask, call.route
    if ask is None or route is None:
        return 0, 0
    asked = {**route.release.parameters, **ask.chat}
    most = asked.get("max_completion_tokens") or asked.get("max_tokens")
    written = most if type(most) is int and 0 < most < 10**7 else 0
    read = ask.size // _CHARS_A_TOKEN
    release = route.release
    micros = (read * release.input_micros + written * release.output_micros) // 1_000_000
    return read + written, micros


def _wanted(scopes: list[tuple[str, Limits]], tokens: int, micros: int, now: float) -> list[_Reserved]:
    minute, day = int(now // _MINUTE), datetime.fromtimestamp(now, UTC)
    ends = (minute + 2) * _MINUTE
    weight = 1 - now % _MINUTE / _MINUTE
    wanted: list[_Reserved] = []
    for scope, limits in scopes:

        def windowed(unit: Unit, amount: int, limit: int, scope: str = scope) -> None:
            if limit:
                name = f"{scope}/{unit}"
                take = Take(f"{name}/{minute}", min(amount, limit), limit, ends, f"{name}/{minute - 1}", weight)
                wanted.append(_Reserved(unit, scope, take))

        windowed("requests", 1, limits.requests_per_minute)
        windowed("tokens", tokens, limits.tokens_per_minute)
        if limits.concurrent:
            number, name = int(now // _GAUGE), f"{scope}/concurrent"
            ends_at = (number + 2) * _GAUGE
            gauge = Take(f"{name}/{number}", 1, limits.concurrent, ends_at, f"{name}/{number - 1}", 1.0)
            wanted.append(_Reserved("concurrent", scope, gauge))
        budgets: tuple[tuple[Unit, int, str, float], ...] = (
            ("day", limits.day_micros, f"{day:%Y%m%d}", _end_of_day(day)),
            ("month", limits.month_micros, f"{day:%Y%m}", _end_of_month(day)),
        )
        for unit, limit, name, end in budgets:
            if limit:
                wanted.append(_Reserved(unit, scope, Take(f"{scope}/{name}", min(max(micros, 1), limit), limit, end)))
    return wanted


def _end_of_day(day: datetime) -> float:
    return day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + 86_400


def _end_of_month(day: datetime) -> float:
    last = calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=last, hour=0, minute=0, second=0, microsecond=0).timestamp() + 86_400


def _over(one: _Reserved, used: int) -> OverLimit:
    what = one.scope.partition("/")[0]
    now = time.time()
    wait = {"requests": _MINUTE - now % _MINUTE, "tokens": _MINUTE - now % _MINUTE, "concurrent": 1.0}
    hint = "Try again in a moment." if one.unit in wait else "An admin or reviewer can raise the budget."
    return OverLimit(
        f"This {what} may use {one.take.limit:,} {_SAID[one.unit]}; {used:,} are used.",
        unit=one.unit,
        retry_after=wait.get(one.unit, one.take.ends_at - now),
        hint=hint,
    )


def _headers(reserved: list[_Reserved], used: tuple[int, ...]) -> list[tuple[bytes, bytes]]:
    """OpenAI's x-ratelimit-* headers, of whichever scope has the least left."""
    told: list[tuple[bytes, bytes]] = []
    reset = f"{_MINUTE - time.time() % _MINUTE:.0f}s".encode()
    for unit in ("requests", "tokens"):
        left = [
            (one.take.limit - held - one.take.amount, one.take.limit)
            for one, held in zip(reserved, used, strict=True)
            if one.unit == unit
        ]
        if left:
            remaining, limit = min(left)
            told += [
                (f"x-ratelimit-limit-{unit}".encode(), str(limit).encode()),
                (f"x-ratelimit-remaining-{unit}".encode(), str(max(0, remaining)).encode()),
                (f"x-ratelimit-reset-{unit}".encode(), reset),
            ]
    return told
