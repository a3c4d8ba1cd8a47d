"""Embeddings: what a caller may ask, and vectors in the encoding that was asked for."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from noria.core.errors import BadInput, ProviderFailed
from noria.gateway.dialects import embeddings

VECTOR = [0.5, -1.25, 3.0]
ENCODED = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()

INFINITE = base64.b64encode(struct.pack("<2f", 1.0, float("inf"))).decode()


def told(*vectors: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return {"object": "list", "model": "e", "data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}}


@pytest.mark.parametrize("asked", ["text", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
def test_what_may_be_asked(asked: Any) -> None:
    embeddings.check({"model": "e", "input": asked, "encoding_format": "base64", "dimensions": 256, "user": "u"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [1, -2]}, "input"),
        ({"input": [1, True]}, "input"),
        ({"input": [True]}, "input[0]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [[1], "a"]}, "input[1]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": 1.5}, "dimensions"),
        ({"input": "a", "user": 3}, "user"),
    ],
)
def test_what_may_not_be_asked_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        embeddings.check(body)
    assert f'"{field}"' in caught.value.message


@pytest.mark.parametrize("came", [VECTOR, ENCODED])
def test_vectors_come_as_they_were_asked_for(came: Any) -> None:
    floats = embeddings.answer(told(came), {"input": "a"})
    CreateEmbeddingResponse.model_validate(floats)
    assert floats["data"][0]["embedding"] == VECTOR
    encoded = embeddings.answer(told(came), {"input": "a", "encoding_format": "base64"})
    assert encoded["data"][0]["embedding"] == ENCODED
    assert encoded["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_what_a_careless_server_leaves_out_is_put_in_except_counts() -> None:
    answer = embeddings.answer(
        {"data": [{"embedding": VECTOR}, {"embedding": VECTOR}]}, {"input": ["a", "b"], "model": "m"}
    )
    assert (answer["object"], answer["model"], [item["index"] for item in answer["data"]]) == ("list", "m", [0, 1])
    assert "usage" not in answer


BROKEN: list[Any] = [None, 5, "%%%", "AAA=", [1, "x"], [None], [1e40], [float("nan")], [10**400], {"a": 1}]


@pytest.mark.parametrize("vector", BROKEN)
@pytest.mark.parametrize("wanted", ["float", "base64"])
def test_broken_vectors_are_a_failure_of_the_provider(vector: Any, wanted: str) -> None:
    with pytest.raises(ProviderFailed):
        embeddings.answer(told(vector), {"input": "a", "encoding_format": wanted})


def test_what_json_cannot_say_is_a_failure_of_the_provider() -> None:
    with pytest.raises(ProviderFailed, match="not finite"):
        embeddings.answer(told(INFINITE), {"input": "a"})


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": ["x"]}, told(), told(VECTOR, VECTOR)])
def test_too_few_or_no_vectors_are_a_failure_of_the_provider(answer: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed):
        embeddings.answer(answer, {"input": "a"})


def test_inputs() -> None:
    assert embeddings.inputs({"input": "a"}) == ["a"]
    assert embeddings.inputs({"input": [1, 2]}) == [[1, 2]]
    assert embeddings.inputs({"input": [[1], [2]]}) == [[1], [2]]
    assert embeddings.inputs({"input": ["a", "b"]}) == ["a", "b"]


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_vectors_survive_both_encodings(vector: list[float]) -> None:
    encoded = embeddings.answer(told(vector), {"input": "a", "encoding_format": "base64"})
    assert embeddings.answer(encoded, {"input": "a"})["data"][0]["embedding"] == vector
