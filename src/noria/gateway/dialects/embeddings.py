"""Embeddings: checks of a request, and vectors in the encoding that the caller asked for.

In: a request of /v1/embeddings; a provider's parsed answer. Out: BadInput for the one; for the other the same answer with
vectors as lists of numbers or as base64 of little-endian 32-bit floats. The decision to know: OpenAI's own clients ask for
base64 without telling their user, and many servers send lists whatever was asked, so what came is converted to what was
wanted; what came as wanted passes on untouched.
"""

import base64
import binascii
import math
import sys
from array import array
from typing import Any, Literal

from noria.core.errors import BadInput, NoriaError, ProviderFailed
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.chat import CHAT, ChatReader, ChatWriter

Encoding = Literal["float", "base64"]
_MOST_INPUTS = 2048
_SIZE = 4


def check(body: Json) -> None:
    """Raises BadInput that names the field. Limits of a model (tokens, dimensions) are its provider's to tell."""
    _check_input(body.get("input"))
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise BadInput('"encoding_format" must be "float" or "base64".')
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise BadInput('"dimensions" must be a whole number of at least 1.')
    if body.get("user") is not None and not isinstance(body["user"], str):
        raise BadInput('"user" must be text.')


def encoding(body: Json) -> Encoding:
    """The encoding that a checked request asks for."""
    return "base64" if body.get("encoding_format") == "base64" else "float"


def inputs(body: Json) -> list[str | list[int]]:
    """What is embedded, one entry a vector: texts, or token ids."""
    asked = body["input"]
    if isinstance(asked, str) or (asked and type(asked[0]) is int):
        return [asked]
    return list(asked)


def answer(told: Json, body: Json) -> Json:
    """A provider's answer as the request asked for it. Raises ProviderFailed when it is none, or holds too few vectors."""
    data = told.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ProviderFailed("The provider's answer holds no list of embeddings.")
    wanted = len(inputs(body))
    if len(data) != wanted:
        raise ProviderFailed(f"The provider sent {len(data)} embeddings for {wanted} inputs.")
    convert = _base64 if encoding(body) == "base64" else _floats
    items = [
        {**item, "object": "embedding", "index": _index(item, place), "embedding": convert(item.get("embedding"))}
        for place, item in enumerate(data)
    ]
    usage = told.get("usage")
    kept = {name: value for name, value in told.items() if name not in ("object", "data", "usage")}
    model = kept.get("model")
    kept["model"] = model if isinstance(model, str) else str(body.get("model") or "")
    counted = {"usage": _usage(usage)} if isinstance(usage, dict) else {}
    return {**kept, "object": "list", "data": items, **counted}


def _check_input(asked: Any) -> None:
    if isinstance(asked, str):
        if not asked:
            raise BadInput('"input" must not be empty.')
        return
    if not isinstance(asked, list) or not asked:
        raise BadInput('"input" must be text, a list of texts, token ids, or a list of lists of token ids.')
    if type(asked[0]) is int:
        _check_tokens(asked, "input")
        return
    if len(asked) > _MOST_INPUTS:
        raise BadInput(f'"input" holds {len(asked)} entries; at most {_MOST_INPUTS} are allowed.')
    texts = isinstance(asked[0], str)
    for index, entry in enumerate(asked):
        if texts and (not isinstance(entry, str) or not entry):
            raise BadInput(f'"input[{index}]" must be text that is not empty.')
        if not texts:
            _check_tokens(entry, f"input[{index}]")


def _check_tokens(tokens: Any, field: str) -> None:
    if not isinstance(tokens, list) or not tokens:
        raise BadInput(f'"{field}" must be text or a list of token ids.')
    if not all(type(token) is int and token >= 0 for token in tokens):
        raise BadInput(f'"{field}" must hold whole numbers of at least 0.')


def _index(item: Json, place: int) -> int:
    index = item.get("index")
    return index if type(index) is int and index >= 0 else place


def _floats(vector: Any) -> list[float]:
    """Numbers, from numbers or base64."""
    if isinstance(vector, list):
        _array(vector)
        return vector
    numbers = array("f")
    try:
        numbers.frombytes(base64.b64decode(_base64(vector)))
    except ValueError as error:
        raise ProviderFailed("The provider sent an embedding of broken base64.") from error
    _swap(numbers)
    _finite(numbers)
    return numbers.tolist()


def _base64(vector: Any) -> str:
    """Base64, from numbers or base64."""
    if isinstance(vector, str):
        try:
            size = len(base64.b64decode(vector, validate=True))
        except (binascii.Error, ValueError) as error:
            raise ProviderFailed("The provider sent an embedding of broken base64.") from error
        if size % _SIZE:
            raise ProviderFailed("The provider sent an embedding that is not made of 32-bit floats.")
        return vector
    if not isinstance(vector, list):
        raise ProviderFailed("The provider sent an embedding that is neither numbers nor base64.")
    numbers = _array(vector)
    _swap(numbers)
    return base64.b64encode(numbers.tobytes()).decode()


def _array(vector: list[Any]) -> "array[float]":
    try:
        numbers = array("f", vector)
    except (TypeError, OverflowError) as error:
        raise ProviderFailed("The provider sent an embedding that does not hold 32-bit floats.") from error
    _finite(numbers)
    return numbers


def _finite(numbers: "array[float]") -> None:
    if not all(map(math.isfinite, numbers)):
        raise ProviderFailed("The provider sent an embedding that is not finite.")


def _swap(numbers: "array[float]") -> None:
    """The wire is little-endian."""
    if sys.byteorder == "big":
        numbers.byteswap()


def _usage(usage: Json) -> Json:
    """Counts; what is none is 0. An answer without usage stays without: nothing is guessed."""
    took = usage.get("prompt_tokens")
    took = took if type(took) is int and took > 0 else 0
    total = usage.get("total_tokens")
    return {**usage, "prompt_tokens": took, "total_tokens": total if type(total) is int and total > 0 else took}


class Embeddings:
    """CallerDialect and ProviderDialect of /v1/embeddings: no conversation, so the hub knows only its usage."""

    name = "embeddings"
    span_name = "embeddings"
    usage_on_request = False
    closing = b""
    request_id_header = b"x-request-id"
    marks = CHAT.marks

    def check(self, body: Json) -> None:
        if body.get("stream"):
            raise BadInput("Embeddings are not streamed.")
        check(body)

    def to_chat(self, body: Json) -> Json:
        """Without `messages`; parameters and the number of inputs, for the span."""
        return {**{k: v for k, v in body.items() if k != "input"}, "inputs": len(inputs(body))}

    def answer(self, chat: Json, body: Json) -> Json:
        return answer({name: value for name, value in chat.items() if name != "choices"}, body)

    def writer(self, body: Json, *, include_usage: bool) -> ChatWriter:
        return ChatWriter(include_usage)

    def error(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_body(error)

    def error_event(self, error: NoriaError, request_id: str = "") -> bytes:
        return openai.error_event(error)

    def from_chat(self, chat: Json) -> Json:
        raise BadInput("This provider only embeds; it holds no conversations.")

    def parameters(self, chat: Json) -> Json:
        return chat

    def to_answer(self, answer: Json) -> Json:
        if not isinstance(answer.get("data"), list):
            raise ProviderFailed("The provider's answer holds no list of embeddings.")
        return {**answer, "choices": []}

    def reader(self) -> ChatReader:
        return ChatReader()
