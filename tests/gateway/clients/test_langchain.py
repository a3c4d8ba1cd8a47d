"""What LangChain makes of Noria."""

from tests.gateway.clients.conftest import See


def test_langchain(see: See) -> None:
    assert see("use_langchain.py") == {
        "plain": "echo: hello there",
        "tokens": 10,
        "streamed": "echo: hello there ",
        "streamed_tokens": 10,
        "tools": "echo: sunny in city",
        "orders": [{"number": 7, "customer": "customer"}] * 2,
    }
