"""Which of a provider's keys pays for a call: by weight, or the one with the least under way for its weight.

In: a provider entry and the keys that this request has tried. Out: a key entry, None when the provider has none. The decision
to know: a key that has just been refused or rate-limited is left out for the same request, not for the next one: limits
reset in seconds and a request that is served late is served.
"""

import random
from collections import Counter
from collections.abc import Collection

from noria.registry.snapshot import ProviderEntry, ProviderKeyEntry


class Balancer:
    """Counts what is under way for each key; one for the process."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()

    def choose(self, provider: ProviderEntry, tried: Collection[str] = ()) -> ProviderKeyEntry | None:
        """A key that was not tried yet; one that was, when there is no other."""
        keys = provider.keys
        if len(keys) < 2:
            return keys[0] if keys else None
        fresh = [key for key in keys if key.id not in tried] or list(keys)
        if provider.balance == "least_busy":
            return min(fresh, key=lambda key: ((self._busy[key.id] + 1) / key.weight, random.random()))
        return random.choices(fresh, [key.weight for key in fresh])[0]

    def begin(self, key: ProviderKeyEntry | None) -> None:
        if key is not None:
            self._busy[key.id] += 1

    def end(self, key: ProviderKeyEntry | None) -> None:
        if key is not None:
            self._busy[key.id] -= 1
            if self._busy[key.id] <= 0:
                del self._busy[key.id]
