"""Bedrock's Converse dialect against its published formats; each fixture names its source, its date and what is uncertain."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from noria.core.errors import BadInput, ProviderFailed
from noria.gateway.dialects.base import ProviderDialect
from noria.gateway.dialects.converse import Converse
from noria.gateway.failures import ProviderRefused
from tests.gateway.dialects.chunks import damaged, together, without_random

FOLDER = Path(__file__).parent / "fixtures" / "converse"
CONVERSE: ProviderDialect = Converse()


def fixture(name: str) -> Any:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert found["source"] and found["date"] and "uncertain" in found
    return found


@pytest.mark.parametrize("name", ["request_tools", "request_parameters"])
def test_requests(name: str) -> None:
    case = fixture(name)
    before = copy.deepcopy(case["chat"])
    assert CONVERSE.from_chat(case["chat"]) == case["request"]
    assert case["chat"] == before


def test_parameters_alone() -> None:
    case = fixture("request_parameters")
    wanted = {name: value for name, value in case["request"].items() if name != "messages"}
    assert CONVERSE.parameters({**case["chat"], "messages": None}) == wanted
    assert CONVERSE.parameters({}) == {}


def test_answers() -> None:
    case = fixture("answer_tools")
    assert without_random(CONVERSE.to_answer(case["answer"]), case["chat"]) == case["chat"]


def test_what_the_model_said_goes_back_as_it_was() -> None:
    said = fixture("answer_tools")["answer"]["output"]["message"]
    message = CONVERSE.to_answer(fixture("answer_tools")["answer"])["choices"][0]["message"]
    assert CONVERSE.from_chat({"messages": [message]})["messages"] == [said]


def test_blocks_without_a_word_survive() -> None:
    search = {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    said = {"role": "assistant", "content": [search, {"text": "Found."}]}
    answer = CONVERSE.to_answer({"output": {"message": said}, "stopReason": "end_turn"})
    assert "usage" not in answer and answer["choices"][0]["finish_reason"] == "stop"
    assert CONVERSE.from_chat({"messages": [answer["choices"][0]["message"]]})["messages"] == [said]


def test_a_stream() -> None:
    events = fixture("stream_tools")["events"]
    reader = CONVERSE.reader()
    chunks: list[Any] = []
    for name, data in events:
        assert not reader.done
        chunks += reader.read(name, data)
    assert reader.done and chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    told = together(chunks)
    message = told["message"]
    assert (message["content"], message["reasoning_content"]) == ("안녕 there.", "Two calls.")
    assert message["thinking_blocks"] == [{"type": "thinking", "thinking": "Two calls.", "signature": "c2ln"}]
    assert message["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": '{"location":"Jeju"}'}},
        {"id": "t2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    [end] = told["ends"]
    assert (end["finish_reason"], end["native_finish_reason"]) == ("tool_calls", "tool_use")
    assert told["usage"]["total_tokens"] == 30


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("throttlingException", 429),
        ("validationException", 400),
        ("serviceUnavailableException", 503),
        ("internalServerException", 502),
        ("modelStreamErrorException", 502),
        ("error", 502),
    ],
)
def test_exceptions_in_a_stream(event: str, status: int) -> None:
    with pytest.raises(ProviderRefused, match="Slow down") as error:
        CONVERSE.reader().read(event, {"message": "Slow down"})
    assert error.value.status == status


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_reasons(reason: str, told: str) -> None:
    answer = CONVERSE.to_answer({"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": reason})
    assert answer["choices"][0]["finish_reason"] == told
    assert answer["choices"][0]["native_finish_reason"] == reason


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"n": 2}, "'n'"),
        ({"logprobs": True}, "logprobs"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"tools": [{"type": "web_search"}]}, r"tools\[0\]"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/a.png"}}]}
                ]
            },
            "data",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}],
                    }
                ]
            },
            "type",
        ),
        (
            {
                "messages": [
                    {
                        "role": "system",
                        "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
                    }
                ]
            },
            "text",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "tool_call_id"),
    ],
)
def test_wishes_that_cannot_be_told(more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        CONVERSE.from_chat({"messages": [{"role": "user", "content": "x"}], **more})


def test_tools_that_must_not_be_called() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    user = {"role": "user", "content": "x"}
    assert "toolConfig" not in CONVERSE.from_chat({"messages": [user], "tools": tools, "tool_choice": "none"})
    used = [user, {"role": "tool", "tool_call_id": "c", "content": "y"}]
    with pytest.raises(BadInput, match="tool_choice"):
        CONVERSE.from_chat({"messages": used, "tools": tools, "tool_choice": "none"})
    named = {"type": "function", "function": {"name": "f"}}
    assert CONVERSE.parameters({"tools": tools, "tool_choice": named})["toolConfig"]["toolChoice"] == {
        "tool": {"name": "f"}
    }


def test_long_and_foreign_ids_change_alike_in_call_and_result() -> None:
    known = "call:" + "x" * 100
    call = {"id": known, "type": "function", "function": {"name": "f", "arguments": "{"}}
    told = CONVERSE.from_chat(
        {
            "messages": [
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": known, "content": ""},
            ]
        }
    )["messages"]
    used, result = told[0]["content"][0]["toolUse"], told[1]["content"][0]["toolResult"]
    assert used["toolUseId"] == result["toolUseId"] and len(used["toolUseId"]) <= 64
    assert used["input"] == {"INVALID_JSON": "{"}


def test_the_effort_none_is_no_thinking() -> None:
    assert CONVERSE.parameters({"reasoning_effort": "none"}) == {
        "additionalModelRequestFields": {"thinking": {"type": "disabled"}}
    }


def test_a_damaged_answer_is_an_answer_or_a_failure() -> None:
    for answer in damaged(fixture("answer_tools")["answer"]):
        if isinstance(answer, dict):
            with suppress(ProviderFailed):
                json.dumps(CONVERSE.to_answer(answer))


def test_a_damaged_stream_is_read_or_a_failure() -> None:
    events = fixture("stream_tools")["events"]
    for place, (name, data) in enumerate(events):
        for odd in damaged(data):
            reader = CONVERSE.reader()
            if isinstance(odd, dict):
                with suppress(ProviderFailed):
                    for event, sound in [*events[:place], (name, odd), *events[place + 1 :]]:
                        json.dumps(reader.read(event, sound))
