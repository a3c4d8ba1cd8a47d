"""Ends a request early: when its client leaves, or when its provider is slower than allowed.

In: the client's connection and the time limits. Out: the request's own task is cancelled, and `cause` says as which error. The
decision to know: the connection itself tells that its client left, and one timer serves a whole request, because a
watching task for each request, or a timer for each chunk, would cost more than the chunk.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from noria.core.errors import NoriaError, TimedOut
from noria.core.settings import Settings
from noria.gateway.failures import ClientLeft
from noria.registry.policy import Timeouts


class Connection(Protocol):
    """A client's connection, as a guard needs it (noria.gateway.connections)."""

    gone: bool
    """The client has closed it."""
    guard: "Guard | None"
    """Who is told when that happens."""

    @property
    def has_whole_body(self) -> bool:
        """The body of the request that is answered now has all come."""
        ...


class Receive:
    """ASGI's `receive`, and the connection that it reads from."""

    __slots__ = ("_receive", "connection")

    def __init__(self, receive: Callable[[], Awaitable[Any]], connection: Connection | None) -> None:
        self._receive = receive
        self.connection = connection

    def __call__(self) -> Awaitable[Any]:
        return self._receive()

    @property
    def is_complete(self) -> bool:
        """Whether reading the body waits for nothing."""
        return self.connection is not None and self.connection.has_whole_body


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    connect: float
    first_byte: float
    idle: float
    total: float

    @classmethod
    def of(cls, settings: Settings) -> "Times":
        return cls(
            settings.provider_connect_timeout,
            settings.provider_first_byte_timeout,
            settings.provider_idle_timeout,
            settings.provider_total_timeout,
        )

    def under(self, policy: Timeouts) -> "Times":
        """These, where the endpoint's policy says nothing else."""
        return Times(
            policy.connect or self.connect,
            policy.first_byte or self.first_byte,
            policy.idle or self.idle,
            policy.total or self.total,
        )


class Guard:
    """One request's guard; made and closed inside the request's task."""

    __slots__ = (
        "_armed_for",
        "_connection",
        "_deadline",
        "_end",
        "_loop",
        "_reason",
        "_task",
        "_timer",
        "done",
        "limits",
    )

    def __init__(self, connection: Connection | None, limits: Times) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a guard is made inside the task that it guards")
        self.limits = limits
        self.done = False
        """Set before the last byte is sent: from then on nothing is ended early."""
        self._task = task
        self._loop = task.get_loop()
        self._connection = connection
        self._reason = ""
        self._end = self._loop.time() + limits.total
        self._deadline = self._end
        self._armed_for = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def watch_client(self) -> None:
        """Call once the request's body has been read."""
        connection = self._connection
        if connection is not None:
            connection.guard = self
            if connection.gone:
                self.client_left()

    def client_left(self) -> None:
        """The connection tells that nobody waits for the answer any more."""
        self._stop("left")

    @property
    def over(self) -> bool:
        """Whether the whole request has had its time."""
        return self._loop.time() >= self._end

    def use(self, limits: Times) -> None:
        """Other limits, from the request's beginning on."""
        self._end += limits.total - self.limits.total
        self.limits = limits
        self.wait_at_most(limits.total)

    def wait_at_most(self, seconds: float) -> None:
        """The provider must give its next bytes within this time, and the whole request stays within the total."""
        deadline = min(self._loop.time() + seconds, self._end)
        self._deadline = deadline
        if deadline < self._armed_for:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(deadline)

    def rest(self) -> None:
        """The provider's bytes are here; what takes time now is ours or the client's."""
        self._deadline = self._end

    def cause(self, error: BaseException) -> BaseException:
        """What a cancellation stands for: ClientLeft, TimedOut, or itself when it came from elsewhere (a shutdown)."""
        if (
            not self._reason
            or not isinstance(error, asyncio.CancelledError)
            or asyncio.current_task() is not self._task
        ):
            return error
        reason, self._reason = self._reason, ""
        self._task.uncancel()
        if reason == "left":
            return ClientLeft("The client left before the answer was complete.")
        self._arm(self._end)
        return self._timed_out(reason)

    def close(self) -> None:
        self.done = True
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None and self._connection.guard is self:
            self._connection.guard = None

    def _timed_out(self, reason: str) -> NoriaError:
        if reason == "total":
            return TimedOut(f"The answer took longer than {self.limits.total:g} seconds.")
        return TimedOut("The provider sent nothing for too long.", hint="Try again, or ask for a stream.")

    def _arm(self, at: float) -> None:
        self._armed_for = at
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        if self._loop.time() < self._deadline:
            self._arm(self._deadline)
        else:
            self._stop("total" if self._deadline >= self._end else "slow")

    def _stop(self, reason: str) -> None:
        if not self.done and not self._reason:
            self._reason = reason
            self._task.cancel()
