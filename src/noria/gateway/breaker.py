"""Circuit breakers: a provider that keeps failing is left alone for a while, so that requests fail over at once.

In: what each call to a provider came to. Out: whether it may be called now. The decision to know: after the pause one call
is let through as a trial; its success closes the breaker, its failure opens it again. What is the caller's fault (4xx)
says nothing about a provider and counts for nothing.
"""

import time
from dataclasses import dataclass

from noria.core.errors import NoriaError, ProviderFailed, TimedOut
from noria.gateway.failures import NotReady, ProviderRefused
from noria.registry.policy import Breaker


@dataclass(slots=True)
class _State:
    failures: int = 0
    first_at: float = 0.0
    open_until: float = 0.0
    trial_until: float = 0.0


class Breakers:
    """One for the process; states by provider."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def check(self, provider_id: str, provider: str, breaker: Breaker) -> None:
        """Raises NotReady while the provider is left alone."""
        state = self._states.get(provider_id)
        if state is None or not breaker.failures or not state.open_until:
            return
        now = time.monotonic()
        if now < state.open_until:
            raise _open(provider, state.open_until - now)
        if now < state.trial_until:
            raise _open(provider, 1.0)
        state.trial_until = now + breaker.open_seconds

    def succeeded(self, provider_id: str) -> None:
        if self._states:
            self._states.pop(provider_id, None)

    def failed(self, provider_id: str, error: NoriaError, breaker: Breaker) -> None:
        """Count a failure; opens the breaker when there were enough of them."""
        if not breaker.failures or not is_fault(error):
            return
        now = time.monotonic()
        state = self._states.setdefault(provider_id, _State())
        if state.open_until or now - state.first_at > breaker.window_seconds:
            trial_failed = bool(state.trial_until)
            state.failures, state.first_at = 0, now
            if trial_failed:
                state.failures = breaker.failures
        state.failures += 1
        if state.failures >= breaker.failures:
            state.open_until, state.trial_until = now + breaker.open_seconds, 0.0


def is_fault(error: NoriaError) -> bool:
    """Whether an error says that the provider itself does not work now."""
    if isinstance(error, ProviderRefused):
        return error.provider_status >= 500
    return isinstance(error, ProviderFailed | TimedOut)


def _open(provider: str, seconds: float) -> NotReady:
    return NotReady(
        f"The provider {provider!r} has failed several times in a row and is left alone for a moment.",
        hint="Try again in a few seconds.",
        retry_after=max(1.0, seconds),
    )
