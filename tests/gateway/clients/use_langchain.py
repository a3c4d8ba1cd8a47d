"""LangChain's ChatOpenAI: plain, streamed, tools, structured output."""

import json
import os
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]


class Order(BaseModel):
    """An order."""

    number: int
    customer: str


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def tools(model: ChatOpenAI) -> str:
    bound = model.bind_tools([get_weather])
    question = HumanMessage("what is the weather?")
    call = bound.invoke([question])
    results = [ToolMessage(get_weather(**c["args"]), tool_call_id=c["id"]) for c in call.tool_calls]
    return str(bound.invoke([question, call, *results]).text)


def main() -> dict[str, Any]:
    model = ChatOpenAI(base_url=URL, api_key=KEY, model="assistant", stream_usage=True)
    answer = model.invoke("hello there")
    chunks = list(model.stream("hello there"))
    orders = [
        model.with_structured_output(Order, method=method).invoke("order").model_dump()
        for method in ("json_schema", "function_calling")
    ]
    return {
        "plain": answer.text,
        "tokens": answer.usage_metadata["total_tokens"],
        "streamed": "".join(chunk.text for chunk in chunks),
        "streamed_tokens": sum((chunk.usage_metadata or {}).get("total_tokens", 0) for chunk in chunks),
        "tools": tools(model),
        "orders": orders,
    }


if __name__ == "__main__":
    print(json.dumps(main()))
