"""A whole answer told as a stream and put together again is the same answer; and clients read it as any stream."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from noria.gateway.ask import parse
from noria.gateway.dialects.chat import CHAT
from noria.gateway.replay import Replay, assembled, chunks_of

TEXT = st.text(max_size=300)
CALL = st.fixed_dictionaries(
    {
        "id": st.text("abc123", min_size=1, max_size=8),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": st.text("abc_", min_size=1, max_size=9), "arguments": TEXT}),
    }
)
SAYS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXT},
    optional={"reasoning_content": TEXT.filter(bool), "refusal": st.none(), "annotations": st.just([])},
)
CALLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none(), "tool_calls": st.lists(CALL, min_size=1, max_size=3)}
)


def an_answer(messages: list[Any]) -> dict[str, Any]:
    choices = [{"index": i, "message": message, "finish_reason": "stop"} for i, message in enumerate(messages)]
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    head = {"id": "c-1", "created": 1, "model": "m", "system_fingerprint": "f"}
    return {**head, "object": "chat.completion", "choices": choices, "usage": usage}


@given(st.lists(SAYS | CALLS, min_size=1, max_size=3))
def test_an_answer_survives_being_streamed(messages: list[Any]) -> None:
    answer = an_answer(messages)
    chunks = list(chunks_of(answer))
    assert assembled(chunks) == answer
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == answer["usage"]


def test_log_probabilities_go_with_their_tokens() -> None:
    answer = an_answer([{"role": "assistant", "content": "so it is"}])
    tokens = [{"token": token, "logprob": -0.5} for token in ("so", " it", " is")]
    answer["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    chunks = list(chunks_of(answer))
    told = [c["choices"][0]["delta"]["content"] for c in chunks if c["choices"] and "logprobs" in c["choices"][0]]
    assert told == ["so", " it", " is"]
    assert assembled(chunks) == answer


def test_log_probabilities_of_other_texts_come_whole() -> None:
    answer = an_answer([{"role": "assistant", "content": "so it is"}])
    answer["choices"][0]["logprobs"] = {"content": [{"token": "x"}]}
    assert assembled(chunks_of(answer)) == answer


def test_odd_answers_are_told_as_far_as_they_go() -> None:
    for choices in ([], [None], [{"message": None}], [{"message": {"content": 3, "tool_calls": [None, {}]}}]):
        chunks = list(chunks_of({"choices": choices, "usage": None}))
        assert assembled(chunks)["object"] == "chat.completion"


def test_assembling_trusts_no_chunk() -> None:
    odd: list[Any] = [
        {"choices": [None, {"index": "x", "delta": None}, {"delta": {"tool_calls": [None, {"index": None}]}}]},
        {"choices": None, "usage": 3},
        {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 0, "delta": {"content": None}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "stop"}]},
    ]
    answer = assembled(odd)
    assert answer["choices"][0]["message"]["content"] is None or isinstance(answer["choices"][0]["message"], dict)
    assert "usage" not in answer


def test_a_replay_is_told_in_pieces_and_ends_as_a_stream() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": true}'
    ask = parse(body, CHAT, {})
    replay = Replay(an_answer([{"role": "assistant", "content": "word " * 40_000}]), ask)
    assert not replay.done
    assert 16_384 <= len(replay.first) < 40_000
    assert replay.output().messages[0]["content"] == "word " * 40_000
    assert replay.last() == b"data: [DONE]\n\n"
