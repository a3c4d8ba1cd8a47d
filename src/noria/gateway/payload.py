"""JSON from outside, read within bounds.

In: bytes from a caller or a provider. Out: Python values nested at most 250 deep, so that whatever is read here can be
written again, into a provider's request and into the journal. Raises ValueError.
"""

import json
from typing import Any

import orjson

_MAX_DEPTH = 250
_FEW = 200


def strict(data: bytes) -> Any:
    """JSON as the standard has it: no NaN, no half characters."""
    return _bounded(orjson.loads(data), data)


def tolerant(data: bytes) -> Any:
    """As strict, but half surrogate pairs are let through: providers split an emoji over two chunks."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(data)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
    return _bounded(value, data)


def _bounded(value: Any, data: bytes) -> Any:
    if data.count(b"{") + data.count(b"[") > _FEW:
        try:
            orjson.dumps(value)
        except TypeError:
            if _depth(value) > _MAX_DEPTH:
                raise ValueError("it is nested too deeply") from None
    return value


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        deepest = max(deepest, depth)
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting.extend((part, depth + 1) for part in inner)
    return deepest
