"""What chat chunks amount to, put together as a client would; and answers damaged in every place."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_LISTS = ("thinking_blocks", "citations", "images")


def together(chunks: list[Json]) -> Json:
    """{"message", "usage", "ends", "ids"} of one choice's chunks."""
    message: Json = {"content": "", "reasoning_content": ""}
    calls: dict[int, Json] = {}
    usage, ends = None, []
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for name in ("content", "reasoning_content"):
                message[name] += delta.get(name) or ""
            for name in _LISTS:
                if delta.get(name):
                    message.setdefault(name, []).extend(delta[name])
            for name in ("extra_content", "refusal"):
                if delta.get(name):
                    message[name] = delta[name]
            for call in delta.get("tool_calls", ()):
                known = calls.setdefault(call["index"], {"function": {"name": "", "arguments": ""}})
                known |= {name: value for name, value in call.items() if name not in ("function", "index")}
                for name in ("name", "arguments"):
                    known["function"][name] += call["function"].get(name, "")
            if choice["finish_reason"]:
                ends.append(choice)
    message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {"message": message, "usage": usage, "ends": ends}


def without_random(answer: Json, like: Json) -> Json:
    """`answer` without the ids and times that no fixture can know, which are those that `like` leaves out."""
    told = {name: value for name, value in answer.items() if name in like or name not in ("id", "created")}
    for choice, known in zip(told["choices"], like["choices"], strict=True):
        pairs = zip(choice["message"].get("tool_calls", ()), known["message"].get("tool_calls", ()), strict=True)
        for call, expected in pairs:
            assert call["id"]
            if "id" not in expected:
                del call["id"]
    return told


JUNK: tuple[Any, ...] = (None, True, 0, -1, 1.5, 10**30, "", "\ud83d", [], [None], ["x"], {}, {"x": 1})


def damaged(value: Any) -> Iterator[Any]:
    """`value` with each of its parts in turn left out or replaced by something of another kind."""
    yield from JUNK
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            for odd in damaged(inner):
                yield {**value, name: odd}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield [*value[:index], *value[index + 1 :]]
            for odd in damaged(inner):
                yield [*value[:index], odd, *value[index + 1 :]]
