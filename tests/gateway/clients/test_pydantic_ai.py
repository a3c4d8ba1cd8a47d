"""What Pydantic AI makes of Noria."""

from tests.gateway.clients.conftest import See


def test_pydantic_ai(see: See) -> None:
    assert see("use_pydantic_ai.py") == {
        "plain": "echo: hello there",
        "streamed": "echo: hello there ",
        "tools": "echo: sunny in city, noon in city",
        "orders": [{"number": 7, "customer": "customer"}] * 2,
    }
