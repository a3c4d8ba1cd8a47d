"""OpenAI's own client: plain, streamed, asynchronous, tools, parsed answers, retries, timeouts, errors."""

import asyncio
import json
import os
from typing import Any

import openai
from openai import OpenAI
from pydantic import BaseModel

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]
HELLO: list[Any] = [{"role": "user", "content": "hello there"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": CITY}} for name in ("get_weather", "get_time")
]


class Order(BaseModel):
    number: int
    customer: str
    open: bool


def plain() -> str | None:
    client = OpenAI(base_url=URL, api_key=KEY)
    answer = client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": "hello there"}])
    return answer.choices[0].message.content


def streamed(client: OpenAI) -> dict[str, Any]:
    stream = client.chat.completions.create(
        model="assistant", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return {"text": text, "tokens": chunks[-1].usage and chunks[-1].usage.total_tokens}


def streamed_with_helper(client: OpenAI) -> dict[str, Any]:
    """The client's own accumulation of a stream, tool calls included."""
    with client.chat.completions.stream(model="assistant", messages=HELLO, tools=TOOLS) as stream:
        kinds = [event.type for event in stream]
        calls = stream.get_final_completion().choices[0].message.tool_calls or []
    return {"kinds": sorted(set(kinds)), "calls": [call.function.arguments for call in calls]}


async def asynchronous() -> list[str]:
    async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as client:
        answer = await client.chat.completions.create(model="assistant", messages=HELLO)
        stream = await client.chat.completions.create(model="assistant", messages=HELLO, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        several = await asyncio.gather(
            *(client.chat.completions.create(model="assistant", messages=HELLO) for _ in range(20))
        )
    return [
        answer.choices[0].message.content or "",
        text,
        str(len({one.choices[0].message.content for one in several})),
    ]


def tools(client: OpenAI) -> dict[str, Any]:
    """Two tools called in one turn; their results go back; then without parallel calls."""
    first = client.chat.completions.create(model="assistant", messages=HELLO, tools=TOOLS).choices[0]
    calls: list[Any] = first.message.tool_calls or []
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} ok"} for call in calls]
    messages: list[Any] = [*HELLO, first.message, *results]
    second = client.chat.completions.create(model="assistant", messages=messages, tools=TOOLS)
    one = client.chat.completions.create(model="assistant", messages=HELLO, tools=TOOLS, parallel_tool_calls=False)
    return {
        "reason": first.finish_reason,
        "calls": [[call.id, call.function.name, call.function.arguments] for call in calls],
        "answer": second.choices[0].message.content,
        "one": len(one.choices[0].message.tool_calls or []),
    }


def parsed(client: OpenAI) -> Any:
    answer = client.chat.completions.parse(model="assistant", messages=HELLO, response_format=Order)
    order = answer.choices[0].message.parsed
    return order and order.model_dump()


def retried() -> dict[str, Any]:
    client = OpenAI(base_url=URL, api_key=KEY, max_retries=2)
    raw = client.chat.completions.with_raw_response.create(model="flaky", messages=HELLO)
    return {"retries": raw.retries_taken, "text": raw.parse().choices[0].message.content}


def failure(model: str, *, key: str = KEY, **more: Any) -> dict[str, Any]:
    """The class and the fields of the error that a request ends with."""
    client = OpenAI(base_url=URL, api_key=key, max_retries=0)
    try:
        answer = client.chat.completions.create(model=model, messages=more.pop("messages", HELLO), **more)
        if more.get("stream"):
            list(answer)
    except openai.APIError as error:
        told: dict[str, Any] = {"kind": type(error).__name__, "code": error.code, "type": error.type}
        if isinstance(error, openai.APIStatusError):
            told |= {"status": error.status_code, "request_id": error.request_id}
            told["retry_after"] = error.response.headers.get("retry-after")
        return told
    return {"kind": "none"}


def failures() -> dict[str, Any]:
    return {
        "wrong key": failure("assistant", key="noria_wrong"),
        "unknown model": failure("nobody"),
        "bad request": failure("assistant", messages=[]),
        "provider 400": failure("picky"),
        "provider 429": failure("full"),
        "provider 500": failure("broken"),
        "in mid-stream": failure("breaking", stream=True),
        "too slow": failure("slow", timeout=0.5, extra_body={"delay": 30}),
    }


def completions(client: OpenAI) -> list[str]:
    answer = client.completions.create(model="text", prompt="once upon")
    stream = client.completions.create(model="text", prompt="once upon", stream=True)
    return [answer.choices[0].text, "".join(chunk.choices[0].text for chunk in stream)]


if __name__ == "__main__":
    shared = OpenAI(base_url=URL, api_key=KEY)
    seen = {
        "plain": plain(),
        "streamed": streamed(shared),
        "helper": streamed_with_helper(shared),
        "asynchronous": asyncio.run(asynchronous()),
        "tools": tools(shared),
        "parsed": parsed(shared),
        "retried": retried(),
        "failures": failures(),
        "completions": completions(shared),
        "models": [model.id for model in shared.models.list()],
        "model": shared.models.retrieve("assistant").id,
    }
    print(json.dumps(seen))
