"""Steps as they arrive at an OpenTelemetry receiver: trees, kinds of functions, errors, content and its bounds."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace as otel

import noria_client
from noria_client import generation, session, span, trace
from tests.client.conftest import Configure
from tests.client.receiver import Receiver

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_a_tree_of_functions_and_blocks(receiver: Receiver, configure: Configure) -> None:
    @trace(kind="tool")
    def look_up(order: int) -> dict[str, Any]:
        return {"order": order, "state": "환불됨"}

    @trace(name="answer")
    def answer(question: str) -> str:
        with span("find", kind="retrieval", input="refunds") as step:
            step.output([{"id": "a", "content": "30 days"}])
        look_up(7)
        return f"{question}!"

    configure(service="shop")
    assert answer("물") == "물!"
    assert noria_client.flush()
    top, tool, found = receiver.named("answer"), receiver.named("look_up"), receiver.named("find")
    assert {tool.parent_id, found.parent_id} == {top.span_id}
    assert {tool.trace_id, found.trace_id} == {top.trace_id}
    assert json.loads(top.attributes["input.value"]) == {"question": "물"}
    assert top.attributes["output.value"] == "물!"
    assert top.attributes["openinference.span.kind"] == "CHAIN"
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert tool.attributes["gen_ai.tool.name"] == "look_up"
    assert json.loads(tool.attributes["gen_ai.tool.call.result"]) == {"order": 7, "state": "환불됨"}
    assert found.attributes["gen_ai.retrieval.query.text"] == "refunds"
    assert json.loads(found.attributes["gen_ai.retrieval.documents"])[0]["content"] == "30 days"
    assert receiver.keys == {"Bearer noria_k"}
    assert top.start <= tool.start <= tool.end <= top.end


def test_a_model_call_in_the_words_of_the_conventions(receiver: Receiver, configure: Configure) -> None:
    configure()
    asked = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]},
        {"role": "tool", "tool_call_id": "c1", "content": "12"},
    ]
    completion = {
        "id": "cmpl-1",
        "model": "gpt-4o-2026",
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c2", "function": {"name": "add", "arguments": '{"a":1}'}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 19, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}},
    }
    with generation(model="gpt-4o", provider="openai", input=asked, parameters={"temperature": 0.2}) as step:
        step.first_token()
        step.output(completion)
    assert noria_client.flush()
    told = receiver.named("chat gpt-4o").attributes
    assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"]) == ("chat", "openai")
    assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("gpt-4o", "gpt-4o-2026")
    assert told["gen_ai.request.temperature"] == 0.2
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (19, 9)
    assert told["gen_ai.usage.cache_read.input_tokens"] == 4
    assert 0 <= told["gen_ai.response.time_to_first_chunk"] < 10
    said = json.loads(told["gen_ai.input.messages"])
    assert said[0] == {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    assert said[1]["parts"][1]["type"] == "blob"
    assert "AAAA" not in told["gen_ai.input.messages"]
    assert said[2]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "12"}]
    [answer] = json.loads(told["gen_ai.output.messages"])
    assert answer["finish_reason"] == "tool_calls"
    assert answer["parts"] == [{"type": "tool_call", "id": "c2", "name": "add", "arguments": '{"a":1}'}]
    assert "openinference.span.kind" not in told


def test_exceptions_are_recorded_and_go_on(receiver: Receiver, configure: Configure) -> None:
    @trace
    def fail() -> None:
        raise ValueError("no 010-1234-5678")

    configure(mask=lambda text, name: re.sub(r"010[-\d]+", "***", text))
    with pytest.raises(ValueError, match="010-1234"):
        fail()
    assert noria_client.flush()
    failed = receiver.named("fail")
    [(event, told)] = failed.events
    assert (event, told["exception.type"], told["exception.message"]) == ("exception", "ValueError", "no ***")
    assert (failed.status, failed.message, failed.attributes["error.type"]) == (2, "no ***", "ValueError")
    assert "in fail" in told["exception.stacktrace"]
    assert "010" not in told["exception.stacktrace"]


def test_generators_are_one_step_and_keep_their_consumer_out(receiver: Receiver, configure: Configure) -> None:
    @trace
    def pieces(count: int) -> Iterator[str]:
        with span("inside"):
            for number in range(count):
                yield str(number)
                with span(f"after {number}"):
                    pass

    configure()
    with span("consumer"):
        for piece in pieces(2):
            with span(f"use {piece}"):
                pass
    assert noria_client.flush()
    consumer, inside = receiver.named("consumer"), receiver.named("inside")
    assert receiver.named("pieces").parent_id == consumer.span_id
    assert inside.parent_id == receiver.named("pieces").span_id
    assert {receiver.named(f"use {n}").parent_id for n in range(2)} == {consumer.span_id}
    assert {receiver.named(f"after {n}").parent_id for n in range(2)} == {inside.span_id}
    assert receiver.named("pieces").attributes["output.value"] == "01"


def test_a_generator_is_still_one(configure: Configure, receiver: Receiver) -> None:
    closed: list[str] = []

    @trace
    def echo() -> Any:
        got: list[Any] = []
        try:
            while True:
                try:
                    got.append((yield len(got)))
                except KeyError:
                    got.append("thrown")
                if len(got) == 3:
                    return got
        finally:
            closed.append("yes")

    configure()
    talking = echo()
    assert next(talking) == 0
    assert talking.send("a") == 1
    assert talking.throw(KeyError("x")) == 2
    with pytest.raises(StopIteration) as end:
        talking.send("b")
    assert end.value.value == ["a", "thrown", "b"]
    left = echo()
    next(left)
    left.close()
    assert closed == ["yes", "yes"]
    assert noria_client.flush()
    assert [seen.status for seen in receiver.spans] == [0, 0]


def test_async_functions_and_generators_nest_in_their_own_tasks(receiver: Receiver, configure: Configure) -> None:
    @trace
    async def leaf(name: str) -> str:
        await asyncio.sleep(0)
        with span(f"leaf of {name}"):
            await asyncio.sleep(0)
        return name

    @trace
    async def stream(name: str) -> AsyncIterator[str]:
        for part in "ab":
            yield await leaf(f"{name}{part}")

    async def branch(name: str) -> None:
        async with span(f"branch {name}"):
            async for item in stream(name):
                assert item.startswith(name)

    @trace
    async def whole() -> None:
        await asyncio.gather(*(branch(str(number)) for number in range(5)))

    configure()
    asyncio.run(whole())
    assert noria_client.flush()
    by_id = {seen.span_id: seen for seen in receiver.spans}
    top = receiver.named("whole")
    for number in range(5):
        for part in "ab":
            chain = [receiver.named(f"leaf of {number}{part}")]
            while chain[-1].parent_id:
                chain.append(by_id[chain[-1].parent_id])
            names = [seen.name for seen in chain]
            assert names == [f"leaf of {number}{part}", "leaf", "stream", f"branch {number}", "whole"]
    assert {seen.trace_id for seen in receiver.spans} == {top.trace_id}


def test_async_generators_that_are_left_or_fail(receiver: Receiver, configure: Configure) -> None:
    @trace
    async def numbers(bad: int) -> AsyncIterator[int]:
        for number in range(10):
            if number == bad:
                raise RuntimeError("bad")
            yield number

    async def use() -> None:
        left = numbers(99)
        assert await anext(left) == 0
        await left.aclose()  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="bad"):
            async for _ in numbers(2):
                pass

    configure()
    asyncio.run(use())
    assert noria_client.flush()
    assert [(seen.status, seen.attributes["output.value"]) for seen in receiver.spans] == [(0, "[0]"), (2, "[0, 1]")]


def test_threads_and_other_instrumentations_nest(receiver: Receiver, configure: Configure) -> None:
    provider = configure(mask=lambda text, name: text.replace("secret", "***"))
    other = provider.get_tracer("other")
    with session("s1", user="u1", tags=["beta"]), span("ours"), other.start_as_current_span("theirs") as theirs:
        theirs.set_attribute("db.query", "select secret")
        theirs.set_attribute("json", json.dumps({"a": ["secret\nx"]}))
        with span("below"), ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, trace(name="thread")(lambda: None)).result()
    assert noria_client.flush()
    ours, theirs_seen, below = (receiver.named(name) for name in ("ours", "theirs", "below"))
    assert (theirs_seen.parent_id, below.parent_id) == (ours.span_id, theirs_seen.span_id)
    assert receiver.named("thread").parent_id == below.span_id
    assert theirs_seen.scope == "other"
    assert theirs_seen.attributes["db.query"] == "select ***"
    assert json.loads(theirs_seen.attributes["json"]) == {"a": ["***\nx"]}
    for seen in receiver.spans:
        assert seen.attributes["session.id"] == seen.attributes["gen_ai.conversation.id"] == "s1"
        assert (seen.attributes["user.id"], seen.attributes["tag.tags"]) == ("u1", ["beta"])


def test_masking_comes_before_cutting_and_fails_closed(receiver: Receiver, configure: Configure) -> None:
    configure(capture_chars=10, mask=lambda text, name: text.replace("kim@example.com", "[email]"))
    with span("cut", input="12345 kim@example.com and more"):
        pass
    configure(mask=lambda text, name: text[10**9])
    with span("broken", input={"a": "kim@example.com"}):
        pass
    assert noria_client.flush()
    assert receiver.named("cut").attributes["input.value"] == "12345 [ema…"
    assert "kim" not in receiver.named("broken").attributes["input.value"]


def test_content_is_bounded_and_can_be_switched_off(receiver: Receiver, configure: Configure) -> None:
    @dataclass
    class Order:
        number: int
        api_key: str
        lines: list[Any]

    around: list[Any] = []
    around.append(around)
    configure(capture_chars=1000)
    with span("big", input=["x" * 900] * 100_000) as step:
        step.output({"order": Order(1, "sk-1", [b"abc", 2**70, float("nan"), object()]), "ring": around})
        step.set(a={"b": 1}, c=None)
    configure(capture_input=False, capture_output=False)
    with span("quiet", input="a") as step:
        step.output("b")
    trace(lambda secret: secret)("c")
    assert noria_client.flush()
    big = receiver.named("big").attributes
    assert len(big["input.value"]) < 2000
    assert json.loads(big["input.value"])[-1].startswith("… 99")
    output = json.loads(big["output.value"])
    assert output["order"]["api_key"] == "(hidden)"
    assert output["order"]["lines"][:3] == ["<3 bytes>", "<71 bits>", "nan"]
    assert output["order"]["lines"][3] == "<builtins.object>"
    assert json.loads(big["a"]) == {"b": 1}
    for name in ("quiet", "<lambda>"):
        assert not {"input.value", "output.value"} & set(receiver.named(name).attributes)


def test_without_an_address_nothing_happens() -> None:
    @trace
    def double(number: int) -> int:
        return 2 * number

    @trace
    def count() -> Iterator[int]:
        yield from range(3)

    assert not noria_client.is_on()
    assert double(2) == 4
    assert list(count()) == [0, 1, 2]
    with span("a", input=1) as step, generation(model="m") as call:
        step.output(2)
        call.usage(input_tokens=1)
        assert (step.trace_id, noria_client.current_trace_id()) == ("", "")
        assert not otel.get_current_span().get_span_context().is_valid
    assert noria_client.feedback("a" * 32, value=1) is False
    assert noria_client.prompt("p", fallback="hi {{name}}").text(name="Kim") == "hi Kim"
    assert noria_client.flush()
    assert noria_client.statistics() == noria_client.Statistics()


def test_what_cannot_be_an_address_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="http"):
        noria_client.configure(url="localhost:7701", key="k")
    with pytest.raises(ValueError, match="key"):
        noria_client.configure(url="http://localhost:7701", key="k\nx")


def test_the_gateway_gets_its_parent_session_and_user(configure: Configure) -> None:
    configure()
    with session("s1", user="u1", tags=["a", "b"]), span("ask") as step:
        sent = noria_client.headers()
    assert sent["traceparent"].startswith(f"00-{step.trace_id}-{step.span_id}-")
    assert (sent["x-noria-session"], sent["x-noria-user"], sent["x-noria-tags"]) == ("s1", "u1", "a,b")
    assert noria_client.headers() == {}
