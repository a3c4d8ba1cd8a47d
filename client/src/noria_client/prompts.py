"""Prompts of the server, at hand without waiting: a cache, refreshed in the background, and a fallback given in code.

Only the first use of a prompt waits for the server, and for at most `prompt_timeout`; a known one is given at once, however long the
server has been away. A fixed version never changes, so it is fetched once.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx
from opentelemetry import context as otel
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from noria_client import templates
from noria_client.boundary import boundary, once
from noria_client.client import Client, current
from noria_client.configuration import Configuration

Messages = Sequence[Mapping[str, str]]


class PromptUnavailable(Exception):
    """The server has no such prompt or is away, and the code gave no fallback."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt. Format "text" has `template`, format "chat" has `messages`."""

    name: str
    version: int
    """0 for a fallback."""
    format: str
    template: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_fallback(self) -> bool:
        return self.version == 0

    def text(self, **variables: Any) -> str:
        """The rendered text of a text prompt. Raises noria_client.templates.TemplateError for a variable that is missing."""
        return templates.render(self.template, variables)

    def chat(self, given: Sequence[Any] = (), **variables: Any) -> list[Any]:
        """The rendered messages of a chat prompt, with `given` in the place that it keeps for the caller's."""
        return templates.render_messages(self.messages, given, variables)

    def attributes(self) -> dict[str, Any]:
        """For a step that uses it: `generation(…, **prompt.attributes())`."""
        return {"gen_ai.prompt.name": self.name, "gen_ai.prompt.version": self.version}


@dataclass(slots=True)
class _Known:
    prompt: Prompt
    at: float


class _Cache:
    """Prompts by configuration and reference; one refresh of each at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: dict[tuple[str, str, str], _Known] = {}
        self.failed: dict[tuple[str, str, str], float] = {}
        self.refreshing: set[tuple[str, str, str]] = set()


_cache: Final = _Cache()
_AGAIN_SECONDS: Final = 5.0
"""After a failure the server is not waited for again for so long."""


def prompt(
    name: str, *, label: str = "production", version: int | None = None, fallback: str | Messages | None = None
) -> Prompt:
    """The version that `label` names, or the one of this number. Raises PromptUnavailable when there is no fallback either."""
    client = current()
    if client is None:
        return _or_fallback(name, fallback, "no server is configured")
    configuration = client.configuration
    reference = f"{quote(name, safe='')}/versions/{quote(str(version) if version is not None else label, safe='')}"
    key = (configuration.url, configuration.key, reference)
    known, now = _cache.known.get(key), time.monotonic()
    if known is not None:
        if version is None and now - known.at > configuration.prompt_seconds:
            _refresh(client, key)
        return known.prompt
    if now < _cache.failed.get(key, 0.0):
        return _or_fallback(name, fallback, "the server did not give it a moment ago")
    try:
        found = _fetch(configuration, reference)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        _cache.failed[key] = now + _AGAIN_SECONDS
        return _or_fallback(name, fallback, _reason(error))
    _cache.known[key] = _Known(found, now)
    return found


def _refresh(client: Client, key: tuple[str, str, str]) -> None:
    with _cache.lock:
        if key in _cache.refreshing:
            return
        _cache.refreshing.add(key)

    def run() -> None:
        try:
            with boundary("Refreshing a prompt"):
                found = _fetch(client.configuration, key[2])
                _cache.known[key] = _Known(found, time.monotonic())
                return
            _cache.known[key].at = time.monotonic()  # not again at each use while the server is away
        finally:
            _cache.refreshing.discard(key)

    threading.Thread(target=run, name="noria-client-prompt", daemon=True).start()


def _fetch(configuration: Configuration, reference: str) -> Prompt:
    token = otel.attach(otel.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        answer = httpx.get(
            f"{configuration.url}/api/prompts/{reference}",
            headers={"authorization": f"Bearer {configuration.key}"},
            timeout=configuration.prompt_timeout,
        )
    finally:
        otel.detach(token)
    said = answer.raise_for_status().json()
    return Prompt(
        name=str(said["prompt"]),
        version=int(said["version"]),
        format=str(said["format"]),
        template=str(said.get("template") or ""),
        messages=[dict(message) for message in said.get("messages") or []],
    )


def _or_fallback(name: str, fallback: str | Messages | None, why: str) -> Prompt:
    if fallback is None:
        raise PromptUnavailable(f"The prompt {name!r} is not available ({why}) and the code gives no fallback.")
    once(f"The prompt {name!r} is not available ({why}): the fallback in the code is used")
    if isinstance(fallback, str):
        return Prompt(name, 0, "text", fallback)
    return Prompt(name, 0, "chat", messages=[dict(message) for message in fallback])


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answers {error.response.status_code}"
    return f"the server is not reached: {type(error).__name__}"
