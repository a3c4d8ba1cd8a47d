"""Anthropic's messages as a dialect: what callers send to /v1/messages, and what Anthropic answers.

The pieces: check and incoming (a caller's request), outgoing and conversation (a provider's), answers, reader and writer
(streams), errors, terms (stop reasons, usage), counting, plain. The decision to know: translation goes by way of chat and
is lossless for what Anthropic needs back, so a rendered prompt between an Anthropic client and an Anthropic provider costs no
signature and no cache mark.
"""

from noria.core.errors import NoriaError
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import answers, incoming, outgoing
from noria.gateway.dialects.messages.check import check
from noria.gateway.dialects.messages.errors import error_object
from noria.gateway.dialects.messages.reader import MessagesReader
from noria.gateway.dialects.messages.writer import MessagesWriter
from noria.gateway.dialects.openai import encoded

PATH = "/messages"
COUNT_PATH = "/messages/count_tokens"
"""Both after a base URL that ends in /v1."""
VERSION = "2023-06-01"
"""The only version of the API there is; sent as `anthropic-version`."""


def headers(key: str) -> dict[str, str]:
    """What a provider of this dialect wants beside the content type."""
    return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}


class Messages:
    """A CallerDialect and a ProviderDialect."""

    name = "messages"
    span_name = "messages"
    usage_on_request = False
    closing = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    request_id_header = b"request-id"
    marks = (b"message_start", b"message_delta", b"message_stop", b'"error"')

    def __init__(self, *, counting: bool = False) -> None:
        """`counting`: requests that only want their tokens counted."""
        self._counting = counting

    def check(self, body: Json) -> None:
        check(body, counting=self._counting)

    def to_chat(self, body: Json) -> Json:
        return incoming.to_chat(body)

    def answer(self, chat: Json, body: Json) -> Json:
        return answers.from_answer(chat, str(body.get("model") or ""))

    def writer(self, body: Json, *, include_usage: bool) -> MessagesWriter:
        """Usage is always told: this dialect does not ask."""
        return MessagesWriter(str(body.get("model") or ""))

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        return encoded(error_object(error, request_id))

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        return b"event: error\ndata: " + encoded(error_object(error, request_id)) + b"\n\n"

    def from_chat(self, chat: Json) -> Json:
        return outgoing.from_chat(chat)

    def parameters(self, chat: Json) -> Json:
        return outgoing.parameters(chat)

    def to_answer(self, answer: Json) -> Json:
        return answers.to_answer(answer)

    def reader(self) -> MessagesReader:
        return MessagesReader()
