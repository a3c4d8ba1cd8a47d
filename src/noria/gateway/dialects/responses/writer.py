"""A stream of chat chunks, told as the typed events of a response.

In: chat chunks. Out: server-sent events, numbered. An item is added, its parts grow, parts and item are done, and the last
event holds the whole response; no `[DONE]` follows. The decision to know: thoughts and text are done when the next thing
begins, but function calls stay open until the end, because chat may send the pieces of parallel calls in any order and a call
that is done must not grow.
"""

from typing import Any

from noria.core.errors import NoriaError
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.answer import (
    PREFIX,
    call_item,
    closed,
    content_text,
    envelope,
    item_id,
    logprobs_of,
    message_item,
    new_call_id,
    reasoning_item,
    text_part,
)
from noria.gateway.dialects.responses.from_chat import flat_annotation, reasoning_items
from noria.gateway.dialects.responses.ids import tail
from noria.gateway.dialects.responses.input import EXTRA, sealed
from noria.gateway.dialects.responses.values import count, given, mapping, objects, rest, text, whole_text

_CUT_OFF = ("length", "content_filter")


class ResponsesWriter:
    """One stream. `response` is the answer as far as it was told; after `end` it is what GET shall give."""

    def __init__(self, body: Json) -> None:
        self.response: Json = {}
        self._body = body
        self._number = 0
        self._finish = ""
        self._usage: Any = None
        self._output: list[Json] = []
        self._prose: _Thought | _Message | None = None
        self._calls: dict[int, _Call] = {}
        self._told: list[bytes] = []

    def write(self, chunk: Json) -> bytes:
        self._begin(chunk)
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        for choice in objects(chunk.get("choices")):
            if not choice.get("index"):
                self._delta(mapping(choice.get("delta")), choice)
        return self._taken()

    def end(self) -> bytes:
        self._begin({})
        if not self._output:
            self._message().grow("output_text", "")
        cut_off = self._finish in _CUT_OFF
        self._close_prose("incomplete" if cut_off and not self._calls else "completed")
        for call in self._calls.values():
            call.close("incomplete" if cut_off else "completed")
        self.response = closed(self.response, self._output, self._finish, self._usage)
        self.tell({"type": f"response.{self.response['status']}", "response": self.response})
        return self._taken()

    def fail(self, error: NoriaError) -> bytes:
        """The stream breaks off: an error, then the response as failed, as OpenAI ends such a stream."""
        self._begin({})
        told = error_fields(error)
        self.response = {**closed(self.response, self._output, "", self._usage), "status": "failed"}
        self.response["error"] = {"code": "server_error", "message": told["message"]}
        self.tell({"type": "error", **told})
        self.tell({"type": "response.failed", "response": self.response})
        return self._taken()

    def tell(self, event: Json) -> None:
        """Queues one event under the next number."""
        name = event["type"]
        event = {**event, "sequence_number": self._number}
        self._number += 1
        self._told.append(b"event: " + name.encode() + b"\ndata: " + openai.encoded(event) + b"\n\n")

    def add(self, item: Json) -> int:
        """Begins an item; its place in the output."""
        self._output.append(item)
        self.tell({"type": "response.output_item.added", "output_index": len(self._output) - 1, "item": item})
        return len(self._output) - 1

    def done(self, place: int, item: Json) -> None:
        self._output[place] = item
        self.tell({"type": "response.output_item.done", "output_index": place, "item": item})

    def new_id(self, prefix: str) -> str:
        return item_id(prefix, tail(self.response["id"]), len(self._output))

    def _taken(self) -> bytes:
        told, self._told = b"".join(self._told), []
        return told

    def _begin(self, chunk: Json) -> None:
        if not self.response:
            self.response = envelope(self._body, chunk)
            self.tell({"type": "response.created", "response": self.response})
            self.tell({"type": "response.in_progress", "response": self.response})

    def _delta(self, delta: Json, choice: Json) -> None:
        for item in reasoning_items(delta.get("reasoning_details")):
            self._thought(text(item.get("id"))).item |= rest(item, "id")
        if thought := text(delta.get("reasoning_content")) or text(delta.get("reasoning")):
            self._thought().grow(thought)
        if blocks := objects(delta.get("thinking_blocks")):
            self._thought().blocks += blocks
        content = delta.get("content")
        if isinstance(content, list):
            content = content_text(content)
        if isinstance(content, str) and content:
            self._message().grow("output_text", content, logprobs_of(choice.get("logprobs")))
        for note in objects(delta.get("annotations")):
            self._message().annotate(flat_annotation(note))
        if refusal := text(delta.get("refusal")):
            self._message().grow("refusal", refusal)
        calls = delta.get("tool_calls")
        if not calls and isinstance(delta.get("function_call"), dict):
            calls = [{"type": "function", "function": delta["function_call"]}]
        for call in objects(calls):
            self._call(call)
        self._finish = text(choice.get("finish_reason")) or self._finish

    def _thought(self, named: str = "") -> "_Thought":
        """The thought that grows; `named` is the id under which its provider knows it, which must not change."""
        if not isinstance(self._prose, _Thought) or (named and self._prose.named not in ("", named)):
            self._close_prose()
            self._prose = _Thought(self, named)
        return self._prose

    def _message(self) -> "_Message":
        if not isinstance(self._prose, _Message):
            self._close_prose()
            self._prose = _Message(self)
        return self._prose

    def _call(self, piece: Json) -> None:
        index = count(piece.get("index"))
        if index not in self._calls:
            self._close_prose()
            self._calls[index] = _Call(self)
        self._calls[index].grow(piece)

    def _close_prose(self, status: str = "completed") -> None:
        if self._prose is not None:
            self._prose.close(status)
            self._prose = None


class _Thought:
    """A reasoning item that grows."""

    def __init__(self, writer: ResponsesWriter, named: str) -> None:
        self._writer = writer
        self._parts: list[str] = []
        self.named = named
        self.blocks: list[Json] = []
        self.item = reasoning_item(named or writer.new_id("rs"), "")
        self._place = writer.add(dict(self.item))

    def grow(self, delta: str) -> None:
        if not self._parts:
            self._tell("part.added", {"part": {"type": "summary_text", "text": ""}})
        self._parts.append(delta)
        self._tell("text.delta", {"delta": delta})

    def close(self, status: str) -> None:
        if self._parts:
            told = whole_text(self._parts)
            self._tell("text.done", {"text": told})
            self._tell("part.done", {"part": {"type": "summary_text", "text": told}})
            self.item = {**self.item, "summary": [{"type": "summary_text", "text": told}]}
        if self.blocks:
            self.item = {**self.item, "encrypted_content": sealed(self.blocks)}
        self._writer.done(self._place, self.item)

    def _tell(self, what: str, more: Json) -> None:
        where = {"item_id": self.item["id"], "output_index": self._place, "summary_index": 0}
        self._writer.tell({"type": f"response.reasoning_summary_{what}", **where, **more})


class _Message:
    """A message that grows: one text part, one refusal, in the order in which they begin."""

    def __init__(self, writer: ResponsesWriter) -> None:
        self._writer = writer
        self._id = writer.new_id("msg")
        self._place = writer.add(message_item(self._id, [], "in_progress"))
        self._parts: list[Json] = []
        self._texts: list[list[str]] = []

    def grow(self, kind: str, delta: str, logprobs: list[Json] | None = None) -> None:
        index = self._part(kind)
        more: Json = {"delta": delta}
        if kind == "output_text":
            more["logprobs"] = logprobs or []
            self._parts[index]["logprobs"] += logprobs or []
        if delta:
            self._texts[index].append(delta)
            self._tell(f"{kind}.delta", index, more)

    def annotate(self, note: Json) -> None:
        index = self._part("output_text")
        notes = self._parts[index]["annotations"]
        notes.append(note)
        self._tell("output_text.annotation.added", index, {"annotation_index": len(notes) - 1, "annotation": note})

    def close(self, status: str) -> None:
        for index, part in enumerate(self._parts):
            kind, told = part["type"], whole_text(self._texts[index])
            if kind == "output_text":
                part["text"] = told
                self._tell("output_text.done", index, {"text": told, "logprobs": part["logprobs"]})
            else:
                part["refusal"] = told
                self._tell("refusal.done", index, {"refusal": told})
            self._tell("content_part.done", index, {"part": part})
        self._writer.done(self._place, message_item(self._id, self._parts, status))

    def _part(self, kind: str) -> int:
        for index, part in enumerate(self._parts):
            if part["type"] == kind:
                return index
        new = text_part("", [], []) if kind == "output_text" else {"type": "refusal", "refusal": ""}
        self._parts.append(new)
        self._texts.append([])
        self._tell("content_part.added", len(self._parts) - 1, {"part": new})
        return len(self._parts) - 1

    def _tell(self, what: str, index: int, more: Json) -> None:
        where = {"item_id": self._id, "output_index": self._place, "content_index": index}
        self._writer.tell({"type": f"response.{what}", **where, **more})


class _Call:
    """A call that grows; it is told once its name is known."""

    def __init__(self, writer: ResponsesWriter) -> None:
        self._writer = writer
        self._kind = "function"
        self._extra: Json = {}
        self._call_id = ""
        self._name = ""
        self._said: list[str] = []
        self._untold = ""
        self._id = ""
        self._place = 0

    def grow(self, piece: Json) -> None:
        if piece.get("type") == "custom" and not self._id:
            self._kind = "custom"
        self._extra |= given(piece, EXTRA)
        inner = mapping(piece.get(self._kind))
        self._call_id = self._call_id or text(piece.get("id"))
        self._name += text(inner.get("name"))
        said = text(inner.get("input" if self._kind == "custom" else "arguments"))
        if said:
            self._said.append(said)
            self._untold += said
        if self._name:
            self._add()
            self._tell_delta()

    def close(self, status: str) -> None:
        self._add()
        self._tell_delta()
        said = whole_text(self._said)
        self._tell("done", {"input": said} if self._kind == "custom" else {"arguments": said})
        self._writer.done(self._place, self._item(said, status))

    def _add(self) -> None:
        if not self._id:
            self._call_id = self._call_id or new_call_id()
            self._id = self._writer.new_id(PREFIX[self._kind])
            self._place = self._writer.add(self._item("", "in_progress"))

    def _item(self, said: str, status: str) -> Json:
        item = call_item(self._kind, self._id, call_id=self._call_id, name=self._name, said=said, status=status)
        return {**item, **self._extra}

    def _tell_delta(self) -> None:
        if self._untold:
            self._tell("delta", {"delta": self._untold})
            self._untold = ""

    def _tell(self, what: str, more: Json) -> None:
        grown = "custom_tool_call_input" if self._kind == "custom" else "function_call_arguments"
        where = {"item_id": self._id, "output_index": self._place}
        self._writer.tell({"type": f"response.{grown}.{what}", **where, **more})


def error_fields(error: NoriaError) -> Json:
    """An error as a stream's event: flat as it is documented, and nested as OpenAI sends it and its clients read it."""
    nested = openai.error_object(error)["error"]
    return {"code": nested["code"], "message": nested["message"], "param": nested["param"], "error": nested}
