"""Gemini's dialect against its published formats; each fixture names its source, its date and what is uncertain."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from noria.core.errors import BadInput, ProviderFailed
from noria.gateway.dialects.base import ProviderDialect
from noria.gateway.dialects.gemini import Gemini
from noria.gateway.failures import ProviderRefused
from noria.gateway.providers.events import ServerSentEvents
from tests.gateway.dialects.chunks import damaged, together, without_random

FOLDER = Path(__file__).parent / "fixtures" / "gemini"
GEMINI: ProviderDialect = Gemini()


def fixture(name: str) -> Any:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert found["source"] and found["date"] and "uncertain" in found
    return found


@pytest.mark.parametrize("name", ["request_tools", "request_parameters"])
def test_requests(name: str) -> None:
    case = fixture(name)
    before = copy.deepcopy(case["chat"])
    assert GEMINI.from_chat(case["chat"]) == case["request"]
    assert case["chat"] == before


def test_parameters_alone() -> None:
    case = fixture("request_parameters")
    wanted = {name: value for name, value in case["request"].items() if name != "contents"}
    assert GEMINI.parameters({**case["chat"], "messages": None}) == wanted
    assert GEMINI.parameters({}) == {}


@pytest.mark.parametrize("name", ["answer_tools", "answer_blocked"])
def test_answers(name: str) -> None:
    case = fixture(name)
    assert without_random(GEMINI.to_answer(case["answer"]), case["chat"]) == case["chat"]


def test_what_the_model_said_goes_back_as_it_was() -> None:
    answer = fixture("answer_tools")["answer"]
    message = GEMINI.to_answer(answer)["choices"][0]["message"]
    [content] = GEMINI.from_chat({"messages": [message]})["contents"]
    told = [part for part in answer["candidates"][0]["content"]["parts"] if not part.get("thought")]
    assert content["parts"][0] == {"text": "I look at both."}
    assert content["parts"][1] == told[2]
    assert content["parts"][2]["functionCall"]["args"] == {"location": "서울"}


def test_signatures_and_parts_without_a_word_survive() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    parts = [code, {"text": "2", "thoughtSignature": "c2ln"}]
    answer = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    message = GEMINI.to_answer(answer)["choices"][0]["message"]
    assert GEMINI.from_chat({"messages": [message]})["contents"] == [{"role": "model", "parts": parts}]


def test_images_that_the_model_made_survive() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    message = GEMINI.to_answer({"candidates": [{"content": {"parts": [blob]}}]})["choices"][0]["message"]
    assert message["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    assert GEMINI.from_chat({"messages": [message]})["contents"][0]["parts"] == [blob]


def read(events: list[tuple[str, bytes]]) -> tuple[list[Any], bool]:
    reader = GEMINI.reader()
    chunks = [chunk for name, data in events for chunk in reader.read(name, json.loads(data))]
    return chunks, reader.done


def test_a_stream() -> None:
    cutter = ServerSentEvents()
    events = cutter.feed((FOLDER / "stream_tools.sse").read_bytes()) + cutter.end()
    assert len(events) == 4
    chunks, done = read(events)
    assert done and chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert {chunk["id"] for chunk in chunks} == {"r-1"} and chunks[-1]["model"] == "gemini-3-flash"
    told = together(chunks)
    message = told["message"]
    assert (message["content"], message["reasoning_content"]) == ("안녕 there.", "Thinking it over.")
    assert message["extra_content"] == {"google": {"thought_signature": "c2lnLTA="}}
    first, second = message["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "c2lnLTE="}}
    assert (first["id"], first["function"]) == ("fc_1", {"name": "get_weather", "arguments": '{"location":"Jeju"}'})
    assert second["function"] == {"name": "now", "arguments": "{}"}
    [end] = told["ends"]
    assert (end["finish_reason"], end["native_finish_reason"]) == ("tool_calls", "STOP")
    assert told["usage"]["completion_tokens"] == 27 and told["usage"]["prompt_tokens"] == 9
    assert not read(events[:3])[1]


def test_a_stream_of_several_candidates_is_complete_when_all_are() -> None:
    reader = GEMINI.reader()
    part = {"content": {"parts": [{"text": "x"}]}}
    reader.read("", {"candidates": [{**part, "index": 1}, {**part, "index": 0}]})
    reader.read("", {"candidates": [{"index": 1, "finishReason": "MAX_TOKENS"}]})
    assert not reader.done
    [end] = reader.read("", {"candidates": [{"index": 0, "finishReason": "SAFETY"}]})
    assert reader.done and end["choices"][0]["finish_reason"] == "content_filter"


def test_a_blocked_prompt_and_an_error_end_a_stream() -> None:
    reader = GEMINI.reader()
    [said] = reader.read("", fixture("answer_blocked")["answer"] | {"usageMetadata": None})
    assert reader.done and said["choices"][0]["finish_reason"] == "content_filter"
    with pytest.raises(ProviderRefused, match="overloaded") as error:
        GEMINI.reader().read(
            "", {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
        )
    assert (error.value.status, error.value.code) == (503, "UNAVAILABLE")


def test_log_probabilities() -> None:
    token = {"token": "한", "tokenId": 7, "logProbability": -0.5}
    result = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
    answer = GEMINI.to_answer({"candidates": [{"content": {}, "logprobsResult": result}]})
    [found] = answer["choices"][0]["logprobs"]["content"]
    assert found["logprob"] == -0.5 and bytes(found["bytes"]).decode() == "한" and len(found["top_logprobs"]) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"grammar": "root"}, "grammar"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"stop": [1]}, "stop"),
        ({"tools": [{"type": "web_search"}]}, r"tools\[0\]"),
        ({"tools": [{"type": "function", "function": {}}]}, r"tools\[0\].function"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "robot"}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": ""}]}, r"messages\[0\].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "widget"}]}]}, r"messages\[0\].content\[0\]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, r"content\[0\].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x,y"}}]}]},
            "base64",
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
            "text",
        ),
        ({"messages": [{"role": "assistant", "function_call": {}}]}, "function_call"),
    ],
)
def test_wishes_that_cannot_be_told(more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        GEMINI.from_chat({"messages": [{"role": "user", "content": "x"}], **more})


@pytest.mark.parametrize(
    ("more", "config"),
    [
        ({"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        ({"thinking": {"type": "enabled", "budget_tokens": 512}}, {"thinkingBudget": 512, "includeThoughts": True}),
        ({"thinking": {"type": "adaptive"}}, {"thinkingBudget": -1, "includeThoughts": True}),
        ({"google": {"thinking_config": {"thinking_level": "high"}}}, {"thinkingLevel": "high"}),
        ({"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}}, {"includeThoughts": True}),
    ],
)
def test_thinking(more: dict[str, Any], config: dict[str, Any]) -> None:
    assert GEMINI.parameters(more) == {"generationConfig": {"thinkingConfig": config}}


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (None, False, None),
        ("auto", False, {"mode": "AUTO"}),
        ("none", False, {"mode": "NONE"}),
        ("required", False, {"mode": "ANY"}),
        (None, True, {"mode": "VALIDATED"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            False,
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_choices_of_tools(choice: Any, strict: bool, config: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f", "strict": strict}}]
    told = GEMINI.parameters({"tools": tools, "tool_choice": choice})
    assert told.get("toolConfig") == (config and {"functionCallingConfig": config})


@pytest.mark.parametrize("name", ["answer_tools", "answer_blocked"])
def test_a_damaged_answer_is_an_answer_or_a_failure(name: str) -> None:
    for answer in damaged(fixture(name)["answer"]):
        if isinstance(answer, dict):
            with suppress(ProviderFailed):
                json.dumps(GEMINI.to_answer(answer))


def test_a_damaged_stream_is_read_or_a_failure() -> None:
    cutter = ServerSentEvents()
    for _, data in cutter.feed((FOLDER / "stream_tools.sse").read_bytes()):
        for event in damaged(json.loads(data)):
            reader = GEMINI.reader()
            if isinstance(event, dict):
                with suppress(ProviderFailed):
                    json.dumps([*reader.read("", event), *reader.read("", json.loads(data))])
