"""Anthropic's messages, as callers send them and as providers answer them."""

from noria.gateway.dialects.messages.counting import count_request, count_tokens
from noria.gateway.dialects.messages.dialect import COUNT_PATH, PATH, VERSION, Messages, headers
from noria.gateway.dialects.messages.plain import plain

__all__ = ["COUNT_PATH", "PATH", "VERSION", "Messages", "count_request", "count_tokens", "headers", "plain"]
