"""Anthropic's answers and errors as chat and back, and counting."""

import json

import pytest

from noria.core.errors import (
    BadInput,
    Conflict,
    Forbidden,
    Limited,
    NoriaError,
    NotFound,
    ProviderFailed,
    TimedOut,
    TooLarge,
    Unauthenticated,
)
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import Messages, count_request, count_tokens, headers
from noria.gateway.failures import ProviderRefused
from tests.gateway.dialects.messages_fixtures import fixture

MESSAGES = Messages()


def chat(message: Json, **choice: object) -> Json:
    return {"id": "c1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}


def test_an_answer_as_chat() -> None:
    told = MESSAGES.to_answer(fixture("answer_tools")["answer"])
    message = told["choices"][0]["message"]
    assert told["object"] == "chat.completion"
    assert told["choices"][0]["finish_reason"] == "tool_calls"
    assert message["content"] == "I look at both."
    assert message["reasoning_content"] == "Both places are asked for."
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"location":"제주"}', "{}"]
    assert told["usage"]["prompt_tokens"] == 21 + 188 + 1800
    assert told["usage"]["prompt_tokens_details"] == {"cached_tokens": 1800, "cache_write_tokens": 188}
    assert told["usage"]["completion_tokens_details"] == {"reasoning_tokens": 40}
    assert told["usage"]["cache_creation_input_tokens"] == 188
    assert told["usage"]["total_tokens"] == 2009 + 93


def test_an_answer_comes_back_as_it_was() -> None:
    answer = fixture("answer_tools")["answer"]
    assert MESSAGES.answer(MESSAGES.to_answer(answer), {}) == answer


@pytest.mark.parametrize("case", fixture("answer_stopped")["answers"])
def test_every_reason_to_stop_survives(case: Json) -> None:
    ended = {"stop_sequence": None, **{name: value for name, value in case.items() if name != "finish_reason"}}
    told = MESSAGES.to_answer({"content": [{"type": "text", "text": "x"}], **ended})
    assert told["choices"][0]["finish_reason"] == case["finish_reason"]
    back = MESSAGES.answer(told, {})
    assert {name: back[name] for name in ended} == ended


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
def test_chats_reasons_have_anthropics_names(finish: str, stop: str) -> None:
    told = MESSAGES.answer(chat({"content": "x"}, finish_reason=finish), {})
    assert (told["stop_reason"], told["stop_sequence"]) == (stop, None)


def test_a_provider_that_says_stop_after_calls_is_corrected() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1"}}
    told = MESSAGES.answer(chat({"content": None, "tool_calls": [call]}), {})
    assert told["stop_reason"] == "tool_use"
    assert told["content"][0]["input"] == {"INVALID_JSON": "[1"}


def test_the_stop_sequence_that_vllm_names_is_told() -> None:
    told = MESSAGES.answer(chat({"content": "x"}, stop_reason="END"), {})
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "END")


def test_a_refusal_is_told_as_one() -> None:
    told = MESSAGES.answer(chat({"content": None, "refusal": "No."}), {"model": "support"})
    assert told["stop_reason"] == "refusal"
    assert told["stop_details"]["explanation"] == "No."
    assert told["content"] == [{"type": "text", "text": "No."}]


def test_reasoning_without_a_signature_is_a_thinking_block() -> None:
    told = MESSAGES.answer(chat({"content": "4", "reasoning_content": "2+2"}), {})
    assert told["content"][0] == {"type": "thinking", "thinking": "2+2", "signature": ""}


@pytest.mark.parametrize("answer", [{}, {"content": "x"}, {"content": None, "type": "message"}])
def test_what_is_no_message_is_refused(answer: Json) -> None:
    with pytest.raises(ProviderFailed):
        MESSAGES.to_answer(answer)


def test_an_error_in_place_of_an_answer() -> None:
    with pytest.raises(ProviderRefused, match="Overloaded") as refused:
        MESSAGES.to_answer(fixture("errors")["answer"])
    assert (refused.value.provider_status, refused.value.kind) == (529, "overloaded_error")


@pytest.mark.parametrize(
    "error",
    [
        BadInput("x"),
        Unauthenticated("x"),
        Forbidden("x"),
        NotFound("x"),
        Conflict("x"),
        TooLarge("x"),
        Limited("x"),
        NoriaError("x"),
        TimedOut("x"),
    ],
)
def test_errors_have_anthropics_shape(error: NoriaError) -> None:
    error.hint = "Do this."
    kind = fixture("errors")["types"][str(error.status)]
    wanted = {"type": "error", "error": {"type": kind, "message": "x Do this."}}
    assert json.loads(MESSAGES.error(error)) == wanted
    assert json.loads(MESSAGES.error(error, "req_1")) == {**wanted, "request_id": "req_1"}
    event, data = MESSAGES.error_event(error).rstrip(b"\n").split(b"\n")
    assert event == b"event: error"
    assert json.loads(data.removeprefix(b"data: ")) == wanted


def test_a_providers_own_kind_of_error_is_kept() -> None:
    refused = ProviderRefused(529, "Overloaded", kind="overloaded_error")
    assert json.loads(MESSAGES.error(refused))["error"]["type"] == "overloaded_error"
    other = ProviderRefused(400, "No", kind="something_else")
    assert json.loads(MESSAGES.error(other))["error"]["type"] == "invalid_request_error"


def test_counting_passes_on_what_counts() -> None:
    request = fixture("request_parameters")["request"]
    assert sorted(count_request(request)) == ["messages", "output_config"]


def test_the_estimate_says_that_it_is_one_and_grows_with_the_text() -> None:
    def counted(text: str) -> int:
        told = count_tokens({"messages": [{"role": "user", "content": text}]})
        assert told["estimated"] is True
        return int(told["input_tokens"])

    assert counted("word " * 100) == pytest.approx(129, abs=10)
    assert counted("단어 " * 100) > counted("abc " * 100)
    picture = {"type": "image", "source": {"type": "base64", "data": "A" * 1_000_000}}
    assert count_tokens({"messages": [{"role": "user", "content": [picture]}]})["input_tokens"] < 2_000


def test_headers_hold_the_version_and_a_key_where_there_is_one() -> None:
    assert headers("") == {"anthropic-version": "2023-06-01"}
    assert headers("k")["x-api-key"] == "k"
