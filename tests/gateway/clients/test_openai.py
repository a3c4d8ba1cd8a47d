"""What OpenAI's unmodified client makes of Noria."""

from tests.gateway.clients.conftest import See
from tests.gateway.conftest import Running


def test_everything_it_does_with_chat(see: See, gateway: Running) -> None:
    seen = see("use_openai.py")
    assert seen["plain"] == "echo: hello there"
    assert seen["streamed"] == {"text": "echo: hello there ", "tokens": 10}
    assert seen["helper"]["calls"] == ['{"city": "city"}', '{"city": "city"}']
    assert {"chunk", "tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= set(
        seen["helper"]["kinds"]
    )
    assert seen["asynchronous"] == ["echo: hello there", "echo: hello there ", "1"]
    assert seen["tools"] == {
        "reason": "tool_calls",
        "calls": [["call_0", "get_weather", '{"city": "city"}'], ["call_1", "get_time", '{"city": "city"}']],
        "answer": "echo: get_weather ok, get_time ok",
        "one": 1,
    }
    assert seen["parsed"] == {"number": 7, "customer": "customer", "open": True}
    assert seen["retried"] == {"retries": 1, "text": "echo: hello there"}
    assert gateway.calls("flaky")["calls"] == 2
    assert seen["completions"] == ["echo: once upon", "echo: once upon "]
    assert {"assistant", "slow"} <= set(seen["models"])
    assert seen["model"] == "assistant"
    _check_failures(seen["failures"])


def _check_failures(failures: dict[str, dict[str, object]]) -> None:
    kinds = {name: (told["kind"], told.get("status"), told["code"]) for name, told in failures.items()}
    assert kinds == {
        "wrong key": ("AuthenticationError", 401, "invalid_api_key"),
        "unknown model": ("NotFoundError", 404, "model_not_found"),
        "bad request": ("BadRequestError", 400, "bad_input"),
        "provider 400": ("BadRequestError", 400, "no_code"),
        "provider 429": ("RateLimitError", 429, "no_code"),
        "provider 500": ("InternalServerError", 502, "no_code"),
        "in mid-stream": ("APIError", None, "provider_error"),
        "too slow": ("APITimeoutError", None, None),
    }
    assert failures["provider 429"]["retry_after"] == "7"
    assert failures["provider 400"]["request_id"]
