"""What requests cost: every dialect's counts, as its provider sends them, at a release's prices."""

from typing import Any

import pytest

from noria.gateway import usage
from noria.gateway.dialects.converse import Converse
from noria.gateway.dialects.gemini import Gemini
from noria.gateway.dialects.messages import Messages, terms
from noria.gateway.dialects.responses import Responses
from noria.gateway.usage import Usage
from noria.registry.snapshot import LongPrompts, ReleaseEntry

DEAR = ReleaseEntry(
    1,
    "p",
    "m",
    input_micros=4_000_000,
    cached_micros=200_000,
    cache_write_micros=5_000_000,
    cache_write_1h_micros=8_000_000,
    output_micros=20_000_000,
)
PLAIN = ReleaseEntry(1, "p", "m", input_micros=4_000_000, output_micros=20_000_000)


def chat(counts: dict[str, Any]) -> Usage:
    return usage.usage_in(counts)


def test_openai_counts_cached_and_written_within_the_prompt() -> None:
    used = chat(
        {
            "prompt_tokens": 2600,
            "completion_tokens": 300,
            "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 250},
        }
    )
    assert (used.input, used.cached, used.written, used.output, used.reasoning) == (2600, 2000, 400, 300, 250)
    # 200 plain at $4, 2000 cached at $0.20, 400 written at $5, 300 out at $20; reasoning is among those 300.
    assert used.cost_micros(DEAR) == 800 + 400 + 2000 + 6000


def test_anthropic_counts_them_beside_and_by_how_long_they_are_kept() -> None:
    answer = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 21,
            "cache_read_input_tokens": 1800,
            "cache_creation_input_tokens": 188,
            "cache_creation": {"ephemeral_5m_input_tokens": 88, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 393,
            "output_tokens_details": {"thinking_tokens": 150},
        },
    }
    used = usage.whole(Messages().to_answer(answer)).usage
    assert (used.input, used.cached, used.written, used.written_1h) == (2009, 1800, 188, 100)
    assert (used.output, used.reasoning) == (393, 150)
    assert used.cost_micros(DEAR) == 21 * 4 + 360 + 88 * 5 + 100 * 8 + 393 * 20


def test_converse_counts_them_beside_too() -> None:
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 10,
            "outputTokens": 5,
            "totalTokens": 1015,
            "cacheReadInputTokens": 700,
            "cacheWriteInputTokens": 300,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 100}],
        },
    }
    used = usage.whole(Converse().to_answer(answer)).usage
    assert (used.input, used.cached, used.written, used.written_1h, used.output) == (1010, 700, 300, 200, 5)
    assert used.cost_micros(DEAR) == 10 * 4 + 140 + 100 * 5 + 200 * 8 + 5 * 20


def test_gemini_counts_cached_within_the_prompt_and_thoughts_beside_the_answer() -> None:
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 500,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 1050,
        },
    }
    used = usage.whole(Gemini().to_answer(answer)).usage
    assert (used.input, used.cached, used.output, used.reasoning) == (1000, 500, 50, 30)
    assert used.cost_micros(DEAR) == 500 * 4 + 100 + 50 * 20


def test_responses_count_as_chat_does() -> None:
    answer = {
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": {
            "input_tokens": 18014,
            "input_tokens_details": {"cache_write_tokens": 18011, "cached_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 4},
        },
    }
    used = usage.whole(Responses().to_answer(answer)).usage
    assert (used.input, used.written, used.output, used.reasoning) == (18014, 18011, 10, 4)
    assert used.cost_micros(DEAR) == 3 * 4 + 18011 * 5 + 200


def test_deepseek_counts_what_it_read_in_a_field_of_its_own() -> None:
    used = chat({"prompt_tokens": 100, "completion_tokens": 1, "prompt_cache_hit_tokens": 60})
    assert used.cached == 60
    assert used.cost_micros(DEAR) == 40 * 4 + 12 + 20


def test_written_tokens_come_back_to_callers_in_their_own_words() -> None:
    counts = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_tokens": 60}}
    told = terms.message_usage(counts)
    assert (told["input_tokens"], told["cache_creation_input_tokens"]) == (40, 60)
    assert terms.chat_usage(told) == {
        "prompt_tokens": 100,
        "completion_tokens": 1,
        "total_tokens": 101,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 60},
        "cache_creation_input_tokens": 60,
    }


def test_without_prices_of_their_own_cached_and_written_tokens_cost_what_input_costs() -> None:
    used = Usage(input=1000, output=10, cached=400, written=300, written_1h=100, known=True)
    assert used.cost_micros(PLAIN) == 1000 * 4 + 200


@pytest.mark.parametrize(("tokens", "cost"), [(100_000, 10_000), (100_002, 50_001)])
def test_long_prompts_raise_the_price_of_the_whole_request(tokens: int, cost: int) -> None:
    haiku = ReleaseEntry(1, "p", "m", input_micros=100_000, long_prompts=LongPrompts(100_000, 500, 500))
    assert Usage(input=tokens, known=True).cost_micros(haiku) == cost


@pytest.mark.parametrize("counts", [{"cached": 5000}, {"written": 5000}, {"cached": 700, "written": 700}])
def test_a_provider_that_says_more_was_cached_than_there_was_is_not_believed(counts: dict[str, int]) -> None:
    cost = Usage(input=1000, known=True, **counts).cost_micros(DEAR)
    assert 0 < cost <= 1000 * 5


def test_costs_are_rounded_to_the_nearest_micro_dollar() -> None:
    cheap = ReleaseEntry(1, "p", "m", input_micros=75_000)
    assert [Usage(input=n).cost_micros(cheap) for n in (6, 7, 20)] == [0, 1, 2]
