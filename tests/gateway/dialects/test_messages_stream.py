"""Anthropic's streams, read and written."""

import json
from typing import Any

import pytest

from noria.core.errors import ProviderFailed
from noria.gateway import usage
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import Messages
from tests.gateway.dialects.messages_fixtures import FOLDER, assembled, events, read, stream, write

MESSAGES = Messages()
STREAMS = ("stream_text", "stream_tools", "stream_thinking", "stream_search")


def chunk(delta: Json | None = None, **fields: Any) -> Json:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": fields.pop("finish", None)}]
    return {"id": "c1", "model": "m", "choices": choices, **fields}


def written(chunks: list[Json]) -> Json:
    return assembled(write(MESSAGES.writer({"model": "support"}, include_usage=False), chunks))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_comes_back_as_it_was(name: str) -> None:
    reader = MESSAGES.reader()
    told = written(read(reader, stream(name)))
    wanted = assembled([event for event in _with_whole_input(stream(name)) if event[0] != "ping"])
    assert reader.done
    assert told["content"] == [_bare(block) for block in wanted["content"]]
    for field in ("id", "model", "stop_reason", "stop_sequence"):
        assert told[field] == wanted[field]
    assert told["usage"] == {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **wanted["usage"]}


def _with_whole_input(told: list[tuple[str, Json]]) -> list[tuple[str, Json]]:
    """Input pieces only where they say something: a server's tool and a call without arguments are told whole."""
    pieces: dict[int, str] = {}
    starts: dict[int, Json] = {}
    kept = []
    for name, data in told:
        if name == "content_block_start":
            starts[data["index"]] = data["content_block"]
        if data.get("delta", {}).get("type") == "input_json_delta":
            pieces[data["index"]] = pieces.get(data["index"], "") + data["delta"]["partial_json"]
            continue
        kept.append((name, data))
    for index, piece in pieces.items():
        starts[index]["input"] = json.loads(piece or "{}")
    return kept


def _bare(block: Json) -> Json:
    return {name: value for name, value in block.items() if not (name == "citations" and value == [])}


def test_text_as_chunks() -> None:
    chunks = read(MESSAGES.reader(), stream("stream_text"))
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [one["choices"][0]["delta"].get("content") for one in chunks[1:3]] == ["Hello", " there"]
    assert chunks[3]["choices"][0]["finish_reason"] == "stop"
    assert chunks[3]["choices"][0]["stop_reason"] == "END"
    assert chunks[4]["choices"] == []
    assert chunks[4]["usage"]["prompt_tokens"] == 35
    assert chunks[4]["usage"]["completion_tokens"] == 15
    assert len(chunks) == 5


def test_the_span_reads_what_the_chunks_say() -> None:
    output = usage.streamed(read(MESSAGES.reader(), stream("stream_tools")))
    assert output.messages[0]["content"] == "I look."
    arguments = [json.loads(call["function"]["arguments"]) for call in output.messages[0]["tool_calls"]]
    assert arguments == [{"location": "San Francisco"}, {}]
    assert (output.finish_reason, output.usage.input, output.usage.output) == ("tool_calls", 472, 89)


def test_what_is_known_of_the_usage_when_a_stream_breaks_off() -> None:
    reader = MESSAGES.reader()
    read(reader, stream("stream_text")[:4])
    assert reader.usage is not None
    assert reader.usage["prompt_tokens"] == 35
    assert not reader.done


def test_an_error_event_is_raised() -> None:
    reader = MESSAGES.reader()
    with pytest.raises(ProviderFailed, match="Overloaded"):
        read(reader, stream("stream_error"))


def test_every_event_that_ends_counts_or_fails_bears_a_mark() -> None:
    for name in (*STREAMS, "stream_error"):
        for event in (FOLDER / f"{name}.sse").read_bytes().split(b"\n\n"):
            if any(word in event for word in (b'"usage"', b"message_stop", b"event: error")):
                assert any(mark in event for mark in MESSAGES.marks)


def test_an_empty_stream_is_a_whole_message() -> None:
    told = written([])
    assert told["content"] == []
    assert told["stop_reason"] == "end_turn"
    assert told["model"] == "support"


def test_usage_that_comes_last_is_told() -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
    told = written(
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Hi"}),
            chunk({}, finish="length"),
            chunk(usage=counts),
        ]
    )
    assert told["stop_reason"] == "max_tokens"
    assert told["usage"] == {
        "input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 5,
        "output_tokens": 4,
    }


def call(index: int | None, arguments: str = "", **fields: str) -> Json:
    function = {"arguments": arguments, **({"name": fields.pop("name")} if "name" in fields else {})}
    return {"tool_calls": [{**({} if index is None else {"index": index}), **fields, "function": function}]}


@pytest.mark.parametrize(
    "deltas",
    [
        [call(0, id="a", name="f"), call(0, '{"x":'), call(0, "1}"), call(1, id="b", name="g"), call(1, "{}")],
        [
            call(0, id="a", name="f"),
            call(1, id="b", name="g"),
            call(0, '{"x":'),
            call(1, "{"),
            call(0, "1}"),
            call(1, "}"),
        ],
        [call(0, '{"x":1}', id="a", name="f"), call(0, "{}", id="b", name="g")],
        [call(None, '{"x":1}', id="a", name="f"), call(None, "{}", id="b", name="g")],
        [call(0, '{"x":1}'), call(0, id="a", name="f"), call(1, id="b", name="g")],
    ],
    ids=["in turn", "interleaved", "one index", "no index", "name last"],
)
def test_calls_are_told_one_after_the_other(deltas: list[Json]) -> None:
    told = written([chunk({"content": "Wait."}), *(chunk(delta) for delta in deltas), chunk({}, finish="tool_calls")])
    assert told["content"] == [
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    assert told["stop_reason"] == "tool_use"


def test_thoughts_in_the_form_of_other_gateways() -> None:
    pieces = [("Hm", None), ("m.", None), ("", "sig")]
    deltas = [
        {"reasoning_content": text, "thinking_blocks": [{"type": "thinking", "thinking": text, "signature": signature}]}
        for text, signature in pieces
    ]
    told = written([*(chunk(delta) for delta in deltas), chunk({"content": "4"}), chunk({}, finish="stop")])
    assert told["content"] == [
        {"type": "thinking", "thinking": "Hmm.", "signature": "sig"},
        {"type": "text", "text": "4"},
    ]


def test_half_an_emoji_passes() -> None:
    raw = MESSAGES.writer({}, include_usage=True).write(chunk({"content": "\ud83d"}))
    assert events(raw)[-1][1]["delta"]["text"] == "\ud83d"


def test_further_choices_are_not_told() -> None:
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": None}
    told = written([{**chunk(), "choices": [other]}, chunk({"content": "one"})])
    assert told["content"] == [{"type": "text", "text": "one"}]
