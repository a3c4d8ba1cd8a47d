"""Azure OpenAI: OpenAI's dialects at a resource of one's own; `model` is the name of a deployment.

Two paths: `/openai/v1/…` (option api_version absent, "v1" or "preview") and, with a dated api_version, the older
`/openai/deployments/{deployment}/…?api-version=…`. Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference and
/api-version-lifecycle (read November 2026). The base URL may end in /openai or /openai/v1, as portals show it.
"""

from typing import Final

from yarl import URL

from noria.gateway.providers import base
from noria.gateway.providers.base import Call, Flags
from noria.gateway.providers.openai import PATHS, OpenAI

_ENDINGS: Final = ("/v1", "/openai")
_WITHOUT_DEPLOYMENT: Final = frozenset({"responses"})


class Azure(OpenAI):
    """A resource of Azure OpenAI."""

    flags = Flags(speaks=("chat", "embeddings"), embeddings=True)

    def url(self, call: Call) -> URL:
        root = call.base.rstrip("/")
        for ending in _ENDINGS:
            root = root.removesuffix(ending).rstrip("/")
        version = str(call.provider.options.get("api_version") or "v1")
        path = PATHS[call.dialect]
        if version in ("v1", "preview"):
            query = "?api-version=preview" if version == "preview" else ""
            return base.address(f"{root}/openai/v1{path}{query}")
        if call.dialect not in _WITHOUT_DEPLOYMENT:
            path = f"/deployments/{base.segment(call.model)}{path}"
        return base.address(f"{root}/openai{path}?api-version={version}")

    def headers(self, call: Call, key: str, url: URL, body: bytes) -> dict[str, str]:
        found = base.common_headers(call)
        return {**found, "api-key": key} if key else found
