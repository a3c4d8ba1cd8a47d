"""AWS Bedrock's Converse as a dialect that providers speak.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, API_runtime_ConverseStream.html and the
types they name, and the service model of the AWS SDKs, 2023-09-30 (read November 2026). The pieces: request, blocks (content),
terms (stop reasons, counts), answer, reader.
"""

from noria.gateway.dialects.base import Json
from noria.gateway.dialects.converse import answer, request
from noria.gateway.dialects.converse.reader import ConverseReader


class Converse:
    """A ProviderDialect."""

    name = "converse"
    marks: tuple[bytes, ...] = (b"messageStop", b"metadata", b"xception", b"error")

    def from_chat(self, chat: Json) -> Json:
        return request.from_chat(chat)

    def parameters(self, chat: Json) -> Json:
        return request.parameters(chat)

    def to_answer(self, told: Json) -> Json:
        return answer.to_answer(told)

    def reader(self) -> ConverseReader:
        return ConverseReader()
