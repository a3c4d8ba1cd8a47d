"""What clients make of Noria's embeddings; OpenAI's asks for base64 and gives floats."""

from tests.gateway.clients.conftest import See
from tests.gateway.clients.provider import VECTOR


def test_embeddings(see: See) -> None:
    vector = list(VECTOR)
    assert see("use_embeddings.py") == {
        "plain": vector,
        "several": [vector] * 3,
        "tokens": 15,
        "token ids": [vector[:2]] * 2,
        "langchain": [vector] * 2,
    }
