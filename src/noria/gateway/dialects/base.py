"""What a dialect is: one provider's or client's way to say a request, an answer, a stream and an error.

Every dialect is told in terms of one: OpenAI's chat completions are the hub. A caller's request becomes a chat body, a
provider's answer becomes a chat answer, a provider's stream becomes chat chunks, and back. So n dialects need 2n
translations, not n². Where caller and provider speak the same dialect nothing is translated at all: bytes pass on as
they came, and only a copy is read for the span.

Rules for all translations: a field that the other side has no word for is passed on under its own name when the other
side tolerates it, else kept in the answer's or request's metadata, else refused with BadInput that names it; it is never dropped
silently. Text, tool calls (ids, names, arguments as JSON text), images, reasoning, stop reasons and usage survive a round
trip. What comes from a provider is not trusted: a missing or odd value is an empty one, never an exception.
"""

from typing import Any, Protocol

from noria.core.errors import NoriaError

Json = dict[str, Any]


class Reader(Protocol):
    """A provider's stream, read: events in, chat chunks out. One for each stream."""

    done: bool
    """The provider said that its answer is complete."""

    def read(self, event: str, data: Json) -> list[Json]:
        """Chat chunks (`chat.completion.chunk`) for one event; `event` is the SSE event name or "".

        Usage comes as OpenAI sends it: a chunk with `"choices": []` and `usage`. Raises ProviderFailed when the provider
        reports an error.
        """
        ...


class Writer(Protocol):
    """A caller's stream, written: chat chunks in, bytes of server-sent events out. One for each stream."""

    def write(self, chunk: Json) -> bytes:
        """The events that one chat chunk becomes; b"" when it has to wait for more."""
        ...

    def end(self) -> bytes:
        """What closes a complete stream (`data: [DONE]`, `message_stop`, `response.completed`). Sent after the span is safe."""
        ...

    def fail(self, error: NoriaError) -> bytes:
        """What ends a stream that broke off."""
        ...


class CallerDialect(Protocol):
    """What the gateway needs of a dialect that callers speak."""

    name: str
    span_name: str
    """What a span of it is called: "chat.completions"."""
    usage_on_request: bool
    """Streams tell their usage only when `stream_options.include_usage` asks for it (OpenAI's completions)."""
    closing: bytes
    """Ends a stream whose provider gave a complete answer but did not end it; b"" when there is no such thing."""
    request_id_header: bytes
    """Which header of an answer names the request: b"x-request-id" (OpenAI), b"request-id" (Anthropic)."""

    def check(self, body: Json) -> None:
        """Raises BadInput that names the field which is missing or wrong. Unknown fields are fine."""
        ...

    def to_chat(self, body: Json) -> Json:
        """The request as a chat body: `messages` and parameters. `body` comes without model and stream and is left as it is."""
        ...

    def answer(self, chat: Json, body: Json) -> Json:
        """A whole chat answer, told in this dialect; `body` is the request as the caller sent it, with its model."""
        ...

    def writer(self, body: Json, *, include_usage: bool) -> Writer: ...

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        """The body of an error answer, JSON. `request_id` is what the answer's header says; "" while there is none."""
        ...

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        """An error in the middle of a stream, as an event."""
        ...


class ProviderDialect(Protocol):
    """What the gateway needs of a dialect that providers speak."""

    name: str

    @property
    def marks(self) -> tuple[bytes, ...]:
        """Byte strings of which one stands in every piece of a stream that must be looked at when bytes pass on unread: its end,
        its usage, its errors."""
        ...

    def from_chat(self, chat: Json) -> Json:
        """A chat body as a request in this dialect, without `model` and `stream`. Raises BadInput for what it cannot say."""
        ...

    def parameters(self, chat: Json) -> Json:
        """Parameters of a release (chat's names: temperature, max_tokens, stop, …) in this dialect's names."""
        ...

    def to_answer(self, answer: Json) -> Json:
        """A whole answer as a chat answer. Raises ProviderFailed when it is none."""
        ...

    def reader(self) -> Reader: ...
