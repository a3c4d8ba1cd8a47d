"""What Anthropic's unmodified client makes of Noria, whose provider here speaks OpenAI's dialect."""

from tests.gateway.clients.conftest import See
from tests.gateway.conftest import Running

CALLS = [["get_weather", {"city": "city"}], ["get_time", {"city": "city"}]]


def test_everything_it_does_with_messages(see: See, gateway: Running) -> None:
    seen = see("use_anthropic.py")
    assert seen["plain"] == {"text": "echo: hello there", "stop_reason": "end_turn", "input": 7, "output": 3}
    assert seen["streamed"]["text"] == seen["streamed"]["final"] == "echo: hello there "
    assert seen["streamed"]["output"] == 3
    assert seen["streamed"]["calls"] == CALLS
    assert {"message_start", "content_block_start", "input_json", "message_stop"} <= set(seen["streamed"]["kinds"])
    assert seen["asynchronous"] == "echo: hello there"
    assert seen["tools"] == {"reason": "tool_use", "calls": CALLS, "answer": "echo: get_weather ok, get_time ok"}
    assert seen["counted"] > 0
    assert seen["retries"] == 1
    assert gateway.calls("flaky-messages")["calls"] == 2
    assert seen["failures"] == {
        "wrong key": ["AuthenticationError", 401, "authentication_error", True],
        "unknown model": ["NotFoundError", 404, "not_found_error", True],
        "bad request": ["BadRequestError", 400, "invalid_request_error", True],
        "provider 429": ["RateLimitError", 429, "rate_limit_error", True],
        "provider 400": ["BadRequestError", 400, "invalid_request_error", True],
        "provider 500": ["InternalServerError", 502, "api_error", True],
        "in mid-stream": ["APIStatusError", 200, "api_error", True],
        "too slow": ["APITimeoutError"],
    }
