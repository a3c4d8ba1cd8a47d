"""What the caller wants: headers and body of a request, read within bounds and checked as far as the gateway needs.

In: the ASGI scope and `receive`. Out: an `Ask`. Beside the dialect's fields there is one of ours, which no provider sees:
"noria": {"variables": {…}, "session": "…", "user": "…", "tags": […]} (`extra_body` in OpenAI's client). The decision to
know: every other field passes through unread, so new fields of a provider work on the day they appear.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noria.core.errors import BadInput, TooLarge
from noria.core.records import Message
from noria.gateway import payload
from noria.gateway.dialects.base import CallerDialect, Json
from noria.gateway.failures import BodyLate, ClientLeft
from noria.gateway.fields import check_own, check_types
from noria.gateway.guard import Receive

_BODY_SECONDS = 60.0
_HEADER_CHARS = 256
_PASSED = ("anthropic-beta", "anthropic-version", "openai-beta")
_LENGTH_DIGITS = 20

Headers = dict[bytes, bytes]


@dataclass(slots=True)  # not frozen: made for every request, and freezing would cost as much as the rest of it
class Ask:
    """One checked request, twice: as the caller said it and as the hub says it."""

    dialect: CallerDialect
    model: str
    body: Json
    """The caller's body without `model`, `stream`, `stream_options` and `noria`."""
    whole: Json
    """The body with the whole conversation, where it continues one that is kept here; else the body."""
    chat: Json
    """The whole as a chat body: `messages` and parameters. `messages` is empty for what is no conversation."""
    stream: bool
    include_usage: bool
    """Whether the caller wants the usage at the end of a stream."""
    stream_options: Json = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    session: str = ""
    user: str = ""
    tags: list[str] = field(default_factory=list)
    row: str = ""
    passed: dict[str, str] = field(default_factory=dict)
    """Headers for a provider that speaks the caller's dialect: versions and betas of its API."""
    size: int = 0
    """Bytes of the body."""
    caller: str = ""
    """Name of the dialect that `body` is in; `dialect` may tell answers in a way of its own."""
    retold: bool = False
    """A guardrail gave other messages, so that `chat` is what is asked, and `body` no longer."""
    original: "Ask | None" = None
    """As the caller said it, where guardrails changed it."""
    cache_control: str = ""
    """The header of this name."""

    @property
    def told(self) -> Json:
        """The caller's body with its model, for those who answer in its dialect."""
        return {**(self.original or self).body, "model": self.model}

    @property
    def messages(self) -> list[Message]:
        messages: list[Message] = self.chat.get("messages") or []
        return messages


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge, BodyLate, ClientLeft."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > _LENGTH_DIGITS or int(declared) > limit):
        raise _too_large(limit)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise BadInput("Compressed request bodies are not accepted.", hint="Send the body as plain JSON.")
    if receive.is_complete:  # as nearly all bodies are, which came in one packet with their head
        return await _whole_body(receive, limit)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _whole_body(receive, limit)
    except TimeoutError as error:
        raise BodyLate(f"The request's body did not arrive within {_BODY_SECONDS:g} seconds.") from error


async def _whole_body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await _next(receive)
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
    return b"".join(parts) if len(parts) > 1 else parts[0]


async def _next(receive: Receive) -> dict[str, Any]:
    message: dict[str, Any] = await receive()
    if message["type"] == "http.disconnect":
        raise ClientLeft("The client left before its request was complete.")
    return message


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request's body is larger than {limit // 1_000_000} MB.",
        hint="Send less, or raise the setting max_body_mb.",
    )


def parse(raw: bytes, dialect: CallerDialect, headers: Headers, continued: Callable[[Json], Json] | None = None) -> Ask:
    """The request in `raw`; `continued` puts the conversation so far before it. Raises BadInput that names the field."""
    body = _object(raw)
    own = body.pop("noria", None)
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise BadInput('"noria" must be an object.')
    check_own(own)
    check_types(body)
    dialect.check(body)
    model = body.pop("model", None)
    if not isinstance(model, str) or not model:
        raise BadInput('"model" must name an endpoint.', hint="GET /v1/models lists what this key can call.")
    stream = body.pop("stream", None)
    if stream not in (None, True, False):
        raise BadInput('"stream" must be true or false.')
    options: Json = {}
    if dialect.usage_on_request:
        options = body.pop("stream_options", None) or {}
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    whole = continued(body) if continued is not None else body
    chat = dialect.to_chat(whole)
    return Ask(
        dialect=dialect,
        model=model,
        body=body,
        whole=whole,
        chat=chat,
        stream=bool(stream),
        include_usage=not dialect.usage_on_request or bool(options.get("include_usage")),
        stream_options=options,
        variables=own.get("variables") or {},
        session=_first_text(header(headers, b"x-noria-session"), own.get("session"), metadata.get("session_id")),
        user=_first_text(header(headers, b"x-noria-user"), own.get("user"), chat.get("user")),
        tags=_tags(header(headers, b"x-noria-tags"), own.get("tags")),
        row=header(headers, b"x-noria-row"),
        passed={name: text for name in _PASSED if (text := header(headers, name.encode()))},
        size=len(raw),
        caller=dialect.name,
        cache_control=header(headers, b"cache-control"),
    )


def header(headers: Headers, name: bytes) -> str:
    """A header as text of bounded length; "" when it was not sent."""
    value = headers.get(name)
    return value.decode("utf-8", "replace")[:_HEADER_CHARS].strip() if value else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = payload.strict(body)
    except ValueError as error:
        raise BadInput(f"The body is not valid JSON: {error}.", code="invalid_json") from error
    if not isinstance(fields, dict):
        raise BadInput("The body must be a JSON object.", code="invalid_json")
    return fields


def _first_text(*values: Any) -> str:
    for value in values:
        if isinstance(value, str) and value:
            return value[:_HEADER_CHARS]
    return ""


def _tags(listed: str, own: Any) -> list[str]:
    tags = [tag.strip() for tag in listed.split(",")] if listed else []
    tags += [tag for tag in own if isinstance(tag, str)] if isinstance(own, list) else []
    return [tag[:_HEADER_CHARS] for tag in tags[:20] if tag]
