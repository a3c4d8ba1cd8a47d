"""The request to a provider: prompt rendered, parameters merged, address and key filled in.

In: an `Ask` and the release that shall answer. Out: a `Plan`. The decision to know: without a prompt of the release's own, a
request whose dialect the provider speaks goes out as the caller wrote it; else it is told in the provider's, by way
of the hub. A prompt of format text asks the provider to continue a text, whatever the caller spoke.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from yarl import URL

from noria.core.errors import BadInput, Unavailable
from noria.core.records import Message
from noria.gateway.ask import Ask
from noria.gateway.catalog import Catalog, Watcher
from noria.gateway.dialects.base import Json, ProviderDialect
from noria.gateway.dialects.chat import CHAT
from noria.gateway.dialects.text import TEXT
from noria.registry.snapshot import ProviderEntry, ReleaseEntry
from noria.registry.templates import render_prompt

_PATHS: Final = {"chat": "/chat/completions", "text": "/completions"}
_SPOKEN: Final[dict[str, ProviderDialect]] = {dialect.name: dialect for dialect in (CHAT, TEXT)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent: `body` is JSON. `dialect` is the provider's; `parameters` are for the span, in the hub's words."""

    url: URL
    headers: dict[str, str]
    body: bytes
    dialect: ProviderDialect
    provider: str
    parameters: Json
    key: str
    """The provider's key, only to be cut out of its error texts."""


def make_plan(watcher: Watcher, catalog: Catalog, release: ReleaseEntry, ask: Ask) -> Plan:
    """Raises BadInput (prompt, parameters), Unavailable (engine or key not there)."""
    provider = catalog.snapshot.providers.get(release.provider_id)
    if provider is None:
        raise Unavailable(f"The provider of release {release.number} is gone.", hint="Roll back, or add it again.")
    key = watcher.provider_key(provider)
    base = catalog.engine_url(release) + "/v1" if provider.kind == "local" else provider.base_url
    dialect, fields, parameters = _told(release, ask, provider)
    fields["model"] = release.model
    if ask.stream:
        fields["stream"] = True
        if dialect.name in _PATHS:
            fields["stream_options"] = {**ask.stream_options, "include_usage": True}
    try:
        body = orjson.dumps(fields)
    except TypeError as error:
        raise BadInput("The request is nested too deeply.", code="invalid_json") from error
    url = _url(base.rstrip("/") + _PATHS[dialect.name])
    return Plan(url, _headers(key), body, dialect, provider.name, parameters, key)


@lru_cache(maxsize=256)
def _url(text: str) -> URL:
    return URL(text)


@lru_cache(maxsize=256)
def _headers(key: str) -> dict[str, str]:
    fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "noria"}
    return {**fixed, "Authorization": f"Bearer {key}"} if key else fixed


def _told(release: ReleaseEntry, ask: Ask, provider: ProviderEntry) -> tuple[ProviderDialect, Json, Json]:
    """The provider's dialect, the request in it, and its parameters in the hub's words; the caller's win over the release's."""
    parameters = {**release.parameters, **ask.chat}
    if release.prompt is None:
        if (dialect := _SPOKEN.get(ask.spoken)) is not None:
            return dialect, {**dialect.parameters(release.parameters), **ask.body}, parameters
        return CHAT, CHAT.from_chat(parameters), parameters
    if not ask.messages:
        raise BadInput("This endpoint has a prompt of its own, so it takes one text.", hint="Send one prompt as text.")
    rendered: str | list[Message] = render_prompt(release.prompt, ask.messages, ask.variables)
    if isinstance(rendered, str):
        content = {**_with_schema(parameters, provider), "prompt": rendered}
        return TEXT, TEXT.from_chat(content), parameters
    return CHAT, CHAT.from_chat({**parameters, "messages": rendered}), parameters


def _with_schema(chat: Json, provider: ProviderEntry) -> Json:
    """`response_format` as the grammar that local engines take beside a text prompt."""
    if (schema := _schema(chat.get("response_format"))) is None:
        return {name: value for name, value in chat.items() if name != "response_format"}
    if provider.kind != "local":
        raise BadInput("'response_format' does not work here: this endpoint's prompt is plain text.")
    return {**{name: value for name, value in chat.items() if name != "response_format"}, "json_schema": schema}


def _schema(response_format: Any) -> Any:
    """The JSON schema that OpenAI's `response_format` asks for; None when it asks for plain text."""
    if not isinstance(response_format, dict) or response_format.get("type") in (None, "text"):
        return None
    wanted = response_format.get("json_schema")
    return (wanted.get("schema") if isinstance(wanted, dict) else None) or {"type": "object"}
