"""LiteLLM as a client: plain, streamed, tools, typed answers, embeddings, errors."""

import json
import os
from typing import Any

import litellm
from pydantic import BaseModel

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]
HELLO: list[Any] = [{"role": "user", "content": "hello there"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]


class Order(BaseModel):
    number: int
    customer: str


def plain() -> Any:
    messages = [{"role": "user", "content": "hello there"}]
    answer = litellm.completion(
        model="openai/assistant",
        api_base=URL,
        api_key=KEY,
        messages=messages,
    )
    return answer.choices[0].message.content


def complete(**more: Any) -> Any:
    return litellm.completion(model="openai/assistant", api_base=URL, api_key=KEY, **{"messages": HELLO, **more})


def failure(model: str) -> list[Any]:
    try:
        litellm.completion(model=f"openai/{model}", api_base=URL, api_key=KEY, messages=HELLO, max_retries=0)
    except litellm.exceptions.APIError as error:
        return [type(error).__name__, error.status_code]
    except Exception as error:  # noqa: BLE001 - its classes have no common base but OpenAI's
        return [type(error).__name__, getattr(error, "status_code", 0)]
    return []


def main() -> dict[str, Any]:
    call = complete(tools=TOOLS).choices[0].message.tool_calls[0]
    vectors = litellm.embedding(model="openai/embedder", api_base=URL, api_key=KEY, input=["a", "b"]).data
    return {
        "plain": plain(),
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in complete(stream=True)),
        "call": [call.function.name, call.function.arguments],
        "order": json.loads(complete(response_format=Order).choices[0].message.content),
        "embeddings": [item["embedding"] for item in vectors],
        "failures": [failure("nobody"), failure("full"), failure("picky")],
    }


if __name__ == "__main__":
    print(json.dumps(main()))
