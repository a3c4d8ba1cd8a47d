"""OpenAI and everything that speaks as it does: a base URL, a Bearer key, `model` and `stream` in the body.

Source: https://platform.openai.com/docs/api-reference (read November 2026). The errors of compatible servers differ in
small things, which `refusal` reads too: "error" as a text, "detail" or "message" beside it.
"""

from collections.abc import Mapping
from typing import Any, Final

from yarl import URL

from noria.gateway.providers import base
from noria.gateway.providers.base import Call, Events, Flags, Refusal
from noria.gateway.providers.events import ServerSentEvents
from noria.registry.snapshot import ProviderEntry

PATHS: Final[Mapping[str, str]] = {
    "chat": "/chat/completions",
    "text": "/completions",
    "embeddings": "/embeddings",
    "responses": "/responses",
    "messages": "/messages",
}
_COUNTS_ON_REQUEST: Final = frozenset({"chat", "text"})


class OpenAI:
    """Any OpenAI-compatible URL."""

    flags = Flags(speaks=("chat", "text", "embeddings"), embeddings=True)

    def spoken(self, provider: ProviderEntry) -> tuple[str, ...]:
        return base.spoken(self.flags, provider)

    def url(self, call: Call) -> URL:
        return base.address(call.base.rstrip("/") + PATHS[call.dialect])

    def headers(self, call: Call, key: str, url: URL, body: bytes) -> dict[str, str]:
        found = base.common_headers(call)
        if call.dialect == "messages":
            found.setdefault("anthropic-version", "2023-06-01")
        if key:
            found["Authorization"] = f"Bearer {key}"
        return found

    def body(self, call: Call, fields: dict[str, Any]) -> bytes:
        return base.encoded(with_model(call, fields))

    def events(self, call: Call) -> Events:
        return ServerSentEvents()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        return refusal(status, headers, base.error_json(body))


def with_model(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with model and stream; a stream of completions is asked to count its tokens at its end."""
    sent = {**fields, "model": call.model}
    if not call.stream or call.dialect == "embeddings":
        return sent
    sent["stream"] = True
    if call.dialect in _COUNTS_ON_REQUEST:
        options = fields.get("stream_options")
        sent["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return sent


def refusal(status: int, headers: Mapping[str, str], answer: dict[str, Any]) -> Refusal:
    """{"error": {message, type, param, code}} and what compatible servers make of it."""
    error = answer.get("error")
    detail = error if isinstance(error, dict) else answer
    message = error if isinstance(error, str) else detail.get("message") or detail.get("detail")
    return Refusal(
        base.text_of(message),
        kind=base.word(detail.get("type")),
        code=base.word(detail.get("code")),
        param=base.word(detail.get("param")),
        retry_after=base.retry_after(headers),
        key_refused=status in {401, 403},
    )
