"""OpenAI's Responses, as callers send them and as providers answer them."""

from noria.gateway.dialects.responses.dialect import Responses

__all__ = ["Responses"]
