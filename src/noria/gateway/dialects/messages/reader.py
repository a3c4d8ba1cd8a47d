"""A provider's stream in Anthropic's dialect, read as chat chunks.

In: events, one by one. Out: `chat.completion.chunk`s. The decision to know: text, arguments and thinking pass on as they come;
what chat has no word for (a signed thought, a server tool's block) is collected and told whole at its block's end,
as one item of `thinking_blocks` or `provider_blocks`. Unknown events and blocks are nothing, as Anthropic asks of its clients.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient, terms
from noria.gateway.dialects.messages.answers import kept_fields
from noria.gateway.dialects.messages.errors import reported


@dataclass(slots=True)
class _Block:
    """One content block that has begun."""

    start: Json
    kind: str
    call: int = 0
    """Its place among the tool calls."""
    pieces: list[str] = field(default_factory=list)
    signature: str = ""


class MessagesReader:
    """One stream."""

    def __init__(self) -> None:
        self.done = False
        self._chunk: Json = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": ""}
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._usage: Json = {}
        self._told_usage: Json | None = None
        self._opened = self._finished = False

    @property
    def usage(self) -> Json | None:
        """What is known so far in chat's names: the input's tokens from the first event on, also when the stream breaks off."""
        return terms.chat_usage(self._usage)

    def read(self, event: str, data: Json) -> list[Json]:
        """Chat chunks for one event. Raises ProviderFailed when it is an error."""
        kind = lenient.text(data.get("type")) or event
        if kind == "content_block_delta":
            return self._piece(data)
        handle = _HANDLERS.get(kind)
        return handle(self, data) if handle else []

    def _told(self, delta: Json, **end: Any) -> Json:
        if not self._opened:
            self._opened = True
            delta = {"role": "assistant", "content": "", **delta}
        return {
            **self._chunk,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **end}],
        }

    def _begin(self, data: Json) -> list[Json]:
        message = lenient.obj(data.get("message"))
        self._chunk["id"] = lenient.text(message.get("id"))
        self._chunk["model"] = lenient.text(message.get("model"))
        self._chunk |= kept_fields(message)
        self._count(message.get("usage"))
        return [] if self._opened else [self._told({})]

    def _start(self, data: Json) -> list[Json]:
        start = lenient.obj(data.get("content_block"))
        block = _Block(start, lenient.text(start.get("type")), self._calls)
        self._blocks[lenient.count(data.get("index"))] = block
        if block.kind == "text":
            return self._text("content", start.get("text"))
        if block.kind == "thinking":
            block.signature = lenient.text(start.get("signature"))
            return self._think(block, start.get("thinking"))
        if block.kind != "tool_use":
            return []
        self._calls += 1
        function = {"name": lenient.text(start.get("name")), "arguments": ""}
        extras = lenient.without(start, "type", "id", "name", "input")
        call = {"index": block.call, "id": lenient.text(start.get("id")), "type": "function", "function": function}
        return [self._told({"tool_calls": [{**call, **extras}]})]

    def _piece(self, data: Json) -> list[Json]:
        delta = data.get("delta")
        if not isinstance(delta, dict):
            return []
        kind = delta.get("type")
        if kind == "text_delta":
            return self._text("content", delta.get("text"))
        if kind == "citations_delta":
            citations = lenient.objects([delta.get("citation")])
            return [self._told({"citations": citations})] if citations else []
        block = self._blocks.get(lenient.count(data.get("index")))
        return self._more(block, delta) if block else []

    def _more(self, block: _Block, delta: Json) -> list[Json]:
        kind = delta.get("type")
        if kind == "thinking_delta":
            return self._think(block, delta.get("thinking"))
        if kind == "signature_delta":
            block.signature = lenient.text(delta.get("signature"))
        elif kind == "input_json_delta" and (piece := lenient.text(delta.get("partial_json"))):
            block.pieces.append(piece)
            return self._arguments(block, piece) if block.kind == "tool_use" else []
        return []

    def _text(self, name: str, value: Any) -> list[Json]:
        return [self._told({name: value})] if type(value) is str and value else []

    def _think(self, block: _Block, value: Any) -> list[Json]:
        if piece := lenient.text(value):
            block.pieces.append(piece)
        return self._text("reasoning_content", value)

    def _arguments(self, block: _Block, piece: str) -> list[Json]:
        return [self._told({"tool_calls": [{"index": block.call, "function": {"arguments": piece}}]})]

    def _stop(self, data: Json) -> list[Json]:
        block = self._blocks.pop(lenient.count(data.get("index")), None)
        if block is None or block.kind in ("", "text"):
            return []
        if block.kind == "tool_use":
            return [] if block.pieces else self._arguments(block, lenient.arguments(block.start.get("input")))
        if block.kind == "redacted_thinking":
            return [self._told({"thinking_blocks": [block.start]})]
        if block.kind == "thinking":
            if not block.signature:
                return []
            thought = {"thinking": "".join(block.pieces), "signature": block.signature}
            return [self._told({"thinking_blocks": [{**block.start, **thought}]})]
        whole = {"input": lenient.tool_input("".join(block.pieces))} if block.pieces else {}
        return [self._told({"provider_blocks": [{**block.start, **whole}]})]

    def _change(self, data: Json) -> list[Json]:
        self._count(data.get("usage"))
        delta = lenient.obj(data.get("delta"))
        self._chunk |= kept_fields(delta)
        if not lenient.text(delta.get("stop_reason")):
            return []
        return self._finish(delta) + (self._used() if data.get("usage") else [])

    def _end(self, _data: Json) -> list[Json]:
        self.done = True
        return self._finish({}) + self._used()

    def _fail(self, data: Json) -> list[Json]:
        raise reported(data)

    def _count(self, usage: Any) -> None:
        """Counts are totals so far, and what an event does not name stays as it was."""
        self._usage.update({name: value for name, value in lenient.obj(usage).items() if value is not None})

    def _finish(self, delta: Json) -> list[Json]:
        if self._finished:
            return []
        self._finished = True
        return [self._told({}, **terms.finish(delta, calls=self._calls > 0))]

    def _used(self) -> list[Json]:
        usage = self.usage
        if usage is None or usage == self._told_usage:
            return []
        self._told_usage = usage
        return [{**self._chunk, "choices": [], "usage": usage}]


_HANDLERS: dict[str, Callable[[MessagesReader, Json], list[Json]]] = {
    "message_start": MessagesReader._begin,
    "content_block_start": MessagesReader._start,
    "content_block_stop": MessagesReader._stop,
    "message_delta": MessagesReader._change,
    "message_stop": MessagesReader._end,
    "error": MessagesReader._fail,
}
