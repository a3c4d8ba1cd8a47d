"""/v1/responses through OpenAI's client, LangChain and Pydantic AI."""

import asyncio
import json
import os
from typing import Any

import openai
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"type": "function", "name": name, "parameters": CITY} for name in ("get_weather", "get_time")]


class Order(BaseModel):
    number: int
    customer: str


def get_weather(city: str) -> str:
    return f"sunny in {city}"


def plain() -> str:
    client = OpenAI(base_url=URL, api_key=KEY)
    answer = client.responses.create(model="assistant", input="hello there")
    return answer.output_text


def streamed(client: OpenAI) -> dict[str, Any]:
    events = list(client.responses.create(model="assistant", input="hello there", stream=True))
    numbers = [event.sequence_number for event in events]
    with client.responses.stream(model="assistant", input="hello there", tools=TOOLS) as stream:
        kinds = sorted({event.type for event in stream})
        calls = [item for item in stream.get_final_response().output if item.type == "function_call"]
    return {
        "text": "".join(event.delta for event in events if event.type == "response.output_text.delta"),
        "first": events[0].type,
        "last": events[-1].type,
        "counted": numbers == list(range(len(numbers))),
        "kinds": kinds,
        "calls": [[call.name, call.arguments] for call in calls],
    }


def tools(client: OpenAI) -> dict[str, Any]:
    first = client.responses.create(model="assistant", input="hello there", tools=TOOLS)
    calls = [item for item in first.output if item.type == "function_call"]
    results: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} ok"} for call in calls
    ]
    whole: list[Any] = [{"role": "user", "content": "hello there"}, *first.output, *results]
    second = client.responses.create(model="assistant", input=whole, tools=TOOLS)
    continued = client.responses.create(
        model="assistant", input=results, tools=TOOLS, previous_response_id=first.id, instructions="Be kind."
    )
    return {"calls": len(calls), "answers": [second.output_text, continued.output_text]}


def kept(client: OpenAI) -> list[Any]:
    """Fetched by its id, deleted, gone."""
    made = client.responses.create(model="assistant", input="hello there")
    fetched = client.responses.retrieve(made.id)
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
    except openai.NotFoundError:
        return [fetched.output_text, "gone"]
    return [fetched.output_text, "still there"]


def failure(model: str, **more: Any) -> list[Any]:
    client = OpenAI(base_url=URL, api_key=KEY, max_retries=0)
    try:
        answer = client.responses.create(model=model, **{"input": "hello", **more})
        if more.get("stream"):
            return [list(answer)[-1].type]
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code]
    except openai.APIError as error:
        return [type(error).__name__]
    return []


async def asynchronous() -> str:
    async with AsyncOpenAI(base_url=URL, api_key=KEY) as client:
        return (await client.responses.create(model="assistant", input="hello there")).output_text


def frameworks() -> dict[str, Any]:
    chat = ChatOpenAI(base_url=URL, api_key=KEY, model="assistant", use_responses_api=True)
    provider = OpenAIProvider(base_url=URL, api_key=KEY)
    agent = Agent(OpenAIResponsesModel("assistant", provider=provider), tools=[get_weather])
    return {
        "langchain": chat.invoke("hello there").text,
        "langchain streamed": "".join(chunk.text for chunk in chat.stream("hello there")),
        "pydantic-ai": agent.run_sync("what is the weather?").output,
    }


def main() -> dict[str, Any]:
    client = OpenAI(base_url=URL, api_key=KEY)
    parsed = client.responses.parse(model="assistant", input="order", text_format=Order).output_parsed
    return {
        "plain": plain(),
        "streamed": streamed(client),
        "tools": tools(client),
        "kept": kept(client),
        "parsed": parsed and parsed.model_dump(),
        "asynchronous": asyncio.run(asynchronous()),
        "frameworks": frameworks(),
        "failures": {
            "unknown model": failure("nobody"),
            "bad request": failure("assistant", input=5),
            "provider 429": failure("full"),
            "in mid-stream": failure("breaking", stream=True),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main()))
