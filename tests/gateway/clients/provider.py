"""A provider on loopback that plays a model which calls tools and fills schemas, so that whole clients can be tested.

Run as `python -m tests.gateway.clients.provider PORT`. The model "plays" answers by what it is asked: with tools it calls
each of them once, after their results it repeats them, with a JSON schema it fills it, else it says "echo: …". "flaky:NAME"
answers 429 to the first call under that name, "parrot" says the same whatever it is asked; all other models are those of tests/gateway/provider.py.
"""

import base64
import json
import struct
import sys
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.gateway import provider
from tests.gateway.provider import CALLS, SEEN, USAGE

Json = dict[str, Any]
VECTOR = (1.0, 0.5, -0.25, 0.125)


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    mode, _, name = body["model"].partition(":")
    if mode == "flaky" and CALLS[name] == 0:
        CALLS[name] += 1
        error = {
            "message": "Too many requests.",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        return web.json_response({"error": error}, status=429, headers={"Retry-After": "1"})
    if mode == "parrot":
        return await parrot(request, stream=bool(body.get("stream")))
    if mode not in {"plays", "flaky"}:
        return await provider.complete(request)
    CALLS[name] += 1
    SEEN[name] = {"body": body, "authorization": request.headers.get("Authorization"), "path": request.path}
    message = play(body)
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    base = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": f"{body['model']}-served"}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return web.json_response({**base, "object": "chat.completion", "choices": [choice], "usage": USAGE})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    deltas = [*deltas_of(message), {}]
    for number, delta in enumerate(deltas, 1):
        choice = {"index": 0, "delta": delta, "finish_reason": reason if number == len(deltas) else None}
        await event(response, {**base, "object": "chat.completion.chunk", "choices": [choice]})
    if (body.get("stream_options") or {}).get("include_usage"):
        await event(response, {**base, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    await response.write(b"data: [DONE]\n\n")
    return response


async def parrot(request: web.Request, *, stream: bool) -> web.StreamResponse:
    """Both of OpenAI's shapes at once, so that it fits either path."""
    said = {"role": "assistant", "content": "pretty bird"}
    choice = {"index": 0, "message": said, "delta": said, "text": "pretty bird", "finish_reason": "stop"}
    answer = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "parrot",
        "choices": [choice],
        "usage": USAGE,
    }
    if not stream:
        return web.json_response(answer)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await event(response, answer)
    await response.write(b"data: [DONE]\n\n")
    return response


async def event(response: web.StreamResponse, chunk: Json) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def play(body: Json) -> Json:
    """The message that a model of good will would answer."""
    messages = body["messages"]
    results = [text_of(message) for message in messages if message["role"] == "tool"]
    asked = body.get("response_format") or {}
    tools = [] if body.get("tool_choice") == "none" else body.get("tools") or []
    if tools and not results:
        return {"role": "assistant", "content": None, "tool_calls": calls_of(tools, body)}
    if asked.get("type") == "json_schema":
        return {"role": "assistant", "content": json.dumps(example(asked["json_schema"]["schema"]))}
    if asked.get("type") == "json_object":
        return {"role": "assistant", "content": '{"name": "json"}'}
    return {"role": "assistant", "content": "echo: " + (", ".join(results) or text_of(messages[-1]))}


def text_of(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def calls_of(tools: list[Json], body: Json) -> list[Json]:
    """A call of each tool, or of the only one that the request allows."""
    choice = body.get("tool_choice")
    forced = choice["function"]["name"] if isinstance(choice, dict) else None
    functions = [tool["function"] for tool in tools if forced in (None, tool["function"]["name"])]
    if body.get("parallel_tool_calls") is False:
        functions = functions[:1]
    return [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(example(function.get("parameters") or {}))},
        }
        for number, function in enumerate(functions)
    ]


def example(schema: Json, root: Json | None = None, name: str = "text") -> Any:
    """A value that fits a JSON schema; a text says the name of its field."""
    root = root or schema
    if "$ref" in schema:
        return example(root[schema["$ref"].split("/")[1]][schema["$ref"].split("/")[-1]], root, name)
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    if variants := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return example(variants[0], root, name)
    if "properties" in schema:
        return {key: example(inner, root, key) for key, inner in schema["properties"].items()}
    if schema.get("type") == "array":
        return [example(schema.get("items") or {}, root, name)]
    plain: Json = {"integer": 7, "number": 1.5, "boolean": True, "null": None, "object": {}}
    return plain.get(schema.get("type", "string"), name)


def deltas_of(message: Json) -> Iterator[Json]:
    """The pieces in which a message is streamed; arguments come in two."""
    yield {"role": "assistant", "content": None if message.get("tool_calls") else ""}
    for word in (message["content"] or "").split(" "):
        if word:
            yield {"content": word + " "}
    for index, call in enumerate(message.get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        yield {"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]}
        for piece in (arguments[:5], arguments[5:]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


async def embed(request: web.Request) -> web.Response:
    """The same vector for every text or list of token ids, as floats or in base64."""
    body = await request.json()
    name = body["model"].partition(":")[2]
    SEEN[name] = {"body": body, "path": request.path}
    given = body["input"]
    count = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
    vector = VECTOR[: body.get("dimensions") or len(VECTOR)]
    packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    value = packed if body.get("encoding_format") == "base64" else vector
    data = [{"object": "embedding", "index": index, "embedding": value} for index in range(count)]
    usage = {"prompt_tokens": 5 * count, "total_tokens": 5 * count}
    return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})


def application() -> web.Application:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/completions", chat)
    app.router.add_post("/v1/embeddings", embed)
    app.router.add_get("/calls/{name}", provider.calls)
    return app


if __name__ == "__main__":
    web.run_app(
        application(), host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, handler_cancellation=True
    )
