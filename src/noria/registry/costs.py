"""What tokens cost at a price, by one rule for calls of the gateway and for calls that others tell of. Pure; imports nothing.

In: prices of a million tokens in micro-dollars, and counts. Out: whole micro-dollars.
"""

from typing import Protocol


class Long(Protocol):
    """What longer prompts cost: noria.registry.snapshot.LongPrompts."""

    @property
    def above(self) -> int: ...
    @property
    def input_percent(self) -> int: ...
    @property
    def output_percent(self) -> int: ...


class Priced(Protocol):
    """A release or a row of the table of prices; what is None costs what the amount before it does."""

    @property
    def input_micros(self) -> int: ...
    @property
    def output_micros(self) -> int: ...
    @property
    def cached_micros(self) -> int | None: ...
    @property
    def cache_write_micros(self) -> int | None: ...
    @property
    def cache_write_1h_micros(self) -> int | None: ...
    @property
    def long_prompts(self) -> Long | None: ...


class Counted(Protocol):
    """Tokens. Cached and written ones are among `input`, those written for an hour among `written`."""

    @property
    def input(self) -> int: ...
    @property
    def output(self) -> int: ...
    @property
    def cached(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def written_1h(self) -> int: ...


def micros(price: Priced, used: Counted) -> int:
    """Micro-dollars, rounded to the nearest."""
    entered = _input(price, used) if used.cached or used.written else used.input * price.input_micros
    left = used.output * price.output_micros
    if (long := price.long_prompts) is not None and used.input > long.above:
        entered, left = entered * long.input_percent // 100, left * long.output_percent // 100
    return (entered + left + 500_000) // 1_000_000


def _input(price: Priced, used: Counted) -> int:
    """A provider that says more tokens were cached than there were is not believed."""
    plain = price.input_micros
    read = min(used.cached, used.input)
    written = min(used.written, used.input - read)
    for_an_hour = min(used.written_1h, written)
    reading = plain if price.cached_micros is None else price.cached_micros
    writing = plain if price.cache_write_micros is None else price.cache_write_micros
    keeping = writing if price.cache_write_1h_micros is None else price.cache_write_1h_micros
    return (
        (used.input - read - written) * plain
        + read * reading
        + (written - for_an_hour) * writing
        + for_an_hour * keeping
    )
