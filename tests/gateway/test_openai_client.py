"""The unmodified OpenAI client against a real gateway: plain, streamed, sync, async, models, error classes."""

import asyncio
from typing import Any

import openai
import pytest

from noria.registry.snapshot import EndpointEntry, PromptEntry
from tests.gateway.conftest import PROVIDER_KEY, Running, release

HELLO: list[Any] = [{"role": "user", "content": "hello there"}]
TEXT_PROMPT = PromptEntry("call", 3, "text", template="{{#messages}}{{role}}: {{content}}\n{{/messages}}call:")
CHAT_PROMPT = PromptEntry(
    "polite",
    2,
    "chat",
    messages=[{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "<{{input}}>"}],
)


def test_a_plain_answer_and_its_span(gateway: Running) -> None:
    gateway.serve(
        "ok:plain", parameters={"temperature": 0.1, "max_tokens": 9}, input_micros=2_000_000, output_micros=5_000_000
    )
    with gateway.client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="assistant", messages=HELLO, max_tokens=5, user="mina", extra_headers={"x-noria-session": "s-1"}
        )
    answer = raw.parse()
    assert answer.choices[0].message.content == "echo: hello there"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10
    assert raw.headers["x-noria-release"] == "assistant@1"
    seen = gateway.calls("plain")["seen"]
    assert seen["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert seen["body"]["temperature"] == 0.1
    assert seen["body"]["max_tokens"] == 5, "the caller's parameters win"
    span = gateway.span(raw.headers["x-noria-trace-id"])
    assert span["output_messages"] == [{"role": "assistant", "content": "echo: hello there"}]
    assert span["input_messages"] == HELLO
    assert (span["input_tokens"], span["output_tokens"], span["cached_tokens"], span["reasoning_tokens"]) == (
        7,
        3,
        2,
        1,
    )
    assert span["cost_micros"] == 7 * 2 + 3 * 5
    assert (span["session_id"], span["subject_id"], span["arm"], span["release"]) == ("s-1", "mina", "primary", 1)
    assert span["status_code"] == 200
    assert span["start_ns"] < span["first_token_ns"] <= span["end_ns"]


def test_a_stream_keeps_its_shape_and_hides_the_usage_nobody_asked_for(gateway: Running) -> None:
    gateway.serve("ok:stream")
    with gateway.client() as client:
        with client.chat.completions.with_streaming_response.create(
            model="assistant", messages=HELLO, stream=True
        ) as raw:
            chunks = list(raw.parse())
            trace = raw.headers["x-noria-trace-id"]
        asked = list(
            client.chat.completions.create(
                model="assistant", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "echo: hello there "
    assert all(chunk.choices for chunk in chunks)
    assert asked[-1].usage is not None
    assert asked[-1].usage.total_tokens == 10
    span = gateway.span(trace)
    assert span["streamed"]
    assert span["output_tokens"] == 3
    assert span["output_messages"] == [{"role": "assistant", "content": "echo: hello there "}]
    assert span["attributes"]["finish_reason"] == "stop"


def test_the_wire_ends_with_done(gateway: Running) -> None:
    gateway.serve("ok")
    answer = gateway.ask(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")
    assert '"usage": {' not in answer.text


def test_the_async_client_plain_and_streamed(gateway: Running) -> None:
    async def both() -> tuple[Any, str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
            answer = await client.chat.completions.create(model="assistant", messages=HELLO)
            stream = await client.chat.completions.create(model="assistant", messages=HELLO, stream=True)
            return answer, "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    gateway.serve("ok")
    answer, streamed = asyncio.run(both())
    assert answer.choices[0].message.content == "echo: hello there"
    assert streamed == "echo: hello there "


def test_completions_plain_and_streamed(gateway: Running) -> None:
    gateway.serve("ok:text")
    with gateway.client() as client:
        answer = client.completions.create(model="assistant", prompt="once upon")
        assert answer.choices[0].text == "echo: once upon"
        chunks = list(client.completions.create(model="assistant", prompt="once upon", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "echo: once upon "
    assert gateway.calls("text")["seen"]["path"] == "/v1/completions"


def test_a_text_prompt_turns_chat_into_completion_and_back(gateway: Running) -> None:
    gateway.serve("ok:prompted", prompt=TEXT_PROMPT, parameters={"stop": ["\n"], "grammar": "root ::= x"})
    with gateway.client() as client:
        answer = client.chat.completions.create(model="assistant", messages=HELLO, max_completion_tokens=8)
        assert answer.object == "chat.completion"
        assert answer.choices[0].message.content == "echo: user: hello there\ncall:"
        seen = gateway.calls("prompted")["seen"]
        assert seen["path"] == "/v1/completions"
        assert seen["body"]["prompt"] == "user: hello there\ncall:"
        assert seen["body"]["max_tokens"] == 8
        assert (seen["body"]["stop"], seen["body"]["grammar"]) == (["\n"], "root ::= x")
        assert "messages" not in seen["body"]
        stream = client.chat.completions.create(
            model="assistant", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].object == "chat.completion.chunk"
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "echo: user: hello there\ncall: "
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


def test_a_chat_prompt_with_variables_also_answers_completions(gateway: Running) -> None:
    gateway.serve("ok:variables", prompt=CHAT_PROMPT)
    own = {"noria": {"variables": {"mood": "kind"}, "tags": ["t"]}}
    with gateway.client() as client:
        answer = client.chat.completions.create(model="assistant", messages=HELLO, extra_body=own)
        assert answer.choices[0].message.content == "echo: <hello there>"
        body = gateway.calls("variables")["seen"]["body"]
        assert body["messages"][0] == {"role": "system", "content": "Be kind."}
        assert "noria" not in body
        text = client.completions.create(model="assistant", prompt="x", extra_body=own)
        assert text.choices[0].text == "echo: <x>"
        chunks = list(client.completions.create(model="assistant", prompt="x", stream=True, extra_body=own))
        assert "".join(chunk.choices[0].text for chunk in chunks) == "echo: <x> "
        with pytest.raises(openai.BadRequestError, match="'mood'"):
            client.chat.completions.create(model="assistant", messages=HELLO)


def test_models(gateway: Running) -> None:
    gateway.serve("ok")
    idle = EndpointEntry("e-idle", "project", "idle", releases={1: release(1, "ok")})
    gateway.publish(idle, EndpointEntry("e-other", "elsewhere", "foreign", primary=1, releases={1: release(1, "ok")}))
    with gateway.client() as client:
        names = [model.id for model in client.models.list()]
        assert "assistant" in names
        assert not {"idle", "foreign"} & set(names)
        assert client.models.retrieve("assistant").id == "assistant"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("foreign")
        with pytest.raises(openai.NotFoundError, match="no release that takes traffic"):
            client.chat.completions.create(model="idle", messages=HELLO)


@pytest.mark.parametrize(
    ("mode", "kind", "code"),
    [
        ("error-500", openai.InternalServerError, "no_code"),
        ("error-529", openai.InternalServerError, "no_code"),
        ("error-429", openai.RateLimitError, "no_code"),
        ("error-400", openai.BadRequestError, "no_code"),
        ("error-401", openai.InternalServerError, "provider_key_refused"),
        ("error-302", openai.InternalServerError, "provider_failed"),
        ("html", openai.InternalServerError, "provider_failed"),
        ("broken-json", openai.InternalServerError, "provider_failed"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_failure_is_the_right_class(
    gateway: Running, mode: str, kind: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    gateway.serve(mode)
    with gateway.client() as client, pytest.raises(kind) as caught:
        client.chat.completions.create(model="assistant", messages=HELLO, stream=stream)
    assert caught.value.code == code
    assert PROVIDER_KEY not in str(caught.value)
    span = gateway.span(caught.value.response.headers["x-noria-trace-id"])
    assert span["status"] == "error"
    assert span["status_code"] == caught.value.status_code
    assert span.get("release", 0) == 0
    assert span["requested_release"] == 1
    if mode == "error-429":
        assert caught.value.response.headers["retry-after"] == "7"


def test_a_provider_that_is_not_there(gateway: Running) -> None:
    entry = release(1, "any")
    dead = type(entry)(1, "dead", "any")
    gateway.publish(EndpointEntry("e-dead", "project", "dead", primary=1, releases={1: dead}))
    with gateway.client() as client, pytest.raises(openai.InternalServerError, match="could not be reached"):
        client.chat.completions.create(model="dead", messages=HELLO)


def test_missing_usage_is_marked(gateway: Running) -> None:
    gateway.serve("no-usage")
    for stream in (False, True):
        answer = gateway.ask(stream=stream)
        assert answer.status_code == 200
        span = gateway.span(answer.headers["x-noria-trace-id"])
        assert span["attributes"]["usage"] == "missing"
        assert span["output_tokens"] == 0


@pytest.mark.parametrize("mode", ["break", "error-event"])
def test_a_stream_that_breaks_ends_with_an_error_event(gateway: Running, mode: str) -> None:
    gateway.serve(mode)
    seen: list[str] = []
    with gateway.client() as client, pytest.raises(openai.APIError, match="broke off"):
        for chunk in client.chat.completions.create(model="assistant", messages=HELLO, stream=True):
            seen.append(chunk.choices[0].delta.content or "")
    assert "".join(seen).startswith("echo: ")
    span = gateway.spans()[-1]
    assert (span["status"], span["status_code"], span["release"]) == ("error", 502, 1)
    assert span["attributes"]["usage"] == "estimated"
    assert span["output_tokens"] == len(seen)


def test_a_stream_without_done_gets_one(gateway: Running) -> None:
    gateway.serve("no-done")
    assert gateway.ask(stream=True).text.endswith("data: [DONE]\n\n")
