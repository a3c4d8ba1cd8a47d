"""OpenAI's chat completions: the hub. Everything else is told in its terms, so here almost nothing happens."""

from typing import Any

from noria.core.errors import BadInput, NoriaError, ProviderFailed
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json


class ChatReader:
    """A stream of chat chunks. `[DONE]` is seen by whoever cuts the events."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def read(self, event: str, data: Json) -> list[Json]:
        if data.get("error") and not data.get("choices"):
            raise ProviderFailed(f"The provider broke off: {reason_of(data['error'])}", code="provider_error")
        return [data]


class ChatWriter:
    """Chat chunks as events; usage only when it was asked for."""

    __slots__ = ("_include_usage",)

    def __init__(self, include_usage: bool) -> None:
        self._include_usage = include_usage

    def write(self, chunk: Json) -> bytes:
        if is_usage(chunk) and not self._include_usage:
            return b""
        return openai.event_of(chunk)

    def end(self) -> bytes:
        return openai.DONE

    def fail(self, error: NoriaError) -> bytes:
        return openai.error_event(error)


class Chat:
    """CallerDialect and ProviderDialect of /v1/chat/completions."""

    name = "chat"
    span_name = "chat.completions"
    usage_on_request = True
    closing = openai.DONE
    request_id_header = b"x-request-id"
    marks = (b"[DONE]", b'"error"', b'"usage":{', b'"usage": {', b"error:")

    def check(self, body: Json) -> None:
        check_messages(body.get("messages"))
        openai.check_stream_options(body)

    def to_chat(self, body: Json) -> Json:
        return body

    def answer(self, chat: Json, body: Json) -> Json:
        return chat

    def writer(self, body: Json, *, include_usage: bool) -> ChatWriter:
        return ChatWriter(include_usage)

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_body(error)

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_event(error)

    def from_chat(self, chat: Json) -> Json:
        return chat

    def parameters(self, chat: Json) -> Json:
        return chat

    def to_answer(self, answer: Json) -> Json:
        choices = answer.get("choices")
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise ProviderFailed("The provider answered with something that is no completion.")
        return answer

    def reader(self) -> ChatReader:
        return ChatReader()


def check_messages(messages: Any) -> None:
    """Raises BadInput that says which message is wrong."""
    if not isinstance(messages, list) or not messages:
        raise BadInput('"messages" must be a list with at least one message.')
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadInput(f'"messages[{index}]" must be an object with a "role".')
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise BadInput(f'"messages[{index}].content" must be text or a list of parts.')


def is_usage(chunk: Json) -> bool:
    """Whether a chunk carries the usage and nothing else."""
    return isinstance(chunk.get("usage"), dict) and not chunk.get("choices")


def reason_of(error: Any) -> str:
    """What a provider says of its own failure, at most 500 characters."""
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:500]


CHAT = Chat()
