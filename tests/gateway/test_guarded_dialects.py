"""Caches and guardrails for callers that speak other dialects: what they sent is checked, what they get is theirs."""

import json
from itertools import count
from typing import Any

import httpx
import pytest

from noria.registry.policy import Cache, Guardrail, Policy
from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, release

MASKED = "I am [EMAIL_1], call [PHONE_1]"
PERSONAL = "I am mina@example.com, call 010-1234-5678"
names = count()


def serve(gateway: Running, *guardrails: Guardrail, cache: Cache | None = None, mode: str = "letters") -> str:
    name = f"spoken-{next(names)}"
    policy = Policy(version=1, guardrails=guardrails, cache=cache or Cache())
    entry = EndpointEntry(
        f"e-{name}", "project", name, primary=1, policy=policy, releases={1: release(1, f"{mode}:{name}")}
    )
    gateway.publish(entry)
    return name


def messages(gateway: Running, name: str, text: str, **more: Any) -> httpx.Response:
    body = {"model": name, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}
    return gateway.post(body, path="/v1/messages")


def responses(gateway: Running, name: str, text: Any, **more: Any) -> httpx.Response:
    return gateway.post({"model": name, "input": text, **more}, path="/v1/responses")


def events(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


def said(response: httpx.Response) -> str:
    """The text of an answer in either dialect, streamed or whole."""
    if "event-stream" in response.headers["content-type"]:
        told = events(response)
        last = told[-1]["type"]
        assert last in {"message_stop", "response.completed"}, last
        return "".join(
            event["delta"]["text"] if isinstance(event["delta"], dict) else event["delta"]
            for event in told
            if event["type"] == "response.output_text.delta"
            or (event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta")
        )
    assert response.status_code == 200, response.text
    body = response.json()
    if "output" in body:
        return "".join(part["text"] for item in body["output"] for part in item.get("content") or ())
    return "".join(part["text"] for part in body["content"])


def seen(gateway: Running, name: str) -> dict[str, Any]:
    return dict(gateway.calls(name)["seen"]["body"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ask", [messages, responses])
def test_personal_data_is_masked_and_restored(gateway: Running, ask: Any, stream: bool) -> None:
    name = serve(gateway, Guardrail("pii"))
    response = ask(gateway, name, PERSONAL, stream=stream)
    assert said(response) == PERSONAL
    assert "mina" not in json.dumps(seen(gateway, name))
    assert MASKED in json.dumps(seen(gateway, name))
    span = gateway.span(response.headers["x-noria-trace-id"])
    assert "mina" not in json.dumps(span)


def test_system_prompts_and_instructions_are_checked(gateway: Running) -> None:
    name = serve(gateway, Guardrail("deny", options={"patterns": ["falcon"]}))
    refused = messages(gateway, name, "hello", system=[{"type": "text", "text": "of a falcon"}])
    assert (refused.status_code, refused.json()["type"]) == (400, "error")
    assert "(deny)" in refused.json()["error"]["message"]
    refused = responses(gateway, name, "hello", instructions="of a falcon")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "guardrail_refused")
    parts = [{"role": "user", "content": [{"type": "input_text", "text": "of a falcon"}]}]
    assert responses(gateway, name, parts).status_code == 400


@pytest.mark.parametrize("ask", [messages, responses])
def test_answers_are_checked_and_still_streamed(gateway: Running, ask: Any) -> None:
    name = serve(gateway, Guardrail("deny", "after", options={"patterns": ["falcon"]}))
    assert said(ask(gateway, name, "of a robin", stream=True)) == "of a robin"
    assert ask(gateway, name, "of a falcon", stream=True).status_code == 400


@pytest.mark.parametrize("ask", [messages, responses])
def test_kept_answers_are_told_in_the_callers_dialect(gateway: Running, ask: Any) -> None:
    name = serve(gateway, cache=Cache(mode="exact", ttl_seconds=60))
    for stream, expected in ((True, "miss"), (True, "hit"), (False, "hit")):
        response = ask(gateway, name, "one two", stream=stream)
        assert said(response) == "one two"
        assert response.headers["x-noria-cache"] == expected
    assert gateway.calls(name)["calls"] == 1


def test_a_kept_answer_makes_a_response_of_its_own(gateway: Running) -> None:
    name = serve(gateway, cache=Cache(mode="exact", ttl_seconds=60))
    ids = {responses(gateway, name, "hello").json()["id"] for _ in range(2)}
    streamed = events(responses(gateway, name, "hello", stream=True))[-1]["response"]["id"]
    assert len({*ids, streamed}) == 3
    for response_id in (*ids, streamed):
        got = httpx.get(f"{gateway.url}/v1/responses/{response_id}", headers={"authorization": f"Bearer {gateway.key}"})
        assert got.status_code == 200
    follow = responses(gateway, name, "and now", previous_response_id=streamed)
    assert "x-noria-cache" not in follow.headers
    assert "hello" in json.dumps(seen(gateway, name))


def test_a_conversation_goes_on_with_the_callers_own_data(gateway: Running) -> None:
    name = serve(gateway, Guardrail("pii"))
    first = events(responses(gateway, name, "I am mina@example.com", stream=True))[-1]["response"]
    second = responses(gateway, name, "I am joe@example.com", previous_response_id=first["id"])
    assert said(second) == "I am joe@example.com"
    told = json.dumps(seen(gateway, name))
    assert "example.com" not in told
    assert told.count("[EMAIL_1]") == 2, "what was asked, and what was answered"
    assert told.count("[EMAIL_2]") == 1


def test_counting_tokens_shows_nothing_to_a_provider_past_guardrails(gateway: Running) -> None:
    name = serve(gateway, Guardrail("pii"))
    body = {"model": name, "messages": [{"role": "user", "content": PERSONAL}]}
    told = gateway.post(body, path="/v1/messages/count_tokens").json()
    assert told["estimated"] is True
    assert gateway.calls(name)["calls"] == 0
