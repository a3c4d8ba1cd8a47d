"""Whatever is said survives a round trip; whatever is malformed raises what was promised and nothing else."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import BadInput, ProviderFailed
from noria.gateway import usage
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import Messages, count_tokens, plain
from tests.gateway.dialects.messages_fixtures import assembled, read, write

MESSAGES = Messages()

texts = st.text(min_size=1, max_size=12)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
inputs = st.dictionaries(texts, values, max_size=3)
pictures = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,aGk=", "data:image/webp;base64,"])
parts = st.one_of(
    texts.map(lambda text: {"type": "text", "text": text}),
    pictures.map(lambda url: {"type": "image_url", "image_url": {"url": url}}),
)
calls = st.builds(
    lambda known, name, given: {
        "id": known,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(given, ensure_ascii=False, separators=(",", ":"))},
    },
    ids,
    ids,
    inputs,
)


def _turn(said: str | None, made: list[Json], asked: Any) -> list[Json]:
    answer: Json = {"role": "assistant", "content": said if said or made else "."}
    if made:
        answer["tool_calls"] = made
    results = [{"role": "tool", "tool_call_id": one["id"], "content": f"of {one['id']}"} for one in made]
    return [answer, *results, {"role": "user", "content": asked}]


turns = st.builds(
    _turn, st.none() | texts, st.lists(calls, max_size=3), texts | st.lists(parts, min_size=2, max_size=4)
)


@given(texts, st.lists(turns, max_size=3), st.sampled_from([None, "auto", "required", "none"]))
def test_a_chat_comes_back_as_it_was(system: str, said: list[list[Json]], choice: str | None) -> None:
    opening = [{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]
    chat: Json = {"messages": [*opening, *(message for turn in said for message in turn)], "max_tokens": 9}
    if choice:
        chat["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
        chat["tool_choice"] = choice
    request = MESSAGES.from_chat(chat)
    MESSAGES.check(request)
    assert MESSAGES.to_chat(request) == chat
    assert plain(chat) == (chat, [])


@given(
    st.none() | texts,
    st.none() | texts,
    st.lists(calls, max_size=3),
    st.sampled_from(["stop", "length", "content_filter"]),
    st.tuples(st.integers(0, 500), st.integers(0, 500)),
)
def test_an_answer_survives_whole_and_streamed(
    content: str | None, reasoning: str | None, made: list[Json], finish: str, tokens: tuple[int, int]
) -> None:
    fresh, cached = tokens
    message: Json = {"role": "assistant", "content": content if content or made else ""}
    if reasoning:
        message["reasoning_content"] = reasoning
    if made:
        message["tool_calls"] = made
    finish = "tool_calls" if made else finish
    counts = {"prompt_tokens": fresh + cached, "completion_tokens": 3, "total_tokens": fresh + cached + 3}
    counts |= {"prompt_tokens_details": {"cached_tokens": cached}, "cache_creation_input_tokens": 0}  # type: ignore[dict-item]
    choice = {"index": 0, "message": message, "finish_reason": finish}
    told = MESSAGES.answer({"id": "i", "model": "m", "choices": [choice], "usage": counts}, {})
    back = MESSAGES.to_answer(told)
    assert back["choices"][0]["message"] == message
    assert back["choices"][0]["finish_reason"] == finish
    assert back["usage"] == counts

    events = write(MESSAGES.writer({}, include_usage=True), _chunks(message, finish, counts))
    assert assembled(events)["content"] == told["content"]
    output = usage.streamed(read(MESSAGES.reader(), events))
    assert output.messages == [{**message, "content": message["content"] or ""}]
    assert output.finish_reason == finish
    assert (output.usage.input, output.usage.cached, output.usage.output) == (fresh + cached, cached, 3)


def _chunks(message: Json, finish: str, counts: Json) -> list[Json]:
    """The answer in pieces of one character."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in message.get("reasoning_content") or ""]
    deltas += [{"content": piece} for piece in message["content"] or ""]
    for index, one in enumerate(message.get("tool_calls") or ()):
        name, arguments = one["function"]["name"], one["function"]["arguments"]
        start = {"index": index, "id": one["id"], "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [start]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in arguments]
    chunks: list[Json] = [{"id": "i", "model": "m", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return [*chunks, {"choices": [], "usage": counts}]


names = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "name",
        "input",
        "id",
        "source",
        "url",
        "data",
        "media_type",
        "thinking",
        "signature",
        "tool_use_id",
        "output_config",
        "format",
        "schema",
        "stop_sequences",
        "max_tokens",
        "metadata",
        "user_id",
        "function",
        "arguments",
        "tool_calls",
        "image_url",
        "file",
        "file_data",
        "tool_call_id",
        "index",
        "delta",
        "message",
        "usage",
        "input_tokens",
        "stop_reason",
        "error",
        "content_block",
        "partial_json",
        "choices",
        "finish_reason",
        "thinking_blocks",
        "provider_blocks",
        "citations",
        "citation",
    ]
)
words = st.sampled_from(
    [
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "user",
        "assistant",
        "system",
        "tool",
        "function",
        "image_url",
        "file",
        "auto",
        "any",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "signature_delta",
        "citations_delta",
        "base64",
        "url",
        "json_schema",
        "refusal",
    ]
)
junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | words | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=25,
)
objects = st.dictionaries(names, junk, max_size=8)


@given(objects)
def test_a_malformed_request_is_bad_input_or_passes_on(body: Json) -> None:
    try:
        MESSAGES.check(body)
    except BadInput:
        return
    count_tokens(body)
    plain(MESSAGES.to_chat(body))


blocks = st.lists(
    st.fixed_dictionaries({"type": words}, optional={"text": texts, "source": objects, "id": ids}), max_size=3
)


@given(
    st.lists(
        st.fixed_dictionaries({"role": words, "content": junk | blocks}, optional={"tool_calls": junk}), max_size=3
    )
)
def test_a_malformed_conversation_is_bad_input_or_passes_on(messages: list[Json]) -> None:
    request = {"messages": messages, "max_tokens": 3}
    try:
        MESSAGES.check(request)
    except BadInput:
        pass
    else:
        MESSAGES.to_chat(request)
    with suppress(BadInput):
        MESSAGES.from_chat(request)


@given(objects)
def test_a_malformed_chat_body_is_bad_input_or_passes_on(chat: Json) -> None:
    with suppress(BadInput):
        MESSAGES.from_chat(chat)


@given(objects)
def test_a_malformed_answer_fails_as_the_providers(answer: Json) -> None:
    try:
        chat = MESSAGES.to_answer(answer)
    except ProviderFailed:
        return
    json.dumps(MESSAGES.answer(chat, {}))


@given(objects)
def test_a_malformed_chat_answer_is_told_as_far_as_it_goes(chat: Json) -> None:
    json.dumps(MESSAGES.answer(chat, {}))


@given(st.lists(st.tuples(words | st.just(""), objects), max_size=6))
def test_a_malformed_stream_fails_as_the_providers(events: list[tuple[str, Json]]) -> None:
    reader = MESSAGES.reader()
    try:
        chunks = read(reader, events)
    except ProviderFailed:
        return
    usage.streamed(chunks)
    write(MESSAGES.writer({}, include_usage=True), chunks)


@given(st.lists(objects | objects.map(lambda delta: {"choices": [{"delta": delta}]}), max_size=6))
def test_malformed_chunks_are_told_as_far_as_they_go(chunks: list[Json]) -> None:
    write(MESSAGES.writer({}, include_usage=True), chunks)
