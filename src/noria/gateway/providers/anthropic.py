"""Anthropic: its own dialect, the key in `x-api-key`, the version of the API in a header.

Source: https://platform.claude.com/docs/en/api/overview and /api/errors (read November 2026). Features in beta are asked for with
the header `anthropic-beta`, which a provider's option `headers` can hold.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from yarl import URL

from noria.gateway.providers import base, openai
from noria.gateway.providers.base import Call, Events, Flags, Refusal
from noria.gateway.providers.events import ServerSentEvents
from noria.registry.snapshot import ProviderEntry

VERSION: Final = "2023-06-01"


class Anthropic:
    """Anthropic's API."""

    flags = Flags(speaks=("messages",), several=False, logprobs=False, seed=False)

    def spoken(self, provider: ProviderEntry) -> tuple[str, ...]:
        return base.spoken(self.flags, provider)

    def url(self, call: Call) -> URL:
        return base.address(call.base.rstrip("/") + openai.PATHS[call.dialect])

    def headers(self, call: Call, key: str, url: URL, body: bytes) -> dict[str, str]:
        version = str(call.provider.options.get("api_version") or VERSION)
        found = {"anthropic-version": version, **base.common_headers(call)}
        return {**found, "x-api-key": key} if key else found

    def body(self, call: Call, fields: dict[str, Any]) -> bytes:
        return base.encoded(openai.with_model(call, fields))

    def events(self, call: Call) -> Events:
        return ServerSentEvents()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """{"type": "error", "error": {"type", "message"}}: the type is all the code there is."""
        said = openai.refusal(status, headers, base.error_json(body))
        return replace(said, code=said.code or said.kind)
