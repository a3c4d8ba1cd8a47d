"""Engines of this installation: llama.cpp's server on loopback, which speaks as OpenAI does and wants no key.

`Call.base` is the address of the release's engine with /v1, not the provider's, which has none.
"""

from noria.gateway.providers.base import Flags
from noria.gateway.providers.openai import OpenAI


class Local(OpenAI):
    """llama.cpp's server."""

    flags = Flags(speaks=("chat", "text"))
