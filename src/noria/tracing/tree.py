"""Spans in any order become a tree in reading order: late, missing and circular parents included. Pure."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar


class Linked(Protocol):
    """What a tree is made of."""

    @property
    def span_id(self) -> str: ...
    @property
    def parent_id(self) -> str: ...


One = TypeVar("One", bound=Linked)


def in_reading_order(spans: Sequence[One]) -> Iterator[tuple[One, int, int]]:
    """(span, depth, number of children), depth first; siblings keep their order.

    Without recursion: a trace may be deeper than Python's stack. Rings of parents are cut open where they began.
    """
    known = {span.span_id for span in spans}
    children: dict[str, list[One]] = {}
    tops = []
    for span in spans:
        if span.parent_id in known and span.parent_id != span.span_id:
            children.setdefault(span.parent_id, []).append(span)
        else:
            tops.append(span)
    told: set[str] = set()
    for first in (*tops, *spans):  # the second time around only for what a ring kept from the tops
        waiting = [(first, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span.span_id in told:
                continue
            told.add(span.span_id)
            below = children.get(span.span_id, [])
            waiting.extend((child, depth + 1) for child in reversed(below))
            yield span, depth, len(below)
