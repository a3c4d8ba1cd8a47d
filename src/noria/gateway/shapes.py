"""OpenAI's shapes: errors, model lists, and completions told as chat and back. The one place that knows them.

In: Noria's records and the provider's parsed answers. Out: bytes for the wire. The decision to know: an answer in the
dialect that the client speaks is passed on as the provider's own bytes; only a change of dialect builds a new one.
"""

import json
from typing import Any, Literal

import orjson

from noria.core.errors import NoriaError
from noria.gateway.failures import NotReady, ProviderRefused

Dialect = Literal["chat", "text"]
"""chat: /v1/chat/completions, text: /v1/completions."""

DONE = b"data: [DONE]\n\n"
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_object(error: NoriaError, *, param: str | None = None) -> dict[str, Any]:
    """{"error": {message, type, param, code}} as OpenAI's clients expect it."""
    message = f"{error.message} {error.hint}".strip()
    kind = _KINDS.get(error.status) or ("invalid_request_error" if error.status < 500 else "server_error")
    if isinstance(error, ProviderRefused):
        kind, param = error.kind or kind, error.param
    return {"error": {"message": message, "type": kind, "param": param, "code": error.code}}


def error_body(error: NoriaError) -> bytes:
    return orjson.dumps(error_object(error))


def error_event(error: NoriaError) -> bytes:
    """An error in the middle of a stream."""
    return b"data: " + error_body(error) + b"\n\n"


def encoded(answer: dict[str, Any]) -> bytes:
    """JSON; half a surrogate pair, which only JSON's escapes can carry, stays one."""
    try:
        return orjson.dumps(answer)
    except TypeError:
        return json.dumps(answer).encode()


def retry_after(error: NoriaError) -> float | None:
    """Seconds after which trying again makes sense, where that is known."""
    return error.retry_after if isinstance(error, ProviderRefused | NotReady) else None


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "noria"}


def model_list(names: list[str]) -> bytes:
    return orjson.dumps({"object": "list", "data": [model(name) for name in names]})


def to_chat(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole text completion as a chat completion; what both have in common stays as the provider said it."""
    choices = [
        {
            **{k: v for k, v in choice.items() if k not in {"text", "logprobs"}},
            "message": {"role": "assistant", "content": choice.get("text") or ""},
            "logprobs": None,
        }
        for choice in answer.get("choices", [])
    ]
    return {**answer, "object": "chat.completion", "choices": choices}


def to_text(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole chat completion as a text completion."""
    choices = [
        {
            **{k: v for k, v in choice.items() if k not in {"message", "logprobs"}},
            "text": (choice.get("message") or {}).get("content") or "",
            "logprobs": None,
        }
        for choice in answer.get("choices", [])
    ]
    return {**answer, "object": "text_completion", "choices": choices}


def chunk_to_chat(chunk: dict[str, Any]) -> dict[str, Any]:
    """One streamed text chunk as a chat chunk."""
    choices = [
        {
            "index": choice.get("index", 0),
            "delta": {"content": text} if (text := choice.get("text")) else {},
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in chunk.get("choices") or ()
    ]
    return {**chunk, "object": "chat.completion.chunk", "choices": choices}


def first_chat_chunk(chunk: dict[str, Any]) -> dict[str, Any]:
    """The chunk that opens a chat stream and names the role, made from the first chunk that came."""
    choices = [
        {
            "index": choice.get("index", 0),
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        for choice in chunk.get("choices") or ()
    ]
    kept = {k: v for k, v in chunk.items() if k not in {"usage", "timings"}}
    return {**kept, "object": "chat.completion.chunk", "choices": choices}


def chunk_to_text(chunk: dict[str, Any]) -> dict[str, Any]:
    """One streamed chat chunk as a text chunk."""
    choices = [
        {
            "index": choice.get("index", 0),
            "text": (choice.get("delta") or {}).get("content") or "",
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in chunk.get("choices") or ()
    ]
    return {**chunk, "object": "text_completion", "choices": choices}
