"""The request to a provider: prompt rendered, parameters merged, address and key filled in.

In: an `Ask` and the release that shall answer. Out: a `Plan`. The decision to know: without a prompt of the release's own, a
request whose dialect the provider speaks goes out as the caller wrote it; else it is told in the provider's, by way
of the hub. A prompt of format text asks the provider to continue a text, whatever the caller spoke.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from yarl import URL

from noria.core.errors import BadInput, Unavailable
from noria.core.records import Message
from noria.gateway.ask import Ask
from noria.gateway.catalog import Catalog, Watcher
from noria.gateway.dialects import messages
from noria.gateway.dialects.base import Json, ProviderDialect
from noria.gateway.dialects.chat import CHAT
from noria.gateway.dialects.converse import Converse
from noria.gateway.dialects.embeddings import Embeddings
from noria.gateway.dialects.gemini import Gemini
from noria.gateway.dialects.responses import Responses
from noria.gateway.dialects.responses.ids import unwrapped
from noria.gateway.dialects.text import TEXT
from noria.gateway.providers.adapters import ADAPTERS
from noria.gateway.providers.base import Adapter, Call
from noria.gateway.response_store import portable
from noria.registry.snapshot import ProviderEntry, ProviderKeyEntry, ReleaseEntry
from noria.registry.templates import render_prompt

_DIALECTS: Final[dict[str, ProviderDialect]] = {
    dialect.name: dialect
    for dialect in (CHAT, TEXT, messages.Messages(), Responses(), Embeddings(), Gemini(), Converse())
}
_CONVERSES: Final = ("chat", "messages", "responses", "gemini", "converse")
"""Dialects that the hub can be told in."""


class Listener(Protocol):
    """What hears a provider's answer as it came (noria.gateway.tape)."""

    def began(self, status: int, headers: Mapping[str, str]) -> None: ...

    def add(self, piece: bytes) -> None: ...

    def finish(self, *, complete: bool = True) -> None:
        """Nothing more will come; what is said after the first time counts for nothing."""
        ...


@dataclass(slots=True)  # not frozen: made for every request, and freezing would cost as much as the rest of it
class Plan:
    """What is sent. `dialect` is the provider's; `parameters` are for the span, in the hub's words."""

    url: URL
    headers: dict[str, str]
    body: bytes
    dialect: ProviderDialect
    adapter: Adapter
    to: Call
    parameters: Json
    key: str
    """The provider's key, only to be cut out of its error texts."""
    release: str = ""
    """"assistant@2"."""
    left_out: tuple[str, ...] = ()
    """Fields of the caller that this provider would refuse and that change no answer."""
    connect_seconds: float = 0.0
    """To connect within; 0: the installation's setting."""
    tape: Listener | None = None
    """Hears what is answered, while the endpoint is recorded."""

    @property
    def provider(self) -> str:
        return self.to.provider.name


def make_plan(
    watcher: Watcher, catalog: Catalog, release: ReleaseEntry, ask: Ask, chosen: ProviderKeyEntry | None
) -> Plan:
    """Raises BadInput (prompt, parameters), Unavailable (engine or key not there)."""
    provider = catalog.snapshot.providers.get(release.provider_id)
    if provider is None:
        raise Unavailable(f"The provider of release {release.number} is gone.", hint="Roll back, or add it again.")
    adapter = ADAPTERS[provider.kind]
    key = watcher.provider_key(provider, chosen)
    base = catalog.engine_url(release) + "/v1" if provider.kind == "local" else provider.base_url
    dialect, fields, parameters = _told(release, ask, provider, adapter.spoken(provider))
    left_out: list[str] = []
    if dialect is CHAT and ask.caller == "messages" and provider.kind != "local":
        fields, left_out = _plain(fields, provider)
    to = Call(provider, base, release.model, dialect.name, ask.stream)
    body = adapter.body(to, fields)
    url = adapter.url(to)
    name = f"{ask.model.rpartition('@')[0] or ask.model}@{release.number}"
    headers = adapter.headers(to, key, url, body)
    if dialect.name == ask.caller:
        headers = {**headers, **ask.passed}
    return Plan(url, headers, body, dialect, adapter, to, parameters, key, name, tuple(left_out))


def _told(
    release: ReleaseEntry, ask: Ask, provider: ProviderEntry, spoken: tuple[str, ...]
) -> tuple[ProviderDialect, Json, Json]:
    """The provider's dialect, the request in it, and its parameters in the hub's words; the caller's win over the release's."""
    parameters = {**release.parameters, **ask.chat}
    if release.prompt is None:
        if not ask.retold and ask.caller in spoken and (dialect := _DIALECTS.get(ask.caller)) is not None:
            return dialect, {**dialect.parameters(release.parameters), **_passed_on(ask), **_options(ask)}, parameters
        if not ask.messages:
            raise BadInput(
                f"The provider {provider.name!r} takes no {ask.dialect.span_name}.", hint="Call another endpoint."
            )
        dialect = _conversing(spoken, provider)
        return dialect, dialect.from_chat(parameters), parameters
    if not ask.messages:
        raise BadInput("This endpoint has a prompt of its own, so it takes one text.", hint="Send one prompt as text.")
    rendered: str | list[Message] = render_prompt(release.prompt, ask.messages, ask.variables)
    if isinstance(rendered, str):
        if "text" not in spoken:
            raise BadInput(
                f"The provider {provider.name!r} continues no texts, and this endpoint's prompt is one.",
                hint="Write the prompt in the format chat.",
            )
        content = {**_with_schema(parameters, provider), "prompt": rendered}
        return TEXT, TEXT.from_chat(content), parameters
    dialect = _conversing(spoken, provider)
    return dialect, dialect.from_chat({**parameters, "messages": rendered}), parameters


def make_kept_plan(watcher: Watcher, catalog: Catalog, release: ReleaseEntry, response_id: str) -> Plan | None:
    """The question for a response that a provider keeps; None when the release's provider keeps none."""
    provider = catalog.snapshot.providers.get(release.provider_id)
    if provider is None or "responses" not in ADAPTERS[provider.kind].spoken(provider):
        return None
    adapter = ADAPTERS[provider.kind]
    key = watcher.provider_key(provider)
    to = Call(provider, provider.base_url, release.model, "responses", False)
    url = adapter.url(to) / response_id
    return Plan(url, adapter.headers(to, key, url, b""), b"", _DIALECTS["responses"], adapter, to, {}, key)


def _passed_on(ask: Ask) -> Json:
    """The body for a provider that speaks as the caller does; what it continues is told in that provider's terms."""
    if ask.caller != "responses" or ask.body.get("previous_response_id") is None:
        return ask.body
    if ask.whole is ask.body:
        return unwrapped(ask.body)[0]
    told = {name: value for name, value in ask.whole.items() if name != "previous_response_id"}
    return {**told, "input": portable(told["input"])}


def make_count_plan(watcher: Watcher, catalog: Catalog, release: ReleaseEntry, ask: Ask) -> Plan | None:
    """The question how many tokens a request is; None when the release's provider cannot answer it."""
    provider = catalog.snapshot.providers.get(release.provider_id)
    if provider is None or release.prompt is not None:
        return None
    adapter = ADAPTERS[provider.kind]
    if provider.kind != "local" and "messages" not in adapter.spoken(provider):
        return None
    key = watcher.provider_key(provider)
    base = catalog.engine_url(release) + "/v1" if provider.kind == "local" else provider.base_url
    to = Call(provider, base, release.model, "messages", False)
    url = adapter.url(to) / "count_tokens"
    body = adapter.body(to, messages.count_request(ask.body))
    return Plan(url, adapter.headers(to, key, url, body), body, _DIALECTS["messages"], adapter, to, {}, key)


def _plain(chat: Json, provider: ProviderEntry) -> tuple[Json, list[str]]:
    """Without the words that only Anthropic's dialect has, which OpenAI and its kin refuse, and which those were."""
    told, left_out = messages.plain(chat)
    if "max_tokens" in told and (provider.kind == "azure" or "//api.openai.com/" in provider.base_url):
        told["max_completion_tokens"] = told.pop("max_tokens")  # models that reason take no other name
    return told, left_out


def _options(ask: Ask) -> Json:
    return {"stream_options": ask.stream_options} if ask.stream and ask.stream_options else {}


def _conversing(spoken: tuple[str, ...], provider: ProviderEntry) -> ProviderDialect:
    for name in spoken:
        if name in _CONVERSES and name in _DIALECTS:
            return _DIALECTS[name]
    raise BadInput(
        f"The provider {provider.name!r} holds no conversations.", hint="Give the endpoint a prompt of format text."
    )


def _with_schema(chat: Json, provider: ProviderEntry) -> Json:
    """`response_format` as the grammar that local engines take beside a text prompt."""
    rest = {name: value for name, value in chat.items() if name != "response_format"}
    if (schema := _schema(chat.get("response_format"))) is None:
        return rest
    if provider.kind != "local":
        raise BadInput("'response_format' does not work here: this endpoint's prompt is plain text.")
    return {**rest, "json_schema": schema}


def _schema(response_format: Any) -> Any:
    """The JSON schema that OpenAI's `response_format` asks for; None when it asks for plain text."""
    if not isinstance(response_format, dict) or response_format.get("type") in (None, "text"):
        return None
    wanted = response_format.get("json_schema")
    return (wanted.get("schema") if isinstance(wanted, dict) else None) or {"type": "object"}
