"""What the caller wants: headers and body of a request, read within bounds and checked as far as the gateway needs.

In: the ASGI scope and `receive`. Out: an `Ask`. Beside OpenAI's fields there is one of ours, which no provider sees:
"noria": {"variables": {…}, "session": "…", "user": "…", "tags": […]} (`extra_body` in OpenAI's client). The decision to
know: every other field passes through unread, so new fields of a provider work on the day they appear.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from noria.core.errors import BadInput, TooLarge
from noria.core.records import Message
from noria.gateway import payload
from noria.gateway.failures import BodyLate, ClientLeft
from noria.gateway.fields import check_types
from noria.gateway.guard import Receive
from noria.gateway.shapes import Dialect

_BODY_SECONDS = 60.0
_HEADER_CHARS = 256
_LENGTH_DIGITS = 20

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Ask:
    """One checked request. `fields` is the body without what the gateway itself replaces or consumes."""

    dialect: Dialect
    model: str
    messages: list[Message]
    """The caller's messages; for a text request, its prompt as one user message."""
    prompt: Any
    """The `prompt` of a text request as it came; None in chat."""
    stream: bool
    include_usage: bool
    fields: dict[str, Any]
    variables: dict[str, Any] = field(default_factory=dict)
    session: str = ""
    user: str = ""
    tags: list[str] = field(default_factory=list)
    row: str = ""
    size: int = 0
    """Bytes of the body."""


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge, BodyLate, ClientLeft."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > _LENGTH_DIGITS or int(declared) > limit):
        raise _too_large(limit)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise BadInput("Compressed request bodies are not accepted.", hint="Send the body as plain JSON.")
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


def parse(body: bytes, dialect: Dialect, headers: Headers) -> Ask:
    """The request in `body`. Raises BadInput that says which field is wrong."""
    fields = _object(body)
    own = fields.pop("noria", None) or {}
    if not isinstance(own, dict):
        raise BadInput('"noria" must be an object.')
    check_types(fields)
    messages: Any = None
    prompt: Any = None
    if dialect == "chat":
        messages = _messages(fields.pop("messages", None))
    else:
        prompt = fields.pop("prompt", None)
        messages = _prompt_as_messages(prompt)
    model = fields.pop("model", None)
    if not isinstance(model, str) or not model:
        raise BadInput('"model" must name an endpoint.', hint="GET /v1/models lists what this key can call.")
    options = fields.pop("stream_options", None) or {}
    if not isinstance(options, dict):
        raise BadInput('"stream_options" must be an object.')
    stream = fields.pop("stream", None)
    if stream not in (None, True, False):
        raise BadInput('"stream" must be true or false.')
    if stream:
        fields["stream_options"] = {**options, "include_usage": True}
    metadata = fields.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Ask(
        dialect=dialect,
        model=model,
        messages=messages,
        prompt=prompt,
        stream=bool(stream),
        include_usage=bool(options.get("include_usage")),
        fields=fields,
        variables=_variables(own.get("variables")),
        session=_first_text(header(headers, b"x-noria-session"), own.get("session"), metadata.get("session_id")),
        user=_first_text(header(headers, b"x-noria-user"), own.get("user"), fields.get("user")),
        tags=_tags(header(headers, b"x-noria-tags"), own.get("tags")),
        row=header(headers, b"x-noria-row"),
        size=len(body),
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


def _messages(messages: Any) -> list[Message]:
    if not isinstance(messages, list) or not messages:
        raise BadInput('"messages" must be a list with at least one message.')
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadInput(f'"messages[{index}]" must be an object with a "role".')
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise BadInput(f'"messages[{index}].content" must be text or a list of parts.')
    return messages


def _prompt_as_messages(prompt: Any) -> list[Message]:
    """A lone text becomes a message; several prompts or token ids can only be passed through."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if isinstance(prompt, list) and prompt:
        return []
    raise BadInput('"prompt" must be text or a list.')


def _variables(variables: Any) -> dict[str, Any]:
    if variables is None:
        return {}
    if not isinstance(variables, dict):
        raise BadInput('"noria.variables" must be an object.')
    return variables


def _first_text(*values: Any) -> str:
    for value in values:
        if isinstance(value, str) and value:
            return value[:_HEADER_CHARS]
    return ""


def _tags(listed: str, own: Any) -> list[str]:
    tags = [tag.strip() for tag in listed.split(",")] if listed else []
    tags += [tag for tag in own if isinstance(tag, str)] if isinstance(own, list) else []
    return [tag[:_HEADER_CHARS] for tag in tags[:20] if tag]
