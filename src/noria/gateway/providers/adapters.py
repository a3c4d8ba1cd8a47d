"""The adapters by kind of provider. A new kind is a file here, a row there, and a row in noria.registry.kinds."""

from collections.abc import Mapping
from typing import Final

from noria.gateway.providers.anthropic import Anthropic
from noria.gateway.providers.azure import Azure
from noria.gateway.providers.base import Adapter
from noria.gateway.providers.bedrock import Bedrock
from noria.gateway.providers.gemini import Gemini
from noria.gateway.providers.local import Local
from noria.gateway.providers.openai import OpenAI

ADAPTERS: Final[Mapping[str, Adapter]] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
    "azure": Azure(),
    "local": Local(),
}
