"""What LiteLLM, used as a client, makes of Noria."""

from tests.gateway.clients.conftest import See
from tests.gateway.clients.provider import VECTOR


def test_litellm(see: See) -> None:
    assert see("use_litellm.py") == {
        "plain": "echo: hello there",
        "streamed": "echo: hello there ",
        "call": ["get_weather", '{"city": "city"}'],
        "order": {"number": 7, "customer": "customer"},
        "embeddings": [list(VECTOR)] * 2,
        "failures": [["NotFoundError", 404], ["RateLimitError", 429], ["BadRequestError", 400]],
    }
