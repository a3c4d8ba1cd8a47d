"""OpenAI's text completions: what base models and local engines speak, and some old clients.

A text prompt is one user message to the hub; several prompts or token ids are not, and can only be passed on.
"""

from typing import Any

from noria.core.errors import BadInput, NoriaError, ProviderFailed
from noria.core.records import Message
from noria.gateway.dialects import chat, openai
from noria.gateway.dialects.base import Json

_NEEDS_CHAT = ("tools", "functions", "tool_choice", "function_call", "response_format")
_CHAT_ONLY = frozenset({"max_completion_tokens", "response_format", "logprobs", "top_logprobs", "reasoning_effort"})


class TextReader:
    """A stream of text chunks, told as chat chunks; the first one names the role."""

    __slots__ = ("_opened", "done")

    def __init__(self) -> None:
        self.done = False
        self._opened = False

    def read(self, event: str, data: Json) -> list[Json]:
        if data.get("error") and not data.get("choices"):
            raise ProviderFailed(f"The provider broke off: {chat.reason_of(data['error'])}", code="provider_error")
        told = _chunk_to_chat(data)
        if self._opened or not told["choices"]:
            return [told]
        self._opened = True
        return [_first_chunk(told), told]


class TextWriter:
    """Chat chunks as text chunks."""

    __slots__ = ("_include_usage",)

    def __init__(self, include_usage: bool) -> None:
        self._include_usage = include_usage

    def write(self, chunk: Json) -> bytes:
        if chat.is_usage(chunk) and not self._include_usage:
            return b""
        return openai.event_of(_chunk_to_text(chunk))

    def end(self) -> bytes:
        return openai.DONE

    def fail(self, error: NoriaError) -> bytes:
        return openai.error_event(error)


class Text:
    """CallerDialect and ProviderDialect of /v1/completions."""

    name = "text"
    span_name = "completions"
    usage_on_request = True
    closing = openai.DONE
    request_id_header = b"x-request-id"
    marks = chat.CHAT.marks

    def check(self, body: Json) -> None:
        prompt = body.get("prompt")
        if not isinstance(prompt, str | list) or prompt == []:
            raise BadInput('"prompt" must be text or a list.')
        openai.check_stream_options(body)

    def to_chat(self, body: Json) -> Json:
        """`messages` is empty for prompts that are no single text."""
        rest = {name: value for name, value in body.items() if name not in {"prompt", "logprobs"}}
        return {**rest, "messages": _prompt_as_messages(body["prompt"])}

    def answer(self, chat: Json, body: Json) -> Json:
        choices = [
            {**_without(choice, "message", "logprobs"), "text": _content(choice.get("message")), "logprobs": None}
            for choice in chat.get("choices") or ()
        ]
        return {**chat, "object": "text_completion", "choices": choices}

    def writer(self, body: Json, *, include_usage: bool) -> TextWriter:
        return TextWriter(include_usage)

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_body(error)

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_event(error)

    def from_chat(self, chat: Json) -> Json:
        """`chat` has the rendered text under `prompt` in the place of messages."""
        if "prompt" not in chat:
            raise BadInput("This provider continues texts; the endpoint needs a prompt of format text.")
        return {"prompt": chat["prompt"], **self.parameters(_without(chat, "prompt", "messages"))}

    def parameters(self, chat: Json) -> Json:
        for name in _NEEDS_CHAT:
            if chat.get(name):
                raise BadInput(f"{name!r} does not work here: this endpoint's prompt is plain text.")
        told = _without(chat, *_CHAT_ONLY)
        if chat.get("max_completion_tokens") is not None:
            told.setdefault("max_tokens", chat["max_completion_tokens"])
        return told

    def to_answer(self, answer: Json) -> Json:
        answer = chat.CHAT.to_answer(answer)
        choices = [
            {
                **_without(choice, "text", "logprobs"),
                "message": {"role": "assistant", "content": _str(choice.get("text"))},
                "logprobs": None,
            }
            for choice in answer["choices"]
        ]
        return {**answer, "object": "chat.completion", "choices": choices}

    def reader(self) -> TextReader:
        return TextReader()


def _prompt_as_messages(prompt: Any) -> list[Message]:
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else []


def _chunk_to_chat(chunk: Json) -> Json:
    choices = [
        {
            "index": choice.get("index", 0),
            "delta": {"content": text} if (text := choice.get("text")) else {},
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in _choices(chunk)
    ]
    return {**chunk, "object": "chat.completion.chunk", "choices": choices}


def _first_chunk(chunk: Json) -> Json:
    """The chunk that opens a chat stream and names the role."""
    opening: Json = {"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    choices = [{"index": choice["index"], **opening} for choice in chunk["choices"]]
    return {**_without(chunk, "usage", "timings"), "choices": choices}


def _chunk_to_text(chunk: Json) -> Json:
    choices = [
        {
            "index": choice.get("index", 0),
            "text": _content(choice.get("delta")),
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in _choices(chunk)
    ]
    return {**chunk, "object": "text_completion", "choices": choices}


def _choices(chunk: Json) -> list[Json]:
    choices = chunk.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _content(message: Any) -> str:
    return _str(message.get("content")) if isinstance(message, dict) else ""


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _without(values: Json, *names: str) -> Json:
    return {name: value for name, value in values.items() if name not in names}


TEXT = Text()
