"""What a stream has said so far, for its span and for the cache: chat chunks, folded into one when they have grown large.

In: chunks as they come. Out: chunks that amount to the same. The decision to know: a stream says a word in some two hundred
bytes, so what is kept of a long one is its text and not its events; only a text that is itself too long is cut off.
"""

from typing import Final

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.openai import encoded
from noria.gateway.replay import assembled

_FOLD: Final = 131_072
"""Bytes of events after which they are folded."""
MAX_KEPT: Final = 1_000_000
"""Bytes of one folded answer beyond which nothing more is kept but the last chunk, which carries the usage."""


class Heard:
    """The chunks of one stream."""

    __slots__ = ("_chunks", "_size", "count", "truncated")

    def __init__(self) -> None:
        self.count = 0
        """How many chunks came."""
        self.truncated = False
        self._chunks: list[Json] = []
        self._size = 0

    def add(self, chunk: Json, size: int) -> None:
        """One more chunk; `size` is about what it takes."""
        self.count += 1
        if self.truncated:
            self._chunks[-1:] = [chunk]
            return
        self._chunks.append(chunk)
        self._size += size
        if self._size > _FOLD and len(self._chunks) > 1:
            self._fold()

    def told(self) -> list[Json]:
        return self._chunks

    def _fold(self) -> None:
        folded = _as_chunk(assembled(self._chunks))
        size = len(encoded(folded))
        self._chunks = [folded]
        if size > MAX_KEPT:
            self.truncated = True
            self._chunks.append({})  # the place of the last one
        self._size = size // 2  # half of it counts again, so that folding a long text stays cheap


def _as_chunk(chat: Json) -> Json:
    """A whole answer as one chunk that says all of it."""
    choices = []
    for choice in chat.get("choices") or ():
        rest = {name: value for name, value in choice.items() if name != "message"}
        message = dict(choice.get("message") or {})
        if isinstance(message.get("tool_calls"), list):
            message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(message["tool_calls"])]
        choices.append({**rest, "delta": message})
    return {**chat, "object": "chat.completion.chunk", "choices": choices}
