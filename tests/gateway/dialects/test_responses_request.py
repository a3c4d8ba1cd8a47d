"""Requests of the Responses dialect, told as chat and back; what cannot be told is refused by name."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.core.errors import BadInput
from noria.gateway.dialects.base import CallerDialect, ProviderDialect
from noria.gateway.dialects.responses import Responses

FIXTURES = Path(__file__).parent / "fixtures" / "responses"
RESPONSES = Responses()
CALLER: CallerDialect = RESPONSES
PROVIDER: ProviderDialect = RESPONSES


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def test_every_fixture_says_where_it_is_from() -> None:
    for path in FIXTURES.glob("*.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        assert told["source"].startswith("https://") and told["date"] and "uncertain" in told, path.name


def test_a_request_as_chat() -> None:
    told = fixture("request")
    body = deepcopy(told["responses"])
    CALLER.check(body)
    assert CALLER.to_chat(body) == told["chat"]
    assert body == told["responses"], "the request is left as it is"


def test_chat_as_a_request_and_back() -> None:
    chat = fixture("request")["chat"]
    told = PROVIDER.from_chat(chat)
    CALLER.check(told)
    assert told["store"] is False
    assert told["include"] == ["reasoning.encrypted_content"]
    assert told["text"] == {
        "format": {"type": "json_schema", **chat["response_format"]["json_schema"]},
        "verbosity": "low",
    }
    again = CALLER.to_chat(told)
    assert again == chat


def test_what_chat_means_by_silence_is_said() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    told = PROVIDER.from_chat({"messages": [{"role": "user", "content": "hi"}], "tools": [tool], "max_tokens": 5})
    assert told["tools"] == [{"type": "function", "name": "f", "parameters": None, "strict": False}]
    assert (told["store"], told["max_output_tokens"], "include" in told) == (False, 5, False)


def test_thoughts_without_a_proof_are_not_told_to_a_provider() -> None:
    thought = {"role": "assistant", "content": "x", "reasoning_content": "hm"}
    assert [item["type"] for item in PROVIDER.from_chat({"messages": [thought]})["input"]] == ["message"]


def test_parameters_of_a_release() -> None:
    told = PROVIDER.parameters({"temperature": 0, "max_tokens": 9, "reasoning_effort": "low", "stop": None, "top_k": 3})
    assert told == {"temperature": 0, "max_output_tokens": 9, "reasoning": {"effort": "low"}, "top_k": 3}
    with pytest.raises(BadInput, match='"stop"'):
        PROVIDER.parameters({"stop": ["\n"]})


def test_custom_tools_keep_their_grammar_and_their_kind_of_output() -> None:
    shape = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    call = {"type": "custom_tool_call", "call_id": "c", "name": "shell", "input": "ls"}
    body: dict[str, Any] = {
        "input": [
            {"role": "user", "content": "go"},
            call,
            {"type": "custom_tool_call_output", "call_id": "c", "output": "a"},
        ],
        "tools": [{"type": "custom", "name": "shell", "format": shape}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "shell"}]},
    }
    chat = CALLER.to_chat(body)
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    assert chat["tools"][0]["custom"]["format"] == grammar
    told = PROVIDER.from_chat(chat)
    assert told["tools"] == body["tools"]
    assert told["tool_choice"] == body["tool_choice"]
    assert told["input"][1:] == body["input"][1:]


@pytest.mark.parametrize("kind", ["web_search", "file_search", "computer_use_preview", "mcp", "code_interpreter"])
def test_tools_that_a_provider_runs_are_refused_by_name(kind: str) -> None:
    body = {"input": "hi", "tools": [{"type": kind}]}
    CALLER.check(body)  # a Responses provider may have them
    with pytest.raises(BadInput, match=f"'{kind}' in \"tools\\[0\\]\""):
        CALLER.to_chat(body)
    with pytest.raises(BadInput, match=kind):
        CALLER.to_chat({"input": "hi", "tool_choice": {"type": kind}})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input"),
        ({"input": 3}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": "x", "tools": {}}, "tools"),
        ({"input": "x", "tools": ["f"]}, "tools[0]"),
        ({"input": "x", "tools": [{"name": "f"}]}, "tools[0].type"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "x", "max_output_tokens": True}, "max_output_tokens"),
        ({"input": "x", "temperature": "hot"}, "temperature"),
        ({"input": "x", "store": "no"}, "store"),
        ({"input": "x", "metadata": []}, "metadata"),
        ({"input": "x", "instructions": ["x"]}, "instructions"),
        ({"input": "x", "text": "json"}, "text"),
    ],
)
def test_check_names_the_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        CALLER.check(body)
    assert f'"{field}"' in caught.value.message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]},
            "input[0].content[0].file_url",
        ),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"content": "x"}]}, "input[0].type"),
        ({"input": "x", "conversation": "conv_1"}, "conversation"),
        ({"input": "x", "prompt": {"id": "p"}}, "prompt"),
        ({"input": "x", "background": True}, "background"),
        ({"input": "x", "reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"input": "x", "text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"input": "x", "n": 2}, "n"),
    ],
)
def test_to_chat_names_what_cannot_be_told(body: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        CALLER.to_chat(body)
    assert f'"{field}"' in caught.value.message


@pytest.mark.parametrize(
    ("chat", "field"),
    [
        ({}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages[0].name"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "messages[0].tool_calls[0].function"),
        ({"messages": [], "n": 2}, "n"),
        ({"messages": [], "seed": 1}, "seed"),
        ({"messages": [], "logit_bias": {"1": 5}}, "logit_bias"),
    ],
)
def test_from_chat_names_what_cannot_be_told(chat: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        PROVIDER.from_chat(chat)
    assert f'"{field}"' in caught.value.message


def test_unknown_fields_pass_on() -> None:
    assert CALLER.to_chat({"input": "x", "top_k": 4})["top_k"] == 4
    assert PROVIDER.from_chat({"messages": [{"role": "user", "content": "x"}], "top_k": 4})["top_k"] == 4


WORDS = st.text(min_size=1, max_size=12)
CALLS = st.lists(
    st.builds(
        lambda name, arguments: {"type": "function", "function": {"name": name, "arguments": arguments}},
        WORDS,
        st.text(max_size=20),
    ),
    min_size=1,
    max_size=3,
)
PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, WORDS),
        st.builds(lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "high"}}, WORDS),
    ),
    min_size=2,
    max_size=3,
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Chat as real clients keep it: turns of the user, answers, calls with their outputs."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(WORDS)}]
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(st.one_of(WORDS, PARTS))})
        if draw(st.booleans()):
            calls = [{"id": f"call_{turn}_{n}", **call} for n, call in enumerate(draw(CALLS))]
            messages.append({"role": "assistant", "content": draw(st.one_of(st.none(), WORDS)), "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(WORDS)} for call in calls]
        messages.append({"role": "assistant", "content": draw(WORDS)})
    return messages


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_conversations_survive_the_way_there_and_back(messages: list[dict[str, Any]]) -> None:
    assert CALLER.to_chat(PROVIDER.from_chat({"messages": messages}))["messages"] == messages


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.sampled_from(["", "x", "message", "user", "function", "input_text"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "text",
                    "call_id",
                    "name",
                    "arguments",
                    "output",
                    "summary",
                    "format",
                    "effort",
                    "function",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
FIELDS = [
    "input",
    "messages",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "instructions",
    "response_format",
]


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
def test_nothing_but_bad_input_is_raised(body: dict[str, Any]) -> None:
    for say in (CALLER.check, CALLER.to_chat, PROVIDER.from_chat, PROVIDER.parameters):
        try:
            say(body)
        except BadInput as error:
            assert '"' in error.message
