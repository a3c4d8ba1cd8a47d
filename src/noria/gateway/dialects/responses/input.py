"""Input items of a Responses request, told as chat messages.

In: `instructions` and `input`. Out: `messages`. The decision to know: Responses has one item for each thought, text and
call, chat has one message for a whole turn of the assistant, so neighbouring items are gathered until something that the
assistant did not say comes; calls and their outputs must stay neighbours in chat. `developer` becomes `system`, which every
chat server knows and OpenAI treats alike. Reasoning goes into `reasoning_content` for reading and into `reasoning_details`
(OpenRouter's form, `format: openai-responses-v1`) with its id and encrypted text for telling it to a Responses provider again.
Thoughts of another provider (`thinking_blocks`) travel through a caller as `encrypted_content`, which callers send back as it is.
"""

import base64
import binascii
from typing import Any

from noria.core.errors import BadInput
from noria.gateway import payload
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.values import given, objects, rest, text, wanted_list, wanted_object, wanted_text

FORMAT = "openai-responses-v1"
EXTRA = "extra_content"
"""Where OpenAI's dialect of Gemini keeps a call's thought signature; it goes with the call, both ways."""
_SEALED = "noria1."
_ROLES = {"user": "user", "system": "system", "developer": "system"}
_PARTS = "input_text, input_image, input_file or input_audio"


def messages_of(instructions: Any, items: Any) -> list[Json]:
    """Raises BadInput that names the item which is wrong or has no word in chat."""
    gathered = _Turns()
    if instructions is not None:
        gathered.add({"role": "system", "content": wanted_text(instructions, "instructions")})
    if isinstance(items, str):
        gathered.add({"role": "user", "content": items})
    else:
        for index, item in enumerate(wanted_list(items, "input")):
            _take(gathered, wanted_object(item, f"input[{index}]"), f"input[{index}]")
    return gathered.close()


class _Turns:
    """Messages so far; `turn` is what the assistant has said since somebody else spoke."""

    def __init__(self) -> None:
        self._messages: list[Json] = []
        self._turn: Json | None = None

    def add(self, message: Json) -> None:
        self.close()
        self._messages.append(message)

    def close(self) -> list[Json]:
        if self._turn is not None:
            self._turn.setdefault("content", None)
            self._messages.append(self._turn)
            self._turn = None
        return self._messages

    def think(self, item: Json, field: str) -> None:
        if self._turn and self._turn.get("content") is not None and not self._turn.get("tool_calls"):
            self.close()
        turn = self._assistant()
        thought = "\n\n".join(filter(None, (text(part.get("text")) for part in _thoughts(item, field))))
        if thought:
            turn["reasoning_content"] = "\n\n".join(filter(None, (turn.get("reasoning_content"), thought)))
        if is_sealed(item):
            turn.setdefault("thinking_blocks", []).extend(_unsealed(item, field))
        else:
            turn.setdefault("reasoning_details", []).extend(reasoning_details(item))

    def say(self, message: Json) -> None:
        if self._turn and self._turn.get("content") is not None and not self._turn.get("tool_calls"):
            self.close()
        turn = self._assistant()
        before = turn.get("content")
        turn.update(message)
        if before:
            turn["content"] = before + (message.get("content") or "")

    def call(self, call: Json) -> None:
        self._assistant().setdefault("tool_calls", []).append(call)

    def _assistant(self) -> Json:
        if self._turn is None:
            self._turn = {"role": "assistant"}
        return self._turn


def sealed(blocks: list[Json]) -> str:
    """Another provider's thoughts as a reasoning item's encrypted_content. Their own signatures guard them; this hides nothing."""
    return _SEALED + base64.b64encode(openai.encoded({"thinking_blocks": blocks})).decode()


def is_sealed(item: Json) -> bool:
    return text(item.get("encrypted_content")).startswith(_SEALED)


def _unsealed(item: Json, field: str) -> list[Json]:
    try:
        told = payload.tolerant(base64.b64decode(item["encrypted_content"].removeprefix(_SEALED), validate=True))
        blocks: list[Json] = told["thinking_blocks"]
        if not isinstance(blocks, list) or objects(blocks) != blocks:
            raise ValueError("it holds no blocks")
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadInput(f'"{field}.encrypted_content" is not what was sent.') from error
    return blocks


def reasoning_details(item: Json) -> list[Json]:
    """A reasoning item in pieces from which it can be made again."""
    known = {"format": FORMAT, **given(item, "id")}
    details: list[Json] = [
        {"type": "reasoning.summary", "summary": text(part.get("text")), **known}
        for part in objects(item.get("summary"))
    ]
    details += [
        {"type": "reasoning.text", "text": text(part.get("text")), **known} for part in objects(item.get("content"))
    ]
    if encrypted := text(item.get("encrypted_content")):
        details.append({"type": "reasoning.encrypted", "data": encrypted, **known})
    return details or [{"type": "reasoning.summary", "summary": "", **known}]


def _thoughts(item: Json, field: str) -> list[Json]:
    summary = wanted_list(item.get("summary") or [], f"{field}.summary")
    return objects(summary) + objects(wanted_list(item.get("content") or [], f"{field}.content"))


def _take(turns: _Turns, item: Json, field: str) -> None:
    kind = item.get("type")
    if kind is None and "role" in item:
        kind = "message"
    if kind == "message":
        _message(turns, item, field)
    elif kind == "reasoning":
        turns.think(item, field)
    elif kind in ("function_call", "custom_tool_call"):
        turns.call(_call(item, field))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        turns.add(_output(item, field))
    elif kind is None:
        raise BadInput(f'"{field}.type" is missing.')
    else:
        raise BadInput(
            f'"{field}" is of type {kind!r}, which this endpoint\'s model does not know.',
            hint="Only messages, function calls, their outputs and reasoning can be told to a chat model.",
        )


def _message(turns: _Turns, item: Json, field: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role == "assistant":
        turns.say(_said(content, field))
    elif isinstance(role, str) and role in _ROLES:
        turns.add({"role": _ROLES[role], "content": _content(content, f"{field}.content")})
    else:
        raise BadInput(f'"{field}.role" must be user, assistant, system or developer.')


def _said(content: Any, field: str) -> Json:
    if isinstance(content, str):
        return {"content": content}
    texts: list[str] = []
    refusals: list[str] = []
    notes: list[Json] = []
    for index, raw in enumerate(wanted_list(content, f"{field}.content")):
        where = f"{field}.content[{index}]"
        part = wanted_object(raw, where)
        if part.get("type") in ("output_text", "input_text"):
            texts.append(wanted_text(part.get("text"), f"{where}.text"))
            notes += [nested_annotation(note) for note in objects(part.get("annotations"))]
        elif part.get("type") == "refusal":
            refusals.append(wanted_text(part.get("refusal"), f"{where}.refusal"))
        else:
            raise BadInput(f'"{where}.type" must be output_text or refusal.')
    said: Json = {"content": "".join(texts) if texts or not refusals else None}
    if refusals:
        said["refusal"] = "".join(refusals)
    return {**said, "annotations": notes} if notes else said


def nested_annotation(note: Json) -> Json:
    """{"type": "url_citation", "url": …} as chat has it: {"type": "url_citation", "url_citation": {"url": …}}."""
    kind = text(note.get("type"))
    return {"type": kind, kind: {name: value for name, value in note.items() if name != "type"}} if kind else note


def _content(content: Any, field: str) -> str | list[Json]:
    """Text, or parts in chat's words; one lone text is text, which more servers understand."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{field}[{index}]") for index, part in enumerate(wanted_list(content, field))]
    if len(parts) == 1 and set(parts[0]) == {"type", "text"}:
        lone: str = parts[0]["text"]
        return lone
    return parts


def _part(raw: Any, field: str) -> Json:
    part = wanted_object(raw, field)
    kind = part.get("type")
    if kind == "input_text":
        more = rest(part, "type", "text")
        return {"type": "text", "text": wanted_text(part.get("text"), f"{field}.text"), **more}
    if kind == "input_image":
        if part.get("file_id") is not None:
            raise BadInput(f'"{field}.file_id" names a file that this endpoint\'s model cannot read. Send "image_url".')
        image = {"url": wanted_text(part.get("image_url"), f"{field}.image_url"), **given(part, "detail")}
        return {"type": "image_url", "image_url": image, **rest(part, "type", "image_url", "detail")}
    if kind == "input_file":
        if part.get("file_url") is not None:
            raise BadInput(f'"{field}.file_url" cannot be told to this endpoint\'s model. Send "file_data".')
        names = ("filename", "file_data", "file_id", "detail")
        return {"type": "file", "file": given(part, *names), **rest(part, "type", *names)}
    if kind == "input_audio":
        return {**part, "input_audio": wanted_object(part.get("input_audio"), f"{field}.input_audio")}
    raise BadInput(f'"{field}.type" must be {_PARTS}.')


def _call(item: Json, field: str) -> Json:
    if item.get("namespace") is not None:
        raise BadInput(f'"{field}.namespace" cannot be told to this endpoint\'s model.')
    call_id = wanted_text(item.get("call_id"), f"{field}.call_id")
    name = wanted_text(item.get("name"), f"{field}.name")
    if item["type"] == "custom_tool_call":
        said = wanted_text(item.get("input"), f"{field}.input")
        return {"id": call_id, "type": "custom", "custom": {"name": name, "input": said}, **given(item, EXTRA)}
    arguments = wanted_text(item.get("arguments"), f"{field}.arguments")
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **given(item, EXTRA)}


def _output(item: Json, field: str) -> Json:
    call_id = wanted_text(item.get("call_id"), f"{field}.call_id")
    return {"role": "tool", "tool_call_id": call_id, "content": _content(item.get("output"), f"{field}.output")}
