"""Streams of the Responses dialect: chat chunks told as typed events, a provider's events read as chat chunks."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from noria.core.errors import ProviderFailed, TimedOut
from noria.core.records import Message
from noria.gateway import usage
from noria.gateway.dialects.responses import Responses

FIXTURES = Path(__file__).parent / "fixtures" / "responses"
RESPONSES = Responses()
TYPED: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
BODY = {"model": "support", "input": "hi"}


def fixture(name: str) -> list[dict[str, Any]]:
    told = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    events: list[dict[str, Any]] = told["events"]
    return events


def read(events: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    reader = RESPONSES.reader()
    return [chunk for event in events for chunk in reader.read(event["type"], event)], reader.done


def write(chunks: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events that chunks become, each checked against the client's types; and the final response."""
    writer = RESPONSES.writer(BODY, include_usage=False)
    told = b"".join([*(writer.write(chunk) for chunk in chunks), writer.end()])
    return parsed(told), writer.response


def parsed(told: bytes) -> list[dict[str, Any]]:
    events = []
    for event in told.decode().split("\n\n")[:-1]:
        name, data = event.split("\n")
        fields = json.loads(data.removeprefix("data: "))
        assert name == f"event: {fields['type']}"
        assert TYPED.validate_python(fields).type == fields["type"]
        events.append(fields)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "created": 9,
        "model": "served",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}],
    }


def comparable(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what is another one's to choose: ids, padding, and what a response repeats of its request."""
    told = {name: value for name, value in event.items() if name not in ("obfuscation", "item_id", "id")}
    if "response" in told:
        kept = ("status", "output", "usage", "incomplete_details", "model")
        told["response"] = {name: event["response"][name] for name in kept}
    return _without_ids(told)  # type: ignore[no-any-return]


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_ids(inner) for name, inner in value.items() if name != "id"}
    return [_without_ids(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["stream_text", "stream_incomplete"])
def test_a_stream_of_text_is_told_event_by_event_as_openai_does(name: str) -> None:
    events = fixture(name)
    for event in events:
        TYPED.validate_python(event)
    chunks, done = read(events)
    assert done
    told, _ = write(chunks)
    assert [comparable(event) for event in told] == [comparable(event) for event in events]


@pytest.mark.parametrize("name", ["stream_text", "stream_calls", "stream_reasoning", "stream_incomplete"])
def test_streamed_and_whole_answers_agree(name: str) -> None:
    events = fixture(name)
    whole = RESPONSES.to_answer(events[-1]["response"])
    chunks, _ = read(events)
    output = usage.streamed(chunks)
    message = whole["choices"][0]["message"]
    fields = ("reasoning_content", "tool_calls")
    assert (output.messages[0]["content"], *map(output.messages[0].get, fields)) == (
        message["content"] or "",
        *map(message.get, fields),
    )
    assert output.finish_reason == whole["choices"][0]["finish_reason"]
    assert output.usage == usage.usage_in(whole["usage"])
    _, response = write(chunks)
    Response.model_validate(response)
    assert _without_ids(response["usage"]) == events[-1]["response"]["usage"]
    if name != "stream_reasoning":  # chat joins the parts of a summary
        assert _without_ids(response["output"]) == _without_ids(events[-1]["response"]["output"])


def test_a_thought_keeps_the_id_under_which_its_provider_knows_it() -> None:
    _, response = write(read(fixture("stream_reasoning"))[0])
    thought = response["output"][0]
    assert (thought["id"], thought["encrypted_content"]) == ("rs_01", "gAAAA-opaque")
    assert thought["summary"] == [{"type": "summary_text", "text": "Think of weather.\n\nThen answer."}]


@pytest.mark.parametrize("name", ["stream_text", "stream_calls", "stream_reasoning"])
@pytest.mark.parametrize("left_out", [".delta", ".done", ".added"])
def test_servers_that_leave_events_out_lose_nothing(name: str, left_out: str) -> None:
    events = fixture(name)
    few = [event for event in events if not event["type"].endswith(left_out)]
    expected, found = usage.streamed(read(events)[0]), usage.streamed(read(few)[0])
    assert found == expected
    assert usage.streamed(read([events[0], events[-1]])[0]) == expected


def test_parallel_calls_whose_pieces_come_mixed() -> None:
    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more}, "id": f"call_{index}"}]}

    told, response = write(
        [
            chunk({"role": "assistant", "content": None}),
            chunk(piece(0, "", name="a")),
            chunk(piece(1, '{"x"', name="b")),
            chunk(piece(0, "{}")),
            chunk(piece(1, ":1}")),
            chunk({}, "tool_calls"),
        ]
    )
    assert [(item["name"], item["call_id"], item["arguments"]) for item in response["output"]] == [
        ("a", "call_0", "{}"),
        ("b", "call_1", '{"x":1}'),
    ]
    assert [event["arguments"] for event in told if event["type"].endswith("arguments.done")] == ["{}", '{"x":1}']


def test_thoughts_text_annotations_refusal_and_logprobs() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    note = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
    told, response = write(
        [
            chunk({"reasoning_content": "h"}),
            chunk({"reasoning_content": "m"}),
            chunk({"content": "Hi"}, logprobs={"content": [token]}),
            chunk({"annotations": [note]}),
            chunk({"refusal": "no"}),
            chunk({}, "stop"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
        ]
    )
    Response.model_validate(response)
    thought, message = response["output"]
    assert thought["summary"][0]["text"] == "hm"
    assert message["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    ]
    assert message["content"][0]["logprobs"] == [
        {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    ]
    assert message["content"][1] == {"type": "refusal", "refusal": "no"}
    assert response["usage"]["total_tokens"] == 7
    assert [event["type"].removeprefix("response.") for event in told] == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", *["reasoning_summary_text.delta"] * 2),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.annotation.added"),
        *("content_part.added", "refusal.delta", "output_text.done", "content_part.done", "refusal.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]


def test_an_emoji_split_over_two_chunks_meets_again() -> None:
    told, response = write([chunk({"content": "\ud83d"}), chunk({"content": "\ude00"}), chunk({}, "stop")])
    assert response["output"][0]["content"][0]["text"] == "😀"
    assert [event["text"] for event in told if event["type"] == "response.output_text.done"] == ["😀"]


def test_a_stream_without_chunks_is_an_empty_answer() -> None:
    told, response = write([])
    Response.model_validate(response)
    assert told[-1]["type"] == "response.completed"


def test_a_stream_that_breaks_off_counts_on() -> None:
    writer = RESPONSES.writer(BODY, include_usage=False)
    told = parsed(writer.write(chunk({"content": "Hi"})) + writer.fail(TimedOut("Too slow.")))
    assert [event["type"] for event in told[-2:]] == ["error", "response.failed"]
    assert told[-2]["message"] == told[-2]["error"]["message"] == "Too slow."
    assert told[-1]["response"]["status"] == "failed"
    assert parsed(RESPONSES.error_event(TimedOut("Too slow.")))[0]["code"] == "timed_out"
    assert json.loads(RESPONSES.error(TimedOut("Too slow.")))["error"]["code"] == "timed_out"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stream_error_nested", "Too Many Requests"),
        ("stream_error_flat", "Something went wrong"),
        ("stream_failed", "Slow down."),
    ],
)
def test_a_providers_error_ends_the_stream(name: str, reason: str) -> None:
    with pytest.raises(ProviderFailed, match=reason):
        read(fixture(name))


@pytest.mark.parametrize("name", ["stream_text", "stream_calls", "stream_reasoning", "stream_incomplete"])
def test_the_marks_are_in_what_must_be_looked_at_and_not_in_deltas(name: str) -> None:
    for event in fixture(name):
        line = json.dumps(event, separators=(",", ":")).encode()
        assert any(mark in line for mark in RESPONSES.marks) == ("response" in event)
    for failed in ("stream_error_nested", "stream_error_flat", "stream_failed"):
        assert any(mark in json.dumps(fixture(failed)[-1]).encode() for mark in RESPONSES.marks)


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "id", "content", "text", "name", "arguments", "summary", "output"]), inner
        ),
    ),
    max_leaves=10,
)
KINDS = st.sampled_from(
    [
        *("response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta"),
        *("response.output_text.done", "response.function_call_arguments.delta", "response.completed", "x.delta", ""),
        *("response.output_text.annotation.added", "response.reasoning_summary_text.delta", "response.failed", "error"),
    ]
)
EVENTS = st.dictionaries(
    st.sampled_from(
        ["response", "item", "delta", "output_index", "content_index", "text", "arguments", "annotation", "part"]
    ),
    JUNK,
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(KINDS, EVENTS), max_size=6))
def test_odd_events_raise_nothing_but_provider_failed(events: list[tuple[str, dict[str, Any]]]) -> None:
    reader, writer = RESPONSES.reader(), RESPONSES.writer(BODY, include_usage=False)
    try:
        for kind, event in events:
            for told in reader.read(kind, event):
                writer.write(told)
    except ProviderFailed:
        return
    assert writer.end()


PIECES = st.one_of(
    st.builds(lambda text: {"content": text}, st.text(min_size=1, max_size=5)),
    st.builds(lambda text: {"reasoning_content": text}, st.text(min_size=1, max_size=5)),
    st.builds(lambda text: {"refusal": text}, st.text(min_size=1, max_size=5)),
    st.builds(
        lambda index, text: {
            "tool_calls": [
                {
                    "index": index,
                    "id": f"call_{index}",
                    "function": {"name": "" if text else f"f{index}", "arguments": text},
                }
            ]
        },
        st.integers(0, 2),
        st.text(max_size=5),
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_any_chat_stream_survives_the_way_there_and_back(pieces: list[Message]) -> None:
    chunks = [chunk(piece) for piece in pieces] + [chunk({}, "stop")]
    told, response = write(chunks)
    Response.model_validate(response)
    again = usage.streamed(read(told)[0]).messages[0]
    expected = usage.streamed(chunks).messages[0]
    assert again["content"] == expected["content"]
    thoughts = again.get("reasoning_content", "").replace("\n\n", "")
    assert thoughts == expected.get("reasoning_content", "").replace("\n\n", "")
    calls, wanted = again.get("tool_calls", []), expected.get("tool_calls", [])
    assert sorted(call["function"]["arguments"] for call in calls) == sorted(
        call["function"]["arguments"] for call in wanted
    )
    assert {call["id"] for call in calls} == {call["id"] for call in wanted}
