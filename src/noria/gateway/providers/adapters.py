"""The adapters by kind of provider. A new kind is a file here, a row there, and a row in noria.registry.kinds."""

from collections.abc import Mapping
from typing import Final

from noria.gateway.providers.base import Adapter
from noria.gateway.providers.local import Local
from noria.gateway.providers.openai import OpenAI

ADAPTERS: Final[Mapping[str, Adapter]] = {"openai": OpenAI(), "local": Local()}
