"""Anthropic's requests as chat and back: nothing is lost between a client and a provider of that dialect."""

from typing import Any

import pytest

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import Messages, plain
from noria.gateway.dialects.messages.check import check
from tests.gateway.dialects.messages_fixtures import fixture

MESSAGES = Messages()
REQUESTS = ("request_tools", "request_thinking", "request_media", "request_parameters")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_comes_back_as_it_was(name: str) -> None:
    request = fixture(name)["request"]
    before = fixture(name)["request"]
    MESSAGES.check(request)
    told = MESSAGES.from_chat(MESSAGES.to_chat(request))
    assert request == before
    wanted = {key: value for key, value in request.items() if key not in ("model", "stream")}
    if name == "request_media":  # a system message in between goes to the others
        wanted["system"] = [*wanted["system"], {"type": "text", "text": "From now on answer in Korean."}]
        wanted["messages"] = [message for message in wanted["messages"] if message["role"] != "system"]
    assert told == wanted


def test_results_of_tools_are_messages_of_their_own_in_chat() -> None:
    chat = MESSAGES.to_chat(fixture("request_tools")["request"])
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert chat["messages"][1]["content"] == "I look at both."
    assert [call["function"]["arguments"] for call in chat["messages"][1]["tool_calls"]] == [
        '{"location":"Jeju"}',
        '{"location":"Seoul"}',
    ]
    assert chat["messages"][2] == {"role": "tool", "tool_call_id": "toolu_01A", "content": "21 degrees"}
    assert chat["messages"][3]["is_error"] is True
    assert chat["tool_choice"] == "required"
    assert chat["parallel_tool_calls"] is False
    assert chat["tools"][0]["function"]["parameters"]["required"] == ["location"]
    assert chat["tools"][1] == {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}


def test_parameters_have_chats_names() -> None:
    chat = MESSAGES.to_chat(fixture("request_parameters")["request"])
    assert chat["stop"] == ["\n\nHuman:", "END"]
    assert chat["user"] == "13803d75-b4b5-4c3e-b2a2-6f21399b021b"
    assert chat["service_tier"] == "default"
    assert chat["reasoning_effort"] == "medium"
    assert chat["response_format"]["json_schema"]["schema"]["required"] == ["name"]
    assert (chat["max_tokens"], chat["temperature"], chat["top_k"], chat["inference_geo"]) == (300, 0.4, 5, "eu")
    assert not {"model", "stream", "output_config", "metadata", "stop_sequences"} & chat.keys()


def test_pictures_and_documents_have_chats_words_where_it_has_some() -> None:
    parts = MESSAGES.to_chat(fixture("request_media")["request"])["messages"][1]["content"]
    assert parts[0] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    assert parts[1]["image_url"]["url"] == "https://example.com/ant.jpg"
    assert parts[1]["cache_control"] == {"type": "ephemeral"}
    assert parts[2]["type"] == "image"
    assert parts[3]["file"] == {"filename": "report.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQ="}
    assert parts[4]["type"] == "document"


def test_a_signature_survives_beside_the_reasoning() -> None:
    message = MESSAGES.to_chat(fixture("request_thinking")["request"])["messages"][1]
    assert message["reasoning_content"] == "The user wants the weather; I need the tool."
    assert [block["type"] for block in message["thinking_blocks"]] == ["thinking", "redacted_thinking"]
    assert message["content"] is None


def test_a_marked_text_of_an_assistant_keeps_its_mark() -> None:
    block = {"type": "text", "text": "Yes.", "cache_control": {"type": "ephemeral"}}
    request = {"max_tokens": 1, "messages": [{"role": "assistant", "content": [block]}]}
    assert MESSAGES.from_chat(MESSAGES.to_chat(request))["messages"] == request["messages"]


def test_plain_takes_away_what_only_anthropic_knows() -> None:
    chat, gone = plain(MESSAGES.to_chat(fixture("request_tools")["request"]))
    assert gone == ["cache_control", "is_error"]
    assert "cache_control" not in chat["tools"][0]
    chat, gone = plain(MESSAGES.to_chat(fixture("request_thinking")["request"]))
    assert gone == ["reasoning_content", "thinking", "thinking_blocks"]
    chat, gone = plain(MESSAGES.to_chat(fixture("request_media")["request"]))
    assert chat["messages"][1]["content"][4] == {"type": "text", "text": "note\n\nAnts are insects."}


def test_plain_moves_pictures_of_results_to_a_user() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    results = [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "seen"}, picture]},
        {"type": "tool_result", "tool_use_id": "b", "content": [picture]},
    ]
    chat, _ = plain(MESSAGES.to_chat({"max_tokens": 1, "messages": [{"role": "user", "content": results}]}))
    assert [message["role"] for message in chat["messages"]] == ["tool", "tool", "user"]
    assert chat["messages"][0]["content"] == [{"type": "text", "text": "seen"}]
    assert chat["messages"][1]["content"] == ""
    assert [part["type"] for part in chat["messages"][2]["content"]] == ["image_url", "image_url"]


def chat_request(**fields: Any) -> Json:
    return {"messages": [{"role": "user", "content": "Hi"}], **fields}


def test_a_chat_caller_gets_the_documented_default_of_tokens() -> None:
    assert MESSAGES.from_chat(chat_request())["max_tokens"] == 4096
    assert MESSAGES.from_chat(chat_request(thinking={"type": "enabled", "budget_tokens": 2000}))["max_tokens"] == 6096
    assert MESSAGES.from_chat(chat_request(max_completion_tokens=7, max_tokens=9))["max_tokens"] == 7
    assert "max_tokens" not in MESSAGES.parameters({"temperature": 0.1})


@pytest.mark.parametrize(
    ("chat", "told"),
    [
        ({"temperature": 1.7}, {"temperature": 1}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"n": 1, "logprobs": False, "presence_penalty": 0.0, "seed": 3, "store": True}, {}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"top_k": 3, "speed": "fast"}, {"top_k": 3, "speed": "fast"}),
        ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        ({"service_tier": "priority"}, {"service_tier": "auto"}),
    ],
)
def test_chats_parameters_have_anthropics_names(chat: Json, told: Json) -> None:
    assert MESSAGES.parameters({**chat, "stream": True, "stream_options": {}}) == told


def test_one_tool_at_a_time_is_said_in_the_choice() -> None:
    tool = {"type": "function", "function": {"name": "now"}}
    told = MESSAGES.parameters({"tools": [tool], "parallel_tool_calls": False})
    assert told["tools"] == [{"name": "now", "input_schema": {"type": "object", "properties": {}}}]
    assert told["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_ids_of_other_providers_are_made_fit_alike_in_call_and_result() -> None:
    call = {"id": "functions.now:0", "type": "function", "function": {"name": "now", "arguments": ""}}
    messages = [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "functions.now:0", "content": "noon"},
        {"role": "user", "content": "Thanks"},
    ]
    told = MESSAGES.from_chat({"messages": messages})["messages"]
    assert told[1]["content"] == [{"type": "tool_use", "id": "functions_now_0", "name": "now", "input": {}}]
    assert told[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "functions_now_0", "content": "noon"},
            {"type": "text", "text": "Thanks"},
        ],
    }


def test_unsigned_reasoning_and_broken_arguments_do_not_break_the_request() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}
    message = {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [call]}
    told = MESSAGES.from_chat({"messages": [message]})["messages"][0]["content"]
    assert told == [{"type": "tool_use", "id": "c", "name": "f", "input": {"INVALID_JSON": '{"a": '}}]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"functions": [{}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"tools": {}}, "tools"),
        ({"tools": [3]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0]"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"messages": 3}, "messages"),
        ({"messages": [{"role": "function", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0].file.file_data",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, "messages[0].tool_calls[0].function"),
        ({"messages": [{"role": "assistant", "function_call": {}}]}, "messages[0]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(fields: Json, named: str) -> None:
    with pytest.raises(BadInput) as refused:
        MESSAGES.from_chat(chat_request(**fields))
    assert named in refused.value.message


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        ({"system": 3}, "system"),
        ({"system": [{"type": "image", "source": {}}]}, "system[0]"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"metadata": {"user_id": 3}}, "metadata.user_id"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
    ],
)
def test_a_callers_mistake_is_named(fields: Json, named: str) -> None:
    with pytest.raises(BadInput) as refused:
        MESSAGES.check({"max_tokens": 5, **chat_request(**fields)})
    assert f'"{named}"' in refused.value.message


def test_counting_needs_no_max_tokens() -> None:
    check(chat_request(), counting=True)
