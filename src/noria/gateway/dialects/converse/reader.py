"""A stream of ConverseStream's, read as chat chunks.

In: (":event-type", payload) pairs that the adapter cut from the binary stream. The decision to know: `metadata` with the counts
comes after `messageStop`, so the answer is complete only then. A signed thought is told whole at its block's end, as one item of
`thinking_blocks`; blocks of other kinds (results of the provider's own tools) are not told.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.converse import terms


@dataclass(slots=True)
class _Block:
    """One content block that has begun."""

    call: int = -1
    """Its place among the tool calls; -1 when it is none."""
    begun: bool = False
    """Some of the call's arguments have come."""
    thoughts: list[str] = field(default_factory=list)
    signature: str = ""
    redacted: str = ""


class ConverseReader:
    """One stream."""

    def __init__(self) -> None:
        self.done = False
        self._chunk: Json = {
            "id": values.new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": "",
        }
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._opened = False
        self._handlers: dict[str, Callable[[Json], list[Json]]] = {
            "messageStart": self._begin,
            "contentBlockStart": self._start,
            "contentBlockDelta": self._piece,
            "contentBlockStop": self._stop,
            "messageStop": self._finish,
            "metadata": self._end,
        }

    def read(self, event: str, data: Json) -> list[Json]:
        """Chat chunks for one event. Raises ProviderFailed when it is an error; unknown events are nothing."""
        if handle := self._handlers.get(event):
            return handle(data)
        if event == "error" or event.lower().endswith("exception"):
            raise terms.reported(event, data)
        return []

    def _told(self, delta: Json, end: Json | None = None) -> Json:
        if not self._opened:
            self._opened = True
            delta = {"role": "assistant", "content": "", **delta}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **(end or {})}
        return {**self._chunk, "choices": [choice]}

    def _begin(self, _: Json) -> list[Json]:
        return [] if self._opened else [self._told({})]

    def _block(self, data: Json) -> _Block:
        return self._blocks.setdefault(values.count(data.get("contentBlockIndex")), _Block())

    def _start(self, data: Json) -> list[Json]:
        use = values.obj(values.obj(data.get("start")).get("toolUse"))
        if not use or "type" in use:
            return []
        block = self._block(data)
        block.call = self._calls
        self._calls += 1
        return [
            self._call(
                block,
                {"name": values.text(use.get("name")), "arguments": ""},
                {"id": values.text(use.get("toolUseId")) or values.new_id("call_"), "type": "function"},
            )
        ]

    def _call(self, block: _Block, function: Json, more: Json | None = None) -> Json:
        return self._told({"tool_calls": [{"index": block.call, **(more or {}), "function": function}]})

    def _piece(self, data: Json) -> list[Json]:
        delta = values.obj(data.get("delta"))
        piece = delta.get("text")
        if type(piece) is str:
            return [self._told({"content": piece})] if piece else []
        block = self._block(data)
        if (use := values.obj(delta.get("toolUse"))) and block.call >= 0:
            given = values.text(use.get("input"))
            block.begun = block.begun or bool(given)
            return [self._call(block, {"arguments": given})] if given else []
        if citation := values.obj(delta.get("citation")):
            return [self._told({"citations": [citation]})]
        return self._think(block, values.obj(delta.get("reasoningContent")))

    def _think(self, block: _Block, reasoning: Json) -> list[Json]:
        block.signature += values.text(reasoning.get("signature"))
        block.redacted += values.text(reasoning.get("redactedContent"))
        thought = values.text(reasoning.get("text"))
        if not thought:
            return []
        block.thoughts.append(thought)
        return [self._told({"reasoning_content": thought})]

    def _stop(self, data: Json) -> list[Json]:
        block = self._blocks.pop(values.count(data.get("contentBlockIndex")), None)
        if block is None:
            return []
        if block.call >= 0:
            return [] if block.begun else [self._call(block, {"arguments": "{}"})]
        said = {"text": "".join(block.thoughts), "signature": block.signature}
        kept = terms.thought({"redactedContent": block.redacted, "reasoningText": said})
        return [self._told({"thinking_blocks": [kept]})] if kept else []

    def _finish(self, data: Json) -> list[Json]:
        return [self._told({}, terms.finish(values.text(data.get("stopReason")), calls=self._calls > 0))]

    def _end(self, data: Json) -> list[Json]:
        self.done = True
        usage = terms.usage(data.get("usage"))
        return [{**self._chunk, "choices": [], "usage": usage}] if usage is not None else []
