"""Reading the fixtures of Anthropic's dialect, and its streams as events."""

import json
from pathlib import Path
from typing import Any

from noria.gateway.dialects.base import Json, Reader, Writer

FOLDER = Path(__file__).parent / "fixtures" / "messages"


def fixture(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def stream(name: str) -> list[tuple[str, Json]]:
    return events((FOLDER / f"{name}.sse").read_bytes())


def events(raw: bytes) -> list[tuple[str, Json]]:
    """(event name, data) of every event; comments are left out."""
    found = []
    for event in raw.split(b"\n\n"):
        lines = [line for line in event.split(b"\n") if line and not line.startswith(b":")]
        if lines:
            told = dict(line.split(b": ", 1) for line in lines)
            found.append((told[b"event"].decode(), json.loads(told[b"data"])))
    return found


def read(reader: Reader, told: list[tuple[str, Json]]) -> list[Json]:
    return [chunk for event, data in told for chunk in reader.read(event, data)]


def write(writer: Writer, chunks: list[Json]) -> list[tuple[str, Json]]:
    return events(b"".join(writer.write(chunk) for chunk in chunks) + writer.end())


def assembled(told: list[tuple[str, Json]]) -> Json:
    """What an Anthropic client makes of a stream; fails when events stand in an order that clients do not take."""
    message: Json = {}
    opened = -1
    for name, data in told:
        assert name == data["type"]
        if name == "message_start":
            assert not message
            message = {**data["message"], "content": []}
        elif name == "content_block_start":
            assert opened == -1 and data["index"] == len(message["content"])
            opened = data["index"]
            message["content"].append(dict(data["content_block"]))
        elif name == "content_block_delta":
            assert data["index"] == opened
            _add(message["content"][opened], data["delta"])
        elif name == "content_block_stop":
            assert data["index"] == opened
            block = message["content"][opened]
            if "buffer" in block:
                block["input"] = json.loads(block.pop("buffer"))
            opened = -1
        elif name == "message_delta":
            assert opened == -1
            message.update(data["delta"])
            message["usage"] = {**message["usage"], **data["usage"]}
    assert told[-1][0] == "message_stop"
    return message


def _add(block: Json, delta: Json) -> None:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        assert kind == "input_json_delta" and block["type"] == "tool_use"
        block["buffer"] = block.get("buffer", "") + delta["partial_json"]
