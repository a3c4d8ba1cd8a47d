"""Whole answers, told as responses and read as chat; checked against the types of OpenAI's own client."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from noria.core.errors import BadInput, ProviderFailed
from noria.gateway.dialects.responses import Responses

FIXTURES = Path(__file__).parent / "fixtures" / "responses"
RESPONSES = Responses()
REQUEST = {
    "model": "support",
    "input": "hi",
    "instructions": "Be brief.",
    "tools": [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "function", "name": "get_weather"},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low"},
    "metadata": {"ticket": "7"},
    "temperature": 0.5,
    "max_output_tokens": 50,
    "store": False,
}


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))["answer"]


def chat(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return {"id": "c", "created": 1764000000, "model": "served", "choices": [choice], **more}


WHOLE = ["text", "calls", "reasoning", "annotated", "refusal", "incomplete"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_providers_answer_survives_the_way_there_and_back(name: str) -> None:
    given_answer = fixture(name)
    Response.model_validate(given_answer)
    read = RESPONSES.to_answer(given_answer)
    ChatCompletion.model_validate(read)
    told = RESPONSES.answer(read, {"model": "m", "input": "x"})
    Response.model_validate(told)
    for field in ("status", "incomplete_details", "usage", "model", "created_at"):
        assert told[field] == given_answer[field], field
    assert [_without_id(item) for item in told["output"]] == [_without_id(item) for item in given_answer["output"]]


def _without_id(item: dict[str, Any]) -> dict[str, Any]:
    """Thoughts keep the id under which their provider knows them; the others are ours."""
    return item if item["type"] == "reasoning" else {name: value for name, value in item.items() if name != "id"}


def test_finish_reasons() -> None:
    assert RESPONSES.to_answer(fixture("text"))["choices"][0]["finish_reason"] == "stop"
    assert RESPONSES.to_answer(fixture("calls"))["choices"][0]["finish_reason"] == "tool_calls"
    assert RESPONSES.to_answer(fixture("incomplete"))["choices"][0]["finish_reason"] == "length"
    filtered = {**fixture("incomplete"), "incomplete_details": {"reason": "content_filter"}}
    assert RESPONSES.to_answer(filtered)["choices"][0]["finish_reason"] == "content_filter"


def test_an_answer_repeats_its_request() -> None:
    told = RESPONSES.answer(chat({"content": "{}"}), REQUEST)
    parsed = Response.model_validate(told)
    assert parsed.output_text == "{}"
    assert {name: told[name] for name in ("instructions", "metadata", "temperature", "max_output_tokens", "store")} == {
        name: REQUEST[name] for name in ("instructions", "metadata", "temperature", "max_output_tokens", "store")
    }
    assert told["tools"] == REQUEST["tools"] and told["text"] == REQUEST["text"]
    assert (told["status"], told["usage"], told["model"]) == ("completed", None, "served")
    assert told["reasoning"] == {"effort": "low", "summary": None}


def test_thoughts_text_and_calls_stand_in_this_order_with_stable_ids() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    custom = {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    message = {"content": "Hi", "reasoning_content": "hm", "refusal": None, "tool_calls": [call, custom]}
    told = RESPONSES.answer(chat(message, "length"), REQUEST)
    Response.model_validate(told)
    digits = told["id"].removeprefix("resp_")
    assert [item["type"] for item in told["output"]] == ["reasoning", "message", "function_call", "custom_tool_call"]
    assert [item["id"] for item in told["output"]] == [
        f"{kind}_{digits}0{place}" for place, kind in enumerate(("rs", "msg", "fc", "ctc"))
    ]
    assert told["output"][2]["call_id"].startswith("call_")
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}


def test_thoughts_of_another_provider_come_back_through_the_caller_as_they_were() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s="}, {"type": "redacted_thinking", "data": "d"}]
    extra = {"google": {"thought_signature": "g"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": extra}
    message = {"content": None, "reasoning_content": "hm", "thinking_blocks": blocks, "tool_calls": [call]}
    told = RESPONSES.answer(chat(message, "tool_calls"), REQUEST)
    Response.model_validate(told)
    writer = RESPONSES.writer(REQUEST, include_usage=False)
    for delta in ({"reasoning_content": "hm"}, {"thinking_blocks": blocks}, {"tool_calls": [{"index": 0, **call}]}):
        writer.write({"choices": [{"index": 0, "delta": delta}]})
    assert writer.end()
    for output in (told["output"], writer.response["output"]):
        returned = RESPONSES.to_chat({"input": output})["messages"]
        assert returned == [{"role": "assistant", **message}]
    broken = {"type": "reasoning", "summary": [], "encrypted_content": "noria1.e30="}
    with pytest.raises(BadInput, match="encrypted_content"):
        RESPONSES.to_chat({"input": [broken]})


def test_an_empty_answer_is_an_empty_message() -> None:
    told = RESPONSES.answer({"choices": []}, {"model": "m", "input": "x"})
    Response.model_validate(told)
    assert [part["text"] for part in told["output"][0]["content"]] == [""]


@pytest.mark.parametrize(
    "answer",
    [{}, {"output": None}, {"output": "x"}, {"output": [], "status": "in_progress"}, {"output": [], "status": ["x"]}],
)
def test_what_is_no_response_is_a_failure_of_the_provider(answer: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed, match="no finished response"):
        RESPONSES.to_answer(answer)


def test_a_failed_response_says_why() -> None:
    with pytest.raises(ProviderFailed, match="The server had an error") as caught:
        RESPONSES.to_answer(fixture("failed"))
    assert caught.value.code == "server_error"


NAMES = [
    "type",
    "id",
    "content",
    "summary",
    "text",
    "annotations",
    "call_id",
    "arguments",
    "name",
    "logprobs",
    "reason",
]
KINDS = [
    "message",
    "reasoning",
    "function_call",
    "output_text",
    "refusal",
    "web_search_call",
    "completed",
    "incomplete",
]
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.sampled_from(KINDS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)),
    max_leaves=15,
)
ODD = st.dictionaries(
    st.sampled_from(["output", "status", "usage", "error", "incomplete_details", "created_at", "model", "id"]), JUNK
)


@settings(max_examples=400, deadline=None)
@given(ODD, st.lists(JUNK, max_size=3))
def test_odd_answers_raise_nothing_but_provider_failed(answer: dict[str, Any], output: list[Any]) -> None:
    for odd in (answer, {**answer, "output": output, "status": "completed", "error": None}):
        try:
            RESPONSES.answer(RESPONSES.to_answer(odd), REQUEST)
        except ProviderFailed:
            assert odd.get("status") != "completed" or odd.get("error") or not isinstance(odd.get("output"), list)


CHAT_NAMES = [
    "content",
    "refusal",
    "reasoning_content",
    "reasoning_details",
    "tool_calls",
    "annotations",
    "function_call",
]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(CHAT_NAMES), JUNK), JUNK, JUNK)
def test_odd_chat_answers_become_valid_responses(message: dict[str, Any], usage: Any, logprobs: Any) -> None:
    told = chat(message, usage=usage)
    told["choices"][0]["logprobs"] = logprobs
    assert RESPONSES.answer(told, REQUEST)["object"] == "response"
