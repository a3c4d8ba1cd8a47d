"""OpenAI's Responses dialect, as callers and as providers speak it.

In and out: what dialects/base.py says. The pieces stand beside this file: input and request tell a request as chat, answer and
writer tell the answer; from_chat and reader do the same for a provider. The decision to know: `check` looks only at what every Responses provider would refuse, because a request to such a
provider passes on as it came, with all of OpenAI's own tools; what chat cannot say is refused in `to_chat`.
"""

from typing import Any

from noria.core.errors import BadInput, NoriaError
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses import from_chat, reader, request
from noria.gateway.dialects.responses.answer import answer
from noria.gateway.dialects.responses.reader import ResponsesReader
from noria.gateway.dialects.responses.values import wanted_list, wanted_object, wanted_text
from noria.gateway.dialects.responses.writer import ResponsesWriter, error_fields

_TEXTS = ("instructions", "previous_response_id", "truncation", "user", "safety_identifier", "prompt_cache_key")
_OBJECTS = ("text", "reasoning", "metadata")
_SWITCHES = ("store", "background", "parallel_tool_calls")
_NUMBERS = ("temperature", "top_p")
_WHOLE_NUMBERS = ("max_output_tokens", "max_tool_calls", "top_logprobs")


class Responses:
    """Both sides of the dialect; without state, one serves all requests."""

    name = "responses"
    span_name = "responses"
    usage_on_request = False
    closing = b""
    request_id_header = b"x-request-id"
    marks: tuple[bytes, ...] = (
        *(b'"response":{', b'"response": {', b"event: error", b"event:error", b'"type":"error"', b'"type": "error"'),
        b"[DONE]",
    )
    """The response stands only in the events that begin and end a stream, so its id and usage are seen and deltas are not."""

    def check(self, body: Json) -> None:
        """Raises BadInput that names the field."""
        for names, kinds, what in (
            (_TEXTS, str, "text"),
            (_OBJECTS, dict, "an object"),
            (_SWITCHES, bool, "true or false"),
            (_NUMBERS, int | float, "a number"),
            (_WHOLE_NUMBERS, int, "a whole number"),
        ):
            for name in names:
                _check(name, body.get(name), kinds, what)
        for name in ("tools", "include"):
            if body.get(name) is not None:
                wanted_list(body[name], name)
        for index, tool in enumerate(body.get("tools") or ()):
            wanted_text(wanted_object(tool, f"tools[{index}]").get("type"), f"tools[{index}].type")
        if isinstance(body.get("max_output_tokens"), int) and body["max_output_tokens"] < 1:
            raise BadInput('"max_output_tokens" must be at least 1.')
        _check_input(body)

    def to_chat(self, body: Json) -> Json:
        return request.to_chat(body)

    def answer(self, chat: Json, body: Json) -> Json:
        return answer(chat, body)

    def writer(self, body: Json, *, include_usage: bool) -> ResponsesWriter:
        """Usage is always in the last event, as OpenAI has it; `include_usage` changes nothing."""
        return ResponsesWriter(body)

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_body(error)

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        """For a stream without a writer, passed on as it came; one with a writer ends by its `fail`, which counts on."""
        event = {"type": "error", **error_fields(error), "sequence_number": 0}
        return b"event: error\ndata: " + openai.encoded(event) + b"\n\n"

    def from_chat(self, chat: Json) -> Json:
        return from_chat.from_chat(chat)

    def parameters(self, chat: Json) -> Json:
        return from_chat.parameters(chat)

    def to_answer(self, answer: Json) -> Json:
        return reader.to_answer(answer)

    def reader(self) -> ResponsesReader:
        return ResponsesReader()


def _check(name: str, value: Any, kinds: Any, what: str) -> None:
    if value is None:
        return
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise BadInput(f'"{name}" must be {what}.')


def _check_input(body: Json) -> None:
    items = body.get("input")
    if items is None:
        if any(body.get(name) is not None for name in ("previous_response_id", "prompt", "conversation")):
            return
        raise BadInput('"input" must be text or a list of items.')
    if isinstance(items, str):
        return
    if not isinstance(items, list):
        raise BadInput('"input" must be text or a list of items.')
    if not items and body.get("previous_response_id") is None:
        raise BadInput('"input" must hold at least one item.')
    for index, item in enumerate(items):
        wanted_object(item, f"input[{index}]")
