"""A caller's stream in Anthropic's dialect, written from chat chunks.

In: chat chunks. Out: server-sent events. The decisions to know: blocks follow one another there, so a call's block stays open
until its arguments are whole, and a call that a provider streams beside it waits for its turn; the reason of the end and
the usage, which chat tells last and apart, are one event at the very end.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from noria.core.errors import NoriaError
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient, terms
from noria.gateway.dialects.messages.answers import call_id, kept_fields, message_id
from noria.gateway.dialects.messages.errors import error_object
from noria.gateway.dialects.openai import encoded


@dataclass(slots=True)
class _Call:
    """One tool call, as far as it came."""

    id: str = ""
    name: str = ""
    extras: Json = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """Pieces that the caller has not got yet."""
    over: bool = False

    def is_whole(self) -> bool:
        """Its arguments are JSON, so nothing more can come."""
        try:
            orjson.loads("".join(self.pieces))
        except ValueError:
            return False
        return True


class MessagesWriter:
    """One stream."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._begun = False
        self._index = -1
        self._open: str | _Call = ""
        """The block that is open: text, thinking or a call; "" for none."""
        self._calls: list[_Call] = []
        self._latest: dict[int, _Call] = {}
        """The last call of an index: some providers give every call the index 0 and an id of its own."""
        self._choice: Json = {}
        self._usage: Any = None
        self._kept: Json = {}
        self._refusal: list[str] = []

    def write(self, chunk: Json) -> bytes:
        told = b"" if self._begun else self._begin(chunk)
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index"):
            return told
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta:
            told += self._delta(delta)
        if choice.get("finish_reason"):
            self._choice = choice
            self._kept |= kept_fields(chunk)
        return told

    def fail(self, error: NoriaError) -> bytes:
        return b"event: error\ndata: " + encoded(error_object(error)) + b"\n\n"

    def end(self) -> bytes:
        """Closes what is open, tells why it ended and what it used."""
        told = b"" if self._begun else self._begin({})
        told += self._close()
        for call in self._calls:
            told += self._begin_call(call) + self._close() if call.name and not call.over else b""
        delta = terms.stop(self._choice, calls=any(call.over for call in self._calls), refusal="".join(self._refusal))
        usage = terms.message_usage(self._usage)
        told += _event("message_delta", {"delta": {**delta, **self._kept}, "usage": usage})
        return told + _event("message_stop", {})

    def _begin(self, chunk: Json) -> bytes:
        self._begun = True
        message: Json = {
            "id": lenient.text(chunk.get("id")) or message_id(),
            "type": "message",
            "role": "assistant",
            "model": lenient.text(chunk.get("model")) or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": terms.message_usage(chunk.get("usage")),
        }
        return _event("message_start", {"message": message})

    def _delta(self, delta: Json) -> bytes:
        told = b""
        content = delta.get("content")
        if type(content) is str and len(delta) == 1:  # nearly every chunk
            return self._say("text", content)
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        told += self._say("thinking", reasoning)
        for block in lenient.objects(delta.get("thinking_blocks")):
            told += self._think(block, heard=bool(reasoning))
        for block in lenient.objects(delta.get("provider_blocks")):
            told += self._whole(block)
        told += self._say("text", content)
        if refusal := lenient.text(delta.get("refusal")):
            self._refusal.append(refusal)
            told += self._say("text", refusal)
        for citation in lenient.objects(delta.get("citations")):
            told += self._switch("text") + self._piece({"type": "citations_delta", "citation": citation})
        for call in lenient.objects(delta.get("tool_calls")):
            told += self._call(call)
        return told

    def _say(self, kind: str, value: Any) -> bytes:
        """A piece of text or of thinking, in a block of its kind."""
        if type(value) is not str or not value:
            return b""
        told = b"" if self._open == kind else self._switch(kind)
        name = b"text_delta" if kind == "text" else b"thinking_delta"
        head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
        return told + head % (self._index, name, kind.encode()) + _text(value) + b"}}\n\n"

    def _switch(self, kind: str) -> bytes:
        if self._open == kind:
            return b""
        told = self._close()
        if kind == "thinking":
            return told + self._start({"type": "thinking", "thinking": "", "signature": ""}, kind)
        return told + self._start({"type": "text", "text": ""}, kind)

    def _start(self, block: Json, opened: str | _Call) -> bytes:
        self._index += 1
        self._open = opened
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _piece(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if self._open == "":
            return b""
        if isinstance(self._open, _Call):
            self._open.over = True
        self._open = ""
        return _event("content_block_stop", {"index": self._index})

    def _think(self, block: Json, *, heard: bool) -> bytes:
        """A thought, whole or a piece; `heard`: its text came beside it as reasoning."""
        if block.get("type") != "thinking":
            return self._whole(block)
        signature = lenient.text(block.get("signature"))
        if not signature:
            return b"" if heard else self._say("thinking", block.get("thinking"))
        told = b"" if self._open == "thinking" else self._say("thinking", block.get("thinking"))
        told += self._switch("thinking") + self._piece({"type": "signature_delta", "signature": signature})
        return told + self._close()

    def _whole(self, block: Json) -> bytes:
        if not isinstance(block.get("type"), str):
            return b""
        return self._close() + self._start(block, "whole") + self._close()

    def _call(self, delta: Json) -> bytes:
        known = self._known(lenient.count(delta.get("index")), lenient.text(delta.get("id")))
        function = lenient.obj(delta.get("function"))
        known.name = known.name or lenient.text(function.get("name"))
        known.extras |= lenient.without(delta, "index", "id", "type", "function")
        if piece := lenient.text(function.get("arguments")):
            known.pieces.append(piece)
            known.waiting.append(piece)
        if known is self._open:
            return self._flush(known)
        if known.over or not known.name or (isinstance(self._open, _Call) and not self._open.is_whole()):
            return b""
        return self._begin_call(known)

    def _known(self, index: int, given: str) -> _Call:
        call = self._latest.get(index)
        if call is None or (given and call.id and call.id != given):
            call = self._latest[index] = _Call()
            self._calls.append(call)
        call.id = call.id or given
        return call

    def _begin_call(self, call: _Call) -> bytes:
        block = {"type": "tool_use", "id": call.id or call_id(), "name": call.name, "input": {}, **call.extras}
        return self._close() + self._start(block, call) + self._flush(call)

    def _flush(self, call: _Call) -> bytes:
        if not call.waiting:
            return b""
        piece = "".join(call.waiting)
        call.waiting.clear()
        return self._piece({"type": "input_json_delta", "partial_json": piece})


def _text(value: str) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair
        return encoded(value)  # type: ignore[arg-type]


def _event(name: str, data: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded({"type": name, **data}))
