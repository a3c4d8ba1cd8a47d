"""Anthropic's client against /v1/messages: plain, streamed, asynchronous, tools, counted tokens, retries, errors."""

import asyncio
import json
import os
from typing import Any

import anthropic
from anthropic import Anthropic

URL, KEY = os.environ["NORIA_URL"], os.environ["NORIA_KEY"]
HELLO: list[Any] = [{"role": "user", "content": "hello there"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"name": name, "input_schema": CITY} for name in ("get_weather", "get_time")]


def plain() -> dict[str, Any]:
    client = Anthropic(base_url=URL, api_key=KEY)
    answer = client.messages.create(
        model="assistant", max_tokens=100, messages=[{"role": "user", "content": "hello there"}]
    )
    usage = answer.usage
    return {
        "text": answer.content[0].text,
        "stop_reason": answer.stop_reason,
        "input": usage.input_tokens + (usage.cache_read_input_tokens or 0),
        "output": usage.output_tokens,
    }


def streamed(client: Anthropic) -> dict[str, Any]:
    """Text as it comes, then the client's own accumulation; and one with tools."""
    with client.messages.stream(model="assistant", max_tokens=100, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    with client.messages.stream(model="assistant", max_tokens=100, messages=HELLO, tools=TOOLS) as stream:
        kinds = sorted({event.type for event in stream})
        blocks = stream.get_final_message().content
    calls = [[block.name, block.input] for block in blocks if block.type == "tool_use"]
    return {
        "text": text,
        "final": final.content[0].text,
        "output": final.usage.output_tokens,
        "kinds": kinds,
        "calls": calls,
    }


async def asynchronous() -> str:
    async with anthropic.AsyncAnthropic(base_url=URL, auth_token=KEY) as client:
        answer = await client.messages.create(model="assistant", max_tokens=100, system="Be kind.", messages=HELLO)
        return str(answer.content[0].text)


def tools(client: Anthropic) -> dict[str, Any]:
    first = client.messages.create(model="assistant", max_tokens=100, messages=HELLO, tools=TOOLS)
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} ok"} for call in calls]
    messages: list[Any] = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = client.messages.create(model="assistant", max_tokens=100, messages=messages, tools=TOOLS)
    return {
        "reason": first.stop_reason,
        "calls": [[call.name, call.input] for call in calls],
        "answer": second.content[0].text,
    }


def failure(model: str, *, key: str = KEY, **more: Any) -> list[Any]:
    client = Anthropic(base_url=URL, api_key=key, max_retries=0)
    asked: dict[str, Any] = {"max_tokens": 100, "messages": HELLO, **more}
    try:
        if asked.pop("stream", False):
            with client.messages.stream(model=model, **asked) as stream:
                list(stream)
        else:
            client.messages.create(model=model, **asked)
    except anthropic.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body["error"]["type"], bool(error.request_id)]
    except anthropic.APIError as error:
        return [type(error).__name__]
    return []


def main() -> dict[str, Any]:
    client = Anthropic(base_url=URL, api_key=KEY)
    retried = client.messages.with_raw_response.create(model="flaky-messages", max_tokens=100, messages=HELLO)
    return {
        "plain": plain(),
        "streamed": streamed(client),
        "asynchronous": asyncio.run(asynchronous()),
        "tools": tools(client),
        "counted": client.messages.count_tokens(model="assistant", messages=HELLO).input_tokens,
        "retries": retried.retries_taken,
        "failures": {
            "wrong key": failure("assistant", key="noria_wrong"),
            "unknown model": failure("nobody"),
            "bad request": failure("assistant", messages=[]),
            "provider 429": failure("full"),
            "provider 400": failure("picky"),
            "provider 500": failure("broken"),
            "in mid-stream": failure("breaking", stream=True),
            "too slow": failure("slow", timeout=0.5, extra_body={"delay": 30}),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main()))
