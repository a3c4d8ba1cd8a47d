"""Instructor: typed answers by tool call and by JSON schema, and a stream of partial ones."""

import json
import os
from typing import Any

import instructor
from openai import OpenAI
from pydantic import BaseModel

URL, KEY = os.environ["NORIA_URL"] + "/v1", os.environ["NORIA_KEY"]
HELLO: list[Any] = [{"role": "user", "content": "order"}]


class Order(BaseModel):
    number: int
    customer: str


def main() -> dict[str, Any]:
    client = instructor.from_openai(OpenAI(base_url=URL, api_key=KEY))
    messages = [{"role": "user", "content": "order"}]
    order = client.chat.completions.create(model="assistant", messages=messages, response_model=Order)
    schema = instructor.from_openai(OpenAI(base_url=URL, api_key=KEY), mode=instructor.Mode.JSON_SCHEMA)
    native = schema.chat.completions.create(model="assistant", messages=HELLO, response_model=Order)
    partial = list(client.chat.completions.create_partial(model="assistant", messages=HELLO, response_model=Order))
    return {"orders": [order.model_dump(), native.model_dump(), partial[-1].model_dump()]}


if __name__ == "__main__":
    print(json.dumps(main()))
