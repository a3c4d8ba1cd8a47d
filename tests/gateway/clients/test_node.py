"""What the clients for Node make of Noria."""

from tests.gateway.clients.conftest import See

ORDER = {"number": 7, "customer": "customer"}


def test_openai_for_node(see_node: See) -> None:
    assert see_node("openai.mjs") == {
        "plain": "echo: hello there",
        "streamed": "echo: hello there ",
        "tools": "echo: sunny in city",
        "order": ORDER,
        "failed": "model_not_found",
    }


def test_ai_sdk(see_node: See) -> None:
    assert see_node("ai_sdk.mjs") == {
        "plain": "echo: hello there",
        "streamed": "echo: hello there ",
        "tools": "echo: sunny in city",
        "order": ORDER,
    }
