"""Personal data before and after a call: masked, put back, refused or noted, also in streams, tools and text completions."""

import json
from typing import Any

import pytest

from noria.registry.policy import Guardrail
from noria.registry.snapshot import PromptEntry
from tests.gateway.conftest import Running
from tests.gateway.guarded import PERSONAL, content, fired, guarded, refusal, seen, streamed


@pytest.mark.parametrize("mode", ["say", "letters"])
@pytest.mark.parametrize("stream", [False, True])
def test_personal_data_stays_here_and_comes_back(gateway: Running, mode: str, stream: bool) -> None:
    name = guarded(gateway, Guardrail("pii"), mode=mode)
    response = gateway.ask(PERSONAL, name, stream=stream)
    assert (streamed(response).strip() if stream else content(response)) == PERSONAL
    masked = "write to [EMAIL_1] or call [PHONE_1]"
    assert seen(gateway, name)["messages"][0]["content"] == masked
    span = gateway.span(response.headers["x-noria-trace-id"])
    assert span["input_messages"][0]["content"] == masked
    assert span["output_messages"][0]["content"].strip() == masked
    assert "mina" not in json.dumps(span)
    note = span["attributes"]["guardrails"][0]
    assert {**note, "ms": 0} == {"kind": "pii", "when": "before", "action": "mask", "ms": 0, "EMAIL": 1, "PHONE": 1}
    assert 0 <= note["ms"] < 500


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_of_tools_stay_json(gateway: Running, stream: bool) -> None:
    name = guarded(gateway, Guardrail("pii"), mode="calls")
    with gateway.client() as client:
        answer: Any = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": PERSONAL}], stream=stream
        )
        if stream:
            calls = [c.choices[0].delta.tool_calls for c in answer if c.choices and c.choices[0].delta.tool_calls]
            arguments = "".join(call[0].function.arguments for call in calls)
        else:
            arguments = answer.choices[0].message.tool_calls[0].function.arguments
    assert json.loads(arguments) == {"to": PERSONAL}


def test_a_text_that_only_looks_like_a_placeholder_comes_through(gateway: Running) -> None:
    name = guarded(gateway, Guardrail("pii"), mode="letters")
    text = "mina@example.com [EMAIL_9] [EMAIL [a] [[EMAIL_1 x] ["
    assert streamed(gateway.ask(text, name, stream=True)) == text


def test_earlier_turns_tools_and_variables_are_masked_with_the_same_names(gateway: Running) -> None:
    prompt = PromptEntry("p", 1, "chat", messages=[{"role": "system", "content": "For {{who}}."}, {"role": "messages"}])
    name = guarded(gateway, Guardrail("pii"), prompt=prompt)
    arguments = json.dumps({"mail": "a@example.com", "card": 4111111111111111})
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "I am b@example.com"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}],
        },
        {"role": "tool", "tool_call_id": "t", "content": "a@example.com is known"},
        {"role": "user", "content": "Ask a@example.com"},
    ]
    response = gateway.post({"model": name, "messages": messages, "noria": {"variables": {"who": "b@example.com"}}})
    assert content(response) == "Ask a@example.com"
    told = seen(gateway, name)["messages"]
    assert "example.com" not in json.dumps(told)
    assert told[0]["content"] == "For [EMAIL_1]."
    assert json.loads(told[2]["tool_calls"][0]["function"]["arguments"]) == {"mail": "[EMAIL_2]", "card": "[CARD_1]"}
    assert (told[3]["content"], told[4]["content"]) == ("[EMAIL_2] is known", "Ask [EMAIL_2]")


def test_text_completions_are_masked_too(gateway: Running) -> None:
    name = guarded(gateway, Guardrail("pii"), mode="letters")
    for stream in (False, True):
        response = gateway.post({"model": name, "prompt": PERSONAL, "stream": stream}, path="/v1/completions")
        assert seen(gateway, name)["prompt"] == "write to [EMAIL_1] or call [PHONE_1]"
        if stream:
            chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
            assert "".join(c["choices"][0]["text"] for c in chunks) == PERSONAL
        else:
            assert response.json()["choices"][0]["text"] == PERSONAL


def test_personal_data_may_be_refused_noted_or_kept_from_coming_back(gateway: Running) -> None:
    refusing = guarded(gateway, Guardrail("pii", options={"action": "refuse", "kinds": ["EMAIL"]}))
    response = gateway.ask(PERSONAL, refusing)
    assert "mina" not in refusal(response, "pii")["message"]
    assert gateway.calls(refusing)["calls"] == 0
    assert "mina" not in json.dumps(gateway.span(response.headers["x-noria-trace-id"]))
    assert content(gateway.ask("call 010-1234-5678", refusing)) == "call 010-1234-5678"
    noting = guarded(gateway, Guardrail("pii", options={"action": "flag"}))
    response = gateway.ask(PERSONAL, noting)
    assert content(response) == PERSONAL
    assert fired(gateway, response)[0]["action"] == "flag"
    one_way = guarded(gateway, Guardrail("pii", options={"restore": False}))
    assert content(gateway.ask(PERSONAL, one_way)) == "write to [EMAIL_1] or call [PHONE_1]"


def test_personal_data_that_the_answer_brings_up_is_masked_and_not_mistaken_for_the_callers(gateway: Running) -> None:
    name = guarded(gateway, Guardrail("pii", when="both"), mode="mends")
    messages: Any = [
        {"role": "user", "content": "ignored"},
        {"role": "user", "content": "I am a@example.com"},
    ]
    assert content(gateway.post({"model": name, "messages": messages})) == "I am a@example.com"
    after = guarded(gateway, Guardrail("pii", when="after"))
    response = gateway.ask("Mail b@example.com", after, stream=True)
    assert streamed(response) == "Mail [EMAIL_1]"
    assert fired(gateway, response)[0]["when"] == "after"


# Patterns
