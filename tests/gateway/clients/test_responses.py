"""What clients of the Responses API make of Noria, whose provider here speaks chat completions."""

from tests.gateway.clients.conftest import See

CALLS = [["get_weather", '{"city": "city"}'], ["get_time", '{"city": "city"}']]


def test_everything_clients_do_with_responses(see: See) -> None:
    seen = see("use_responses.py")
    assert seen["plain"] == seen["asynchronous"] == "echo: hello there"
    kinds = set(seen["streamed"].pop("kinds"))
    assert {"response.function_call_arguments.delta", "response.output_item.done", "response.completed"} <= kinds
    assert seen["streamed"] == {
        "text": "echo: hello there ",
        "first": "response.created",
        "last": "response.completed",
        "counted": True,
        "calls": CALLS,
    }
    assert seen["tools"] == {"calls": 2, "answers": ["echo: get_weather ok, get_time ok"] * 2}
    assert seen["kept"] == ["echo: hello there", "gone"]
    assert seen["parsed"] == {"number": 7, "customer": "customer"}
    assert seen["frameworks"] == {
        "langchain": "echo: hello there",
        "langchain streamed": "echo: hello there ",
        "pydantic-ai": "echo: sunny in city",
    }
    assert seen["failures"] == {
        "unknown model": ["NotFoundError", "model_not_found"],
        "bad request": ["BadRequestError", "bad_input"],
        "provider 429": ["RateLimitError", "no_code"],
        "in mid-stream": ["APIError"],
    }


def test_ai_sdk_in_its_default_dialect(see_node: See) -> None:
    assert see_node("responses.mjs") == {
        "plain": "echo: hello there",
        "streamed": "echo: hello there ",
        "tools": "echo: sunny in city",
        "openai": "echo: hello there",
    }
