"""Spans in any order become a tree in reading order: late, missing and circular parents included. Pure."""

from collections.abc import Iterator, Sequence
from itertools import chain


def in_reading_order(ids: Sequence[str], parents: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """(place in `ids`, depth, number of children), depth first; siblings keep their order. Ids differ from each other.

    Without recursion: a trace may be deeper than Python's stack. Rings of parents are cut open where they began.
    """
    known = {span_id: place for place, span_id in enumerate(ids)}
    children: dict[int, list[int]] = {}
    tops = []
    for place, parent in enumerate(parents):
        above = known.get(parent, place) if parent else place
        if above == place:
            tops.append(place)
        else:
            children.setdefault(above, []).append(place)
    told = bytearray(len(ids))
    for first in chain(tops, range(len(ids))):  # all of them once more, for what a ring kept from the tops
        if told[first]:
            continue
        waiting = [(first, 0)]
        while waiting:
            place, depth = waiting.pop()
            if told[place]:
                continue
            told[place] = 1
            below = children.get(place, ())
            waiting.extend((child, depth + 1) for child in reversed(below))
            yield place, depth, len(below)
