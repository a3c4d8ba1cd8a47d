"""Pydantic AI: an agent that answers, streams, calls tools and gives a typed result."""

import asyncio
import json
import os
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]


class Order(BaseModel):
    number: int
    customer: str


def get_weather(city: str) -> str:
    return f"sunny in {city}"


def get_time(city: str) -> str:
    return f"noon in {city}"


async def main() -> dict[str, Any]:
    model = OpenAIChatModel("assistant", provider=OpenAIProvider(base_url=URL, api_key=KEY))
    answer = await Agent(model).run("hello there")
    async with Agent(model).run_stream("hello there") as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    helped = await Agent(model, tools=[get_weather, get_time]).run("what is the weather?")
    typed = await Agent(model, output_type=Order).run("order")
    native = await Agent(model, output_type=NativeOutput(Order)).run("order")
    return {
        "plain": answer.output,
        "streamed": "".join(pieces),
        "tools": helped.output,
        "orders": [typed.output.model_dump(), native.output.model_dump()],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
