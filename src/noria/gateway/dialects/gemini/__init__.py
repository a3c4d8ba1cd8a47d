"""Google's generateContent as a dialect that providers speak.

Source: https://ai.google.dev/api/generate-content and the pages on function calling, thinking, thought signatures and
structured output (read November 2026). The pieces: request, terms (finish reasons, counts), answer, reader.
"""

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.gemini import answer, request
from noria.gateway.dialects.gemini.reader import GeminiReader


class Gemini:
    """A ProviderDialect."""

    name = "gemini"
    marks: tuple[bytes, ...] = (b'"finishReason"', b'"usageMetadata"', b'"error"')

    def from_chat(self, chat: Json) -> Json:
        return request.from_chat(chat)

    def parameters(self, chat: Json) -> Json:
        return request.parameters(chat)

    def to_answer(self, told: Json) -> Json:
        return answer.to_answer(told)

    def reader(self) -> GeminiReader:
        return GeminiReader()
