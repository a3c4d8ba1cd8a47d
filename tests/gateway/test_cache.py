"""Answers given again: what makes two requests the same, who may ask for what, and what the span says of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from noria.registry.policy import Cache, Policy
from noria.registry.snapshot import EndpointEntry, PromptEntry
from noria.stores.embedded.memory import MemoryCache
from tests.gateway.conftest import Running, answers, free_port, release, until

STEP = Path(__file__).parents[2] / "examples" / "semantic_step.py"
EXACT = Cache(mode="exact", ttl_seconds=60)
names = count()


def cached(gateway: Running, mode: str = "ok", cache: Cache = EXACT, **more: Any) -> str:
    """A fresh endpoint with a cache; its name is the one its provider counts its calls under."""
    name = f"cached-{next(names)}"
    publish(gateway, name, release(1, f"{mode}:{name}", input_micros=2_000_000, output_micros=5_000_000, **more), cache)
    return name


def publish(gateway: Running, name: str, one: Any, cache: Cache, version: int = 1) -> None:
    policy = Policy(version=version, cache=cache)
    gateway.publish(
        EndpointEntry(f"e-{name}", "project", name, primary=one.number, policy=policy, releases={one.number: one})
    )


def hit(response: Any) -> str:
    assert response.status_code == 200, response.text
    return str(response.headers["x-noria-cache"])


def calls(gateway: Running, name: str) -> int:
    return int(gateway.calls(name)["calls"])


def test_the_same_request_is_answered_from_the_cache_and_costs_nothing(gateway: Running) -> None:
    name = cached(gateway)
    first, second = gateway.ask("hello", name), gateway.ask("hello", name)
    assert (hit(first), hit(second)) == ("miss", "hit")
    assert first.json() == second.json()
    assert calls(gateway, name) == 1
    span = gateway.span(second.headers["x-noria-trace-id"])
    assert span["cache_hit"] is True
    assert (span["cost_micros"], span["input_tokens"], span["output_tokens"]) == (0, 0, 0)
    assert span["output_messages"] == [{"role": "assistant", "content": "echo: hello"}]
    assert span["release"] == 1
    attributes = span["attributes"]
    assert (attributes["saved_micros"], attributes["saved_input_tokens"], attributes["saved_output_tokens"]) == (
        29,
        7,
        3,
    )
    paid = gateway.span(first.headers["x-noria-trace-id"])
    assert not paid.get("cache_hit")
    assert paid["cost_micros"] == 29


def test_an_endpoint_without_a_cache_says_nothing_of_one(gateway: Running) -> None:
    gateway.serve("ok:uncached", "uncached")
    assert "x-noria-cache" not in gateway.ask("hello", "uncached").headers


def test_a_stream_is_kept_and_replayed_as_a_stream_and_as_a_whole(gateway: Running) -> None:
    name = cached(gateway)
    with gateway.client() as client:
        told: list[Any] = []
        for _ in range(2):
            stream = client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": "one two three"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            told.append(list(stream))
    texts = ["".join(c.choices[0].delta.content or "" for c in chunks if c.choices) for chunks in told]
    assert texts == ["echo: one two three "] * 2
    assert [chunks[-1].usage.total_tokens for chunks in told] == [10, 10]
    assert told[1][-2].choices[0].finish_reason == "stop"
    whole = gateway.ask("one two three", name)
    assert hit(whole) == "hit"
    assert whole.json()["choices"][0]["message"]["content"] == "echo: one two three "
    assert calls(gateway, name) == 1


def test_a_replayed_stream_ends_as_its_dialect_does_and_hides_the_usage(gateway: Running) -> None:
    name = cached(gateway)
    gateway.ask("hello", name)
    replayed = gateway.ask("hello", name, stream=True)
    assert hit(replayed) == "hit"
    assert replayed.text.endswith("data: [DONE]\n\n")
    assert "usage" not in replayed.text
    span = gateway.span(replayed.headers["x-noria-trace-id"])
    assert span["streamed"] is True
    assert span["cache_hit"] is True


def test_tool_calls_are_replayed(gateway: Running) -> None:
    name = cached(gateway, "calls")
    messages: Any = [{"role": "user", "content": "mina"}]
    with gateway.client() as client:
        for stream in (True, False):
            answer: Any = client.chat.completions.create(model=name, messages=messages, stream=stream)
            if stream:
                parts = [c.choices[0].delta.tool_calls for c in answer if c.choices and c.choices[0].delta.tool_calls]
                assert json.loads("".join(part[0].function.arguments for part in parts)) == {"to": "mina"}
            else:
                assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"to": "mina"}
    assert calls(gateway, name) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.5},
        {"seed": 7},
        {"n": 2},
        {"max_tokens": 3},
        {"a_new_field": {"deep": [1]}},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"noria": {"variables": {"mood": "kind"}}},
    ],
)
def test_what_changes_an_answer_makes_another_request(gateway: Running, other: dict[str, Any]) -> None:
    name = cached(gateway)
    assert hit(gateway.ask("hello", name)) == "miss"
    assert hit(gateway.ask("hello", name, **other)) == "miss"
    assert hit(gateway.ask("hello", name)) == "hit"


@pytest.mark.parametrize(
    "same",
    [
        {"user": "mina"},
        {"metadata": {"run": "1"}},
        {"noria": {"session": "s", "tags": ["t"]}},
        {"headers": {"x-noria-session": "s-9"}},
        {"stream": False},
    ],
)
def test_who_asks_does_not(gateway: Running, same: dict[str, Any]) -> None:
    name = cached(gateway)
    gateway.ask("hello", name)
    assert hit(gateway.ask("hello", name, **same)) == "hit"


def test_the_order_of_fields_does_not_matter(gateway: Running) -> None:
    name = cached(gateway)
    one = f'{{"model": "{name}", "seed": 1, "messages": [{{"role": "user", "content": "x"}}]}}'
    other = f'{{"messages": [{{"content": "x", "role": "user"}}], "model": "{name}", "seed": 1}}'
    assert hit(gateway.post(one.encode())) == "miss"
    assert hit(gateway.post(other.encode())) == "hit"


def test_another_release_policy_endpoint_or_project_has_answers_of_its_own(gateway: Running) -> None:
    name = cached(gateway)
    gateway.ask("hello", name)
    publish(gateway, name, release(2, f"ok:{name}"), EXACT)
    assert hit(gateway.ask("hello", name)) == "miss"
    publish(gateway, name, release(2, f"ok:{name}"), EXACT, version=2)
    assert hit(gateway.ask("hello", name)) == "miss"
    assert hit(gateway.ask("hello", cached(gateway))) == "miss"
    entry = EndpointEntry("e-else", "elsewhere", name, primary=2, policy=Policy(version=2, cache=EXACT))
    entry = replace(entry, releases={2: release(2, f"ok:{name}")})
    gateway.publish(entry)
    stranger = gateway.new_key()
    keys = {
        d: replace(k, project_id="elsewhere") if d == list(gateway.snapshot.keys)[-1] else k
        for d, k in gateway.snapshot.keys.items()
    }
    gateway.publish(keys=keys)
    assert hit(gateway.ask("hello", name, key=stranger)) == "miss"


def test_a_chat_and_a_text_with_the_same_words_are_two_requests(gateway: Running) -> None:
    name = cached(gateway)
    gateway.ask("hello", name)
    text = gateway.post({"model": name, "prompt": "hello"}, path="/v1/completions")
    assert hit(text) == "miss"
    again = gateway.post({"model": name, "prompt": "hello"}, path="/v1/completions")
    assert hit(again) == "hit"
    assert again.json()["choices"][0]["text"] == text.json()["choices"][0]["text"] == "echo: hello"
    assert again.json()["object"] == "text_completion"


def test_prompts_that_are_no_messages_are_told_apart(gateway: Running) -> None:
    name = cached(gateway)
    for prompt in ([1, 2], [1, 3]):
        response = gateway.post({"model": name, "prompt": prompt}, path="/v1/completions")
        assert response.headers["x-noria-cache"] == "miss"


def test_variables_of_a_prompt_are_a_part_of_the_request(gateway: Running) -> None:
    prompt = PromptEntry("polite", 1, "chat", messages=[{"role": "user", "content": "Be {{mood}}: {{input}}"}])
    name = cached(gateway, prompt=prompt)
    for mood, expected in (("kind", "miss"), ("rude", "miss"), ("kind", "hit")):
        assert hit(gateway.ask("hello", name, noria={"variables": {"mood": mood}})) == expected


@pytest.mark.parametrize(
    ("control", "second", "third"),
    [
        ("no-store", "", "miss"),
        ("no-cache", "miss", "hit"),
        ("max-age=0", "miss", "hit"),
        ("max-age=60", "miss", "hit"),
        ("something-else, max-age=nonsense", "miss", "hit"),
    ],
)
def test_cache_control_is_respected(gateway: Running, control: str, second: str, third: str) -> None:
    name = cached(gateway)
    headers = {"cache-control": control}
    asked = gateway.ask("hello", name, headers=headers)
    assert asked.headers.get("x-noria-cache", "") == second
    assert hit(gateway.ask("hello", name)) == third
    again = gateway.ask("hello", name, headers=headers).headers.get("x-noria-cache", "")
    assert again == (
        "" if control == "no-store" else "hit" if "max-age=" in control and "=0" not in control else "miss"
    )


def test_answers_grow_old(gateway: Running) -> None:
    name = cached(gateway, cache=Cache(mode="exact", ttl_seconds=1))
    gateway.ask("hello", name)
    assert hit(gateway.ask("hello", name)) == "hit"
    until(lambda: hit(gateway.ask("hello", name)) == "miss", 5)


@pytest.mark.parametrize("mode", ["error-500", "html", "broken-json"])
def test_failures_are_not_kept(gateway: Running, mode: str) -> None:
    name = cached(gateway, mode)
    for _ in range(2):
        assert gateway.ask("hello", name).status_code >= 500
    assert calls(gateway, name) == 2


@pytest.mark.parametrize("mode", ["break", "error-event"])
def test_streams_that_break_are_not_kept(gateway: Running, mode: str) -> None:
    name = cached(gateway, mode)
    for _ in range(2):
        response = gateway.ask("one two three four", name, stream=True)
        assert "error" in response.text
        assert response.headers["x-noria-cache"] == "miss"
    assert calls(gateway, name) == 2


def test_the_answer_of_a_fallback_is_not_kept_as_the_canarys(gateway: Running) -> None:
    name = f"cached-{next(names)}"
    releases = {1: release(1, f"ok:{name}"), 2: release(2, f"error-500:{name}-canary")}
    entry = EndpointEntry(
        f"e-{name}", "project", name, 1, 2, 1.0, policy=Policy(version=1, cache=EXACT), releases=releases
    )
    gateway.publish(entry)
    for _ in range(2):
        assert hit(gateway.ask("hello", name)) == "miss"
    assert calls(gateway, name) == 2


def test_an_evaluation_is_never_answered_from_the_cache(gateway: Running) -> None:
    name = cached(gateway)
    gateway.ask("hello", name)
    key = gateway.new_key("candidate", release=f"{name}@1", live=False)
    response = gateway.ask("hello", f"{name}@1", key=key)
    assert response.status_code == 200
    assert "x-noria-cache" not in response.headers
    assert calls(gateway, name) == 2


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    import asyncio

    async def play() -> None:
        now = [0.0]
        cache = MemoryCache(10_000, clock=lambda: now[0])
        for number in range(100):
            cache.put(str(number), b"x" * 1_000, 60)
            await cache.get("0")
            assert cache.size <= 10_000
        assert await cache.get("0") is not None
        assert await cache.get("1") is None
        assert await cache.get("99") is not None
        cache.put("huge", b"x" * 9_000, 60)
        assert await cache.get("huge") is None, "one answer does not push out all others"
        now[0] = 61.0
        assert await cache.get("99") is None
        await cache.close()
        assert cache.size == 0

    asyncio.run(play())


@pytest.fixture(scope="module")
def step() -> Iterator[str]:
    """The example's step, embedding by hashes of words and letters."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(STEP), "--port", str(port), "--embedder", "hashing"])
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def semantic(step: str, threshold: float = 0.7) -> Cache:
    return Cache(mode="semantic", ttl_seconds=60, threshold=threshold, step=step)


def test_the_same_question_in_other_words_is_answered_from_the_cache(gateway: Running, step: str) -> None:
    name = cached(gateway, cache=semantic(step))
    assert hit(gateway.ask("How do I locate my new card?", name)) == "miss"
    until(lambda: hit(gateway.ask("how do i locate my new card", name)) == "hit")
    near = gateway.ask("How do I locate my  new card??", name)
    assert hit(near) == "hit"
    assert near.json()["choices"][0]["message"]["content"].startswith("echo: How do I locate my new card?")
    assert gateway.span(near.headers["x-noria-trace-id"])["attributes"]["cache_similarity"] >= 0.7
    assert hit(gateway.ask("What is the exchange rate of the won today", name)) == "miss"


def test_numbers_conversations_and_parameters_are_never_near(gateway: Running, step: str) -> None:
    name = cached(gateway, cache=semantic(step, 0.3))
    gateway.ask("Send 100 dollars to my landlord", name)
    until(lambda: hit(gateway.ask("send 100 dollars to my landlord!", name)) == "hit")
    assert hit(gateway.ask("Send 900 dollars to my landlord", name)) == "miss"
    assert hit(gateway.ask("Send 100 dollars to my landlord.", name, temperature=1)) == "miss"
    before: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Send 100 dollars to my landlord"},
    ]
    assert hit(gateway.post({"model": name, "messages": before})) == "miss"


def test_a_step_that_is_gone_is_a_miss(gateway: Running) -> None:
    name = cached(gateway, cache=semantic(f"http://127.0.0.1:{free_port()}"))
    first = gateway.ask("hello there", name)
    assert hit(first) == "miss"
    assert "could not be reached" in gateway.span(first.headers["x-noria-trace-id"])["attributes"]["cache_trouble"]
    assert hit(gateway.ask("hello there", name)) == "hit", "the exact cache needs no step"
