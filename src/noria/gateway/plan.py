"""The request to a provider: prompt rendered, parameters merged, address and key filled in.

In: an `Ask` and the release that shall answer. Out: a `Plan`. The decision to know: the prompt's format decides which of
the provider's two paths is called, whatever the caller spoke; without a prompt it is the caller's own dialect.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from yarl import URL

from noria.core.errors import BadInput, Unavailable
from noria.core.records import Message
from noria.gateway.ask import Ask
from noria.gateway.catalog import Catalog, Watcher
from noria.gateway.shapes import Dialect
from noria.registry.snapshot import ProviderEntry, ReleaseEntry
from noria.registry.templates import render_prompt

_PATHS: dict[Dialect, str] = {"chat": "/chat/completions", "text": "/completions"}
_NEEDS_CHAT = ("tools", "functions", "tool_choice", "function_call")
_CHAT_ONLY = frozenset({"max_completion_tokens", "response_format", "logprobs", "top_logprobs", "reasoning_effort"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent: `body` is JSON. `dialect` is the provider's; `parameters` are for the span."""

    url: URL
    headers: dict[str, str]
    body: bytes
    dialect: Dialect
    provider: str
    parameters: dict[str, Any]
    key: str
    """The provider's key, only to be cut out of its error texts."""


def make_plan(watcher: Watcher, catalog: Catalog, release: ReleaseEntry, ask: Ask) -> Plan:
    """Raises BadInput (prompt, parameters), Unavailable (engine or key not there)."""
    provider = catalog.snapshot.providers.get(release.provider_id)
    if provider is None:
        raise Unavailable(f"The provider of release {release.number} is gone.", hint="Roll back, or add it again.")
    key = watcher.provider_key(provider)
    base = catalog.engine_url(release) + "/v1" if provider.kind == "local" else provider.base_url
    dialect, content = _content(release, ask)
    parameters = _parameters(release, ask, dialect, provider)
    fields: dict[str, Any] = {**parameters, **content, "model": release.model}
    if ask.stream:
        fields["stream"] = True
    try:
        body = orjson.dumps(fields)
    except TypeError as error:
        raise BadInput("The request is nested too deeply.", code="invalid_json") from error
    return Plan(_url(base.rstrip("/") + _PATHS[dialect]), _headers(key), body, dialect, provider.name, parameters, key)


@lru_cache(maxsize=256)
def _url(text: str) -> URL:
    return URL(text)


@lru_cache(maxsize=256)
def _headers(key: str) -> dict[str, str]:
    fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "noria"}
    return {**fixed, "Authorization": f"Bearer {key}"} if key else fixed


def _content(release: ReleaseEntry, ask: Ask) -> tuple[Dialect, dict[str, Any]]:
    if release.prompt is None:
        return ask.dialect, {"messages": ask.messages} if ask.dialect == "chat" else {"prompt": ask.prompt}
    if not ask.messages:
        raise BadInput("This endpoint has a prompt of its own, so it takes one text.", hint="Send one prompt as text.")
    rendered: str | list[Message] = render_prompt(release.prompt, ask.messages, ask.variables)
    if isinstance(rendered, str):
        return "text", {"prompt": rendered}
    return "chat", {"messages": rendered}


def _parameters(release: ReleaseEntry, ask: Ask, dialect: Dialect, provider: ProviderEntry) -> dict[str, Any]:
    """The release's defaults under the caller's fields, told in the provider's dialect."""
    merged = {**release.parameters, **ask.fields}
    if dialect in {ask.dialect, "chat"}:
        return merged
    for name in _NEEDS_CHAT:
        if merged.get(name):
            raise BadInput(f"{name!r} does not work here: this endpoint's prompt is plain text.")
    if merged.get("max_completion_tokens") is not None:
        merged.setdefault("max_tokens", merged["max_completion_tokens"])
    if (schema := _schema(merged.get("response_format"))) is not None:
        if provider.kind != "local":
            raise BadInput("'response_format' does not work here: this endpoint's prompt is plain text.")
        merged["json_schema"] = schema
    return {name: value for name, value in merged.items() if name not in _CHAT_ONLY}


def _schema(response_format: Any) -> Any:
    """The JSON schema that OpenAI's `response_format` asks for; None when it asks for plain text."""
    if not isinstance(response_format, dict) or response_format.get("type") in (None, "text"):
        return None
    wanted = response_format.get("json_schema")
    return (wanted.get("schema") if isinstance(wanted, dict) else None) or {"type": "object"}
