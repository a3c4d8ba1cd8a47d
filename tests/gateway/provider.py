"""A provider on loopback that behaves, or misbehaves, as the name of the model asks.

Run as `python provider.py PORT`; models: ok, slow, stall, stall-stream, error-500, error-429, error-400, error-401, html,
broken-json, no-usage, break, error-event, no-done, late-usage, flaky-N (fails N times first), key-K (wants the key K),
slow-first (every odd call takes ten seconds), say (without the "echo: "), letters (say, a letter a chunk), calls (say, as a
tool's argument), mends (say, until it is told that its answer does not fit). A model "MODE:key" counts its calls under `key`:
GET /calls/key. What a text prompt said, or the last message, comes back as "echo: …", one word a chunk.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from aiohttp import web

CALLS: Counter[str] = Counter()
ABORTED: Counter[str] = Counter()
SEEN: dict[str, Any] = {}
SAYING = frozenset({"say", "letters", "calls", "mends"})
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


async def complete(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    mode, _, name = body["model"].partition(":")
    CALLS[name] += 1
    SEEN[name] = {"body": body, "authorization": request.headers.get("Authorization"), "path": request.path}
    chat = request.path.endswith("/chat/completions")
    said = _last(body["messages"]) if chat else body["prompt"]
    text = said if mode in SAYING else f"echo: {said}"
    if mode == "mends" and "does not fit" in said:
        text = body["messages"][0]["content"]
    if failed := _failure(mode) or _moody(mode, name, request):
        return failed
    try:
        if mode == "slow-first" and CALLS[name] % 2:
            await asyncio.sleep(10)
        if mode == "slow":
            await asyncio.sleep(float(body.get("delay", 0.3)))
        if mode == "stall":
            await asyncio.sleep(60)
        if body.get("stream"):
            return await _stream(request, body, mode, chat, text)
    except (asyncio.CancelledError, ConnectionResetError):
        ABORTED[name] += 1
        raise
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    if mode == "calls":
        choice["message"] = {"role": "assistant", "content": None, "tool_calls": [_call(text)]}
    answer = {
        "id": "c-1",
        "object": "chat.completion" if chat else "text_completion",
        "created": 1,
        "model": f"{body['model']}-served",
        "choices": [{"index": 0, "finish_reason": "stop", **choice}],
        "usage": USAGE,
    }
    if mode == "no-usage":
        del answer["usage"]
    return web.json_response(answer)


def _last(messages: list[Any]) -> str:
    content = messages[-1].get("content")
    return content if isinstance(content, str) else json.dumps(content)


def _call(text: str) -> dict[str, Any]:
    return {"id": "t-1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"to": text})}}


def _failure(mode: str) -> web.Response | None:
    if mode.startswith("error-") and mode[6:].isdigit():
        error = {"message": "the provider says no", "type": "no_type", "param": "p", "code": "no_code"}
        return web.json_response({"error": error}, status=int(mode[6:]), headers={"Retry-After": "7"})
    if mode == "html":
        return web.Response(text="<html>maintenance</html>", content_type="text/html")
    if mode == "broken-json":
        return web.Response(text='{"choices": [', content_type="application/json")
    return None


def _moody(mode: str, name: str, request: web.Request) -> web.Response | None:
    """Failures that depend on the call."""
    if mode.startswith("flaky-") and CALLS[name] <= int(mode[6:]):
        return web.json_response({"error": {"message": "not yet"}}, status=503)
    if mode.startswith("key-") and request.headers.get("Authorization") != f"Bearer {mode[4:]}":
        return web.json_response({"error": {"message": "no such key"}}, status=401)
    return None


async def _stream(request: web.Request, body: dict[str, Any], mode: str, chat: bool, text: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    base = {
        "id": "c-1",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": 1,
        "model": f"{body['model']}-served",
    }
    words = [word + " " for word in text.split(" ")]
    words = words * int(body.get("repeat", 1))
    if mode == "letters":
        words = list(text)
    if mode == "calls":
        words = list(_call(text)["function"]["arguments"])
    for number, word in enumerate(words):
        if mode == "error-event" and number == int(body.get("after", 1)):
            await asyncio.sleep(0.1)
            await response.write(b'data: {"error": {"message": "overloaded", "code": 503}}\n\n')
            return response
        if mode == "break" and number == 2:
            await asyncio.sleep(0.1)
            assert request.transport is not None
            request.transport.abort()
            return response
        delta: dict[str, Any] = {"delta": {"content": word}} if chat else {"text": word}
        if mode == "calls":
            head = {**_call(text), "function": {"name": "send", "arguments": word}} if number == 0 else {}
            delta = {"delta": {"tool_calls": [{"function": {"arguments": word}, **head, "index": 0}]}}
        await _event(response, {**base, "choices": [{"index": 0, **delta, "finish_reason": None}], "usage": None})
        if mode == "stall-stream":
            await asyncio.sleep(60)
        if mode == "slow":
            await asyncio.sleep(0.05)
    end: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    await _event(response, {**base, "choices": [{"index": 0, **end, "finish_reason": "stop"}]})
    if mode != "no-usage" and (body.get("stream_options") or {}).get("include_usage"):
        await _event(response, {**base, "choices": [], "usage": USAGE})
    if mode != "no-done":
        await response.write(b"data: [DONE]\n\n")
    return response


async def _event(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


async def calls(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    return web.json_response({"calls": CALLS[name], "aborted": ABORTED[name], "seen": SEEN.get(name)})


def application() -> web.Application:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_post("/v1/completions", complete)
    app.router.add_get("/calls/{name}", calls)
    return app


if __name__ == "__main__":
    web.run_app(
        application(), host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, handler_cancellation=True
    )
