"""Recorded calls made into fixtures: cleaned whole, also where a stream cuts a name in two, and proved clean."""

import json
import struct
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from noria.core.errors import BadInput
from noria.governance import audit
from noria.governance import service as governance
from noria.governance.sealing import Sealer
from noria.registry import recording, service
from noria.registry.commands_record import record
from noria.registry.fixtures import Cleaner, fixtures
from noria.registry.recording import Exchange, Order
from noria.stores.connect import Stores

KEY = "sk-a-providers-own-key-0123456789"
PICTURE = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" * 6


def exchange(request: Any, answer: bytes, content: str = "application/json", **more: Any) -> Exchange:
    given = {"kind": "openai", "dialect": "chat", "model": "gpt-4.1", "path": "/v1/chat/completions", "status": 200}
    headers = {"content-type": content}
    return Exchange(
        **{**given, "at": 1_764_000_000.0, "headers": headers, "complete": True, **more},
        request=orjson.dumps(request),
        answer=answer,
    )


def events(*data: Any, name: str = "") -> bytes:
    start = f"event: {name}\n" if name else ""
    return b"".join(f"{start}data: {json.dumps(one)}\n\n".encode() for one in data)


def deltas(text: str, size: int) -> list[dict[str, Any]]:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]


def said(stream: str) -> str:
    lines = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    return "".join(one["choices"][0]["delta"]["content"] for one in lines)


def test_a_request_and_an_answer() -> None:
    request = {
        "model": "gpt-4.1",
        "user": "customer-4711",
        "metadata": {"ticket": "A-1"},
        "messages": [
            {"role": "user", "content": "I am mina@example.org, again: mina@example.org"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
            {"role": "user", "content": f"my key is {KEY} and AKIAIOSFODNN7EXAMPLE"},
        ],
        "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}],
    }
    answer = {
        "id": "c-1",
        "created": 1764000000,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello mina@example.org"}}],
        "usage": {"prompt_tokens": 7},
    }
    files, removed = fixtures(exchange(request, orjson.dumps(answer)), "one", frozenset({KEY}))
    told = json.loads(files["chat/request_one.json"])
    assert told["source"] == "recorded from a provider of kind openai, model gpt-4.1"
    assert told["date"] == "2025-11-24"
    assert told["request"]["user"] == "removed"
    assert told["request"]["metadata"] == {}
    assert told["request"]["messages"][0]["content"] == "I am <EMAIL_1>, again: <EMAIL_1>"
    assert told["request"]["messages"][1]["content"][0]["image_url"]["url"] == "data:image/png;base64,UkVNT1ZFRA=="
    assert told["request"]["messages"][2]["content"] == "my key is <SECRET_1> and <SECRET_2>"
    assert told["request"]["tools"] == request["tools"]
    heard = json.loads(files["chat/answer_one.json"])
    assert (heard["status"], heard["headers"]) == (200, {"content-type": "application/json"})
    assert heard["answer"]["choices"][0]["message"]["content"] == "Hello <EMAIL_1>", "the same person, the same name"
    assert heard["answer"]["usage"] == {"prompt_tokens": 7}
    assert removed == {"EMAIL": 3, "BLOB": 1, "SECRET": 2}


@pytest.mark.parametrize("size", range(1, 9))
def test_a_stream_is_cleaned_as_the_text_that_it_adds_up_to(size: int) -> None:
    text = f"Write to mina@example.org, key {KEY}, card 4111 1111 1111 1111. Bye."
    raw = events(*deltas(text, size)) + b"data: [DONE]\n\n"
    files, _ = fixtures(exchange({"model": "m"}, raw, "text/event-stream"), "s", frozenset({KEY}))
    stream = files["chat/stream_s.sse"]
    assert said(stream) == "Write to <EMAIL_1>, key <SECRET_1>, card <CARD_1>. Bye."
    assert stream.endswith("data: [DONE]\n\n")
    assert len(stream.split("\n\n")) == len(deltas(text, size)) + 2


def test_blocks_of_a_stream_are_cleaned_apart() -> None:
    raw = b"".join(
        events(
            {"type": "content_block_delta", "index": index, "delta": {"partial_json": piece}},
            name="content_block_delta",
        )
        for index, piece in [(0, '{"to": "mina@exa'), (1, "plain"), (0, 'mple.org"}'), (1, " text")]
    )
    files, _ = fixtures(exchange({}, raw, "text/event-stream", dialect="messages"), "s", frozenset())
    stream = files["messages/stream_s.sse"]
    parts = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    assert "".join(one["delta"]["partial_json"] for one in parts if one["index"] == 0) == '{"to": "<EMAIL_1>"}'
    assert "".join(one["delta"]["partial_json"] for one in parts if one["index"] == 1) == "plain text"
    assert stream.count("event: content_block_delta") == 4


def frame(name: str, data: Any) -> bytes:
    headers = bytes([len(":event-type")]) + b":event-type\x07" + struct.pack(">H", len(name)) + name.encode()
    body = orjson.dumps(data)
    total = 16 + len(headers) + len(body)
    return struct.pack(">II", total, len(headers)) + b"\0\0\0\0" + headers + body + b"\0\0\0\0"


def test_the_binary_stream_of_aws_becomes_events() -> None:
    raw = b"".join(
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}})
        for piece in ("to mina@ex", "ample.org")
    )
    content = "application/vnd.amazon.eventstream"
    files, _ = fixtures(exchange({}, raw, content, kind="bedrock", dialect="converse"), "s", frozenset())
    told = json.loads(files["converse/stream_s.json"])["events"]
    assert [one["event"] for one in told] == ["contentBlockDelta"] * 2
    assert "".join(one["data"]["delta"]["text"] for one in told) == "to <EMAIL_1>"


def test_what_cannot_be_proved_clean_is_not_written() -> None:
    with pytest.raises(BadInput) as raised:
        Cleaner(frozenset({KEY})).check(f'{{"{KEY}": 1}}')
    assert KEY not in raised.value.message
    named_after_a_person = {"messages": [{"mina@example.org": "a key of JSON is not cleaned"}]}
    with pytest.raises(BadInput):
        fixtures(exchange(named_after_a_person, b"{}"), "x", frozenset())


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(BadInput):
        fixtures(exchange({}, b"<html>"), "x", frozenset())


def test_headers_are_let_through_by_name() -> None:
    headers = {
        "Content-Type": "application/json",
        "Set-Cookie": "session=abc",
        "OpenAI-Organization": "acme",
        "X-Request-Id": "req-1",
        "X-RateLimit-Remaining-Requests": "9",
        "Retry-After": "7",
    }
    assert recording.allowed(headers) == {
        "content-type": "application/json",
        "x-ratelimit-remaining-requests": "9",
        "retry-after": "7",
    }


def test_places_are_taken_once_and_are_bounded(tmp_path: Path) -> None:
    order = Order("r", "p", "e", 3, time.time() + 60)
    names = [place.name if (place := recording.slot(tmp_path, order, 1)) else None for _ in range(5)]
    assert names == ["0001.sealed", "0002.sealed", "0003.sealed", None, None]
    assert recording.remove(tmp_path, older_than=3600) == 0
    assert recording.remove(tmp_path) == 1


def test_from_start_to_saved_files(stores: Stores, tmp_path: Path) -> None:
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        service.create_endpoint(connection, project_id=first.project_id, name="support", actor_id="")
    service.add_provider(stores, project_id=first.project_id, name="hosted", preset="openai", api_key=KEY, actor_id="")
    folder, data = stores.settings.folder, str(stores.settings.data)
    run = CliRunner()
    refused = run.invoke(record, ["start", "support", "--data", data])
    assert refused.exit_code != 0, "a reason is wanted"
    started = run.invoke(
        record, ["start", "support", "--requests", "2", "--reason", "fixtures for #12", "--data", data]
    )
    assert started.exit_code == 0, started.output
    order = recording.read_order(folder.recording.read_bytes())
    assert order is not None
    assert (order.project_id, order.endpoint, order.requests) == (first.project_id, "support", 2)
    place = recording.slot(folder.recordings, order, 1)
    assert place is not None
    request = {"messages": [{"role": "user", "content": f"mina@example.org {KEY}"}]}
    recording.write(place, exchange(request, b'{"choices": []}'), Sealer(folder.secret))
    assert recording.slot(folder.recordings, order, 2) is not None
    shown = run.invoke(record, ["status", "--data", data])
    assert "support: 1 of 2 recorded" in shown.output
    saved = run.invoke(record, ["save", "-o", str(tmp_path / "fixtures"), "--data", data])
    assert saved.exit_code == 0, saved.output
    assert "1 saved" in saved.output
    assert KEY not in saved.output
    text = (tmp_path / "fixtures" / "chat" / "request_support_0001.json").read_text()
    assert "<EMAIL_1> <SECRET_1>" in text
    assert not list(folder.recordings.iterdir()), "what was recorded is deleted once it is saved"
    assert recording.read_order(folder.recording.read_bytes()) is None
    with stores.database.read() as connection:
        verbs = [entry.verb for entry in audit.entries(connection, first.project_id, target_kind="endpoint").items]
    assert {"endpoint.record", "endpoint.record_save"} <= set(verbs)
