"""Dialects of which there are no recordings, written by hand from what their projects publish (`source` of each table)."""

import json
from typing import Any

import pytest

from noria.core.records import Span
from noria.tracing.dialects.driver import TABLES
from noria.tracing.totals import totals
from tests.tracing.otlp_kit import Made, Otlp

ASKED = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "서울 날씨?"}]
SAID = "맑습니다."


def text(value: Any) -> str:
    """JSON as most Python libraries write it: letters escaped."""
    return json.dumps(value)


CALLS: dict[str, Made] = {
    "genai, messages as span events": Made(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 19,
            "gen_ai.usage.output_tokens": 9,
        },
        events=(
            ("gen_ai.system.message", {"content": "You are helpful."}),
            ("gen_ai.user.message", {"content": "서울 날씨?"}),
            ("gen_ai.choice", {"finish_reason": "stop", "message": text({"role": "assistant", "content": SAID})}),
        ),
    ),
    "traceloop before 2025, numbered": Made(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "You are helpful.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "서울 날씨?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": SAID,
            "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.usage.prompt_tokens": 19,
            "gen_ai.usage.completion_tokens": 9,
            "llm.usage.total_tokens": 28,
            "traceloop.association.properties.user_id": "user-7",
            "traceloop.association.properties.session_id": "sess-42",
        }
    ),
    "openlit": Made(
        {
            "telemetry.sdk.name": "openlit",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.request.user": "user-7",
            "gen_ai.request.is_stream": False,
            "gen_ai.usage.input_tokens": 19,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cost": 0.0000123,
        },
        events=(
            ("gen_ai.content.prompt", {"gen_ai.prompt": text(ASKED)}),
            ("gen_ai.content.completion", {"gen_ai.completion": SAID}),
        ),
    ),
    "pydantic-ai, events attribute": Made(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 19,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.details.cached_tokens": 4,
            "gen_ai.usage.details.reasoning_tokens": 2,
            "logfire.json_schema": text({"type": "object"}),
            "events": text(
                [
                    {**ASKED[0], "gen_ai.message.index": 0, "event.name": "gen_ai.system.message"},
                    {**ASKED[1], "gen_ai.message.index": 0, "event.name": "gen_ai.user.message"},
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": SAID},
                        "event.name": "gen_ai.choice",
                    },
                ]
            ),
        },
        scope="pydantic-ai",
    ),
    "langfuse": Made(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o-mini-2024-07-18",
            "langfuse.observation.model.parameters": text({"temperature": 0.2}),
            "langfuse.observation.input": text(ASKED),
            "langfuse.observation.output": text({"role": "assistant", "content": SAID}),
            "langfuse.observation.usage_details": text(
                {"input": 15, "input_cached_tokens": 4, "output": 7, "output_reasoning_tokens": 2, "total": 28}
            ),
            "langfuse.observation.cost_details": text({"input": 0.00001, "output": 0.0000023}),
            "session.id": "sess-42",
            "user.id": "user-7",
            "langfuse.trace.tags": ["ko", "beta"],
            "langfuse.observation.prompt.name": "weather",
            "langfuse.observation.prompt.version": 3,
        },
        scope="langfuse-sdk",
    ),
    "mlflow": Made(
        {
            "mlflow.spanType": text("CHAT_MODEL"),
            "mlflow.spanInputs": text({"model": "gpt-4o-mini", "messages": ASKED}),
            "mlflow.spanOutputs": text(
                {
                    "id": "chatcmpl-1",
                    "model": "gpt-4o-mini-2024-07-18",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}}],
                }
            ),
            "mlflow.chat.tokenUsage": text({"input_tokens": 19, "output_tokens": 9, "total_tokens": 28}),
            "mlflow.llm.model": text("gpt-4o-mini-2024-07-18"),
            "mlflow.trace.session": text("sess-42"),
            "mlflow.trace.user": text("user-7"),
        }
    ),
    "vercel": Made(
        {
            "operation.name": "ai.generateText.doGenerate",
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "gpt-4o-mini",
            "ai.model.provider": "openai.chat",
            "ai.prompt.messages": text(
                [ASKED[0], {"role": "user", "content": [{"type": "text", "text": "서울 날씨?"}]}]
            ),
            "ai.response.text": SAID,
            "ai.response.model": "gpt-4o-mini-2024-07-18",
            "ai.usage.promptTokens": 19,
            "ai.usage.completionTokens": 9,
            "ai.settings.maxRetries": 2,
            "ai.telemetry.metadata.userId": "user-7",
            "ai.telemetry.metadata.sessionId": "sess-42",
            "gen_ai.system": "openai.chat",
            "gen_ai.usage.input_tokens": 19,
        },
        scope="ai",
    ),
    "google adk": Made(
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gcp.vertex.agent.session_id": "sess-42",
            "gcp.vertex.agent.llm_request": text(
                {
                    "model": "gemini-2.5-flash",
                    "system_instruction": "You are helpful.",
                    "contents": [{"role": "user", "parts": [{"text": "서울 날씨?"}]}],
                }
            ),
            "gcp.vertex.agent.llm_response": text(
                {
                    "content": {"role": "model", "parts": [{"text": SAID}]},
                    "usage_metadata": {
                        "prompt_token_count": 19,
                        "candidates_token_count": 7,
                        "thoughts_token_count": 2,
                        "cached_content_token_count": 4,
                    },
                }
            ),
        }
    ),
    "somebody new": Made(
        {
            "acme.request.modelName": "gpt-4o-mini",
            "acme.usage.inputTokens": 19,
            "acme.usage.outputTokens": 9,
            "acme.userId": "user-7",
            "acme.request.messages": text(ASKED),
            "acme.answer": SAID,
        }
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_each_dialect_reads_the_same(otlp: Otlp, name: str) -> None:
    span = otlp.one(CALLS[name])
    assert span.kind == "llm"
    assert [(m["role"], m["content"]) for m in span.input_messages] == [(m["role"], m["content"]) for m in ASKED]
    assert [(m["role"], m["content"]) for m in span.output_messages] == [("assistant", SAID)]
    assert (span.input_tokens, span.output_tokens) == (19, 9)
    assert "gpt-4o-mini" in span.served_model or name == "google adk"
    assert span.provider in {"openai", "gcp.vertex.agent"} or name in {"langfuse", "mlflow", "somebody new"}
    sent = str(CALLS[name].attributes)
    assert span.subject_id == ("user-7" if "user-7" in sent else "")
    assert span.session_id == ("sess-42" if "sess-42" in sent else "")
    assert "\\u" not in json.dumps(span.attributes, ensure_ascii=False)


def test_cached_and_reasoning_tokens_cost_and_prompt(otlp: Otlp) -> None:
    found = {name: otlp.one(made) for name, made in CALLS.items()}
    for name in ("pydantic-ai, events attribute", "langfuse", "google adk"):
        assert (found[name].cached_tokens, found[name].reasoning_tokens) == (4, 2), name
    assert found["openlit"].cost_micros == found["langfuse"].cost_micros == 12
    assert (found["langfuse"].prompt_name, found["langfuse"].prompt_version) == ("weather", 3)
    assert found["langfuse"].tags == ["ko", "beta"]
    assert found["langfuse"].parameters == {"temperature": 0.2}
    assert found["vercel"].parameters == {"maxRetries": 2}


def test_what_no_table_knows_stays_visible(otlp: Otlp) -> None:
    span = otlp.one(
        Made({"acme.flavour": "mint", "acme.deep": {"list": [1, True, "x"]}, "acme.raw": '{"a": "\\uc11c"}'})
    )
    assert span.attributes["acme.flavour"] == "mint"
    assert span.attributes["acme.deep"] == {"list": [1, True, "x"]}
    assert span.attributes["acme.raw"] == '{"a": "서"}'
    assert span.attributes["resource.service.name"] == "shop"
    assert span.kind == "chain"


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"mlflow.spanType": '"RETRIEVER"'}, "retrieval"),
        ({"mlflow.spanType": '"AGENT"'}, "agent"),
        ({"langfuse.observation.type": "evaluator"}, "judge"),
        ({"openinference.span.kind": "GUARDRAIL"}, "guardrail"),
        ({"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather"}, "tool"),
        ({"ai.operationId": "ai.generateText"}, "chain"),
        ({"ai.operationId": "ai.embed.doEmbed"}, "embedding"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.tool.name": "running tool"}, "tool"),
        ({"agent_name": "support", "model_name": "gpt-4o"}, "agent"),
        ({"http.request.method": "GET", "url.full": "http://127.0.0.1/"}, "http"),
        ({}, "chain"),
    ],
)
def test_kinds(otlp: Otlp, attributes: dict[str, Any], kind: str) -> None:
    assert otlp.one(Made(attributes)).kind == kind


def test_what_repeats_a_calls_tokens_is_not_counted_again(otlp: Otlp) -> None:
    usage = {"gen_ai.usage.input_tokens": 38, "gen_ai.usage.output_tokens": 18}
    run = Made({"agent_name": "support", "model_name": "gpt-4o-mini", **usage}, name="agent run", scope="pydantic-ai")
    steps = [
        Made(CALLS["pydantic-ai, events attribute"].attributes, trace_id=run.trace_id, parent_id=run.span_id)
        for _ in range(2)
    ]
    outer = Made({"ai.operationId": "ai.generateText", "ai.usage.promptTokens": 19, "ai.usage.completionTokens": 9})
    inner = Made(CALLS["vercel"].attributes, trace_id=outer.trace_id, parent_id=outer.span_id)
    assert otlp.send(*reversed([run, *steps])).status_code == 200
    assert otlp.send(inner, outer).status_code == 200
    otlp.carry()
    agent = otlp.trace(run.trace_id)
    assert (agent.totals.calls, agent.totals.input_tokens, agent.totals.output_tokens) == (2, 38, 18)
    assert [node.depth for node in agent.spans] == [0, 1, 1]
    vercel = otlp.trace(outer.trace_id)
    assert (vercel.totals.calls, vercel.totals.input_tokens, vercel.totals.output_tokens) == (1, 19, 9)


def test_a_tool_shows_its_call_and_its_result(otlp: Otlp) -> None:
    span = otlp.one(
        Made(
            {
                "ai.operationId": "ai.toolCall",
                "ai.toolCall.name": "weather",
                "ai.toolCall.id": "call_1",
                "ai.toolCall.args": '{"city": "\\uc11c\\uc6b8"}',
                "ai.toolCall.result": '{"sky": "clear"}',
            }
        )
    )
    [call] = span.input_messages[0]["tool_calls"]
    assert (call["id"], call["function"]) == ("call_1", {"name": "weather", "arguments": '{"city": "서울"}'})
    assert span.output_messages == [{"role": "tool", "content": '{"sky": "clear"}'}]


def test_every_table_says_where_its_names_are_published() -> None:
    assert len({table.name for table in TABLES}) == len(TABLES) == 10
    assert all("http" in table.source or "github" in table.source for table in TABLES)


def test_totals_of_rings_and_lost_parents_end() -> None:
    def span(number: int, parent: int, tokens: int) -> Span:
        ids = {"trace_id": "a" * 32, "span_id": f"{number:016x}", "parent_id": f"{parent:016x}", "project_id": "p"}
        return Span(**ids, name="x", kind="llm", start_ns=number, end_ns=number, input_tokens=tokens)  # type: ignore[arg-type]

    assert totals([span(1, 2, 0), span(2, 1, 5)]).input_tokens == 5
    assert totals([span(1, 1, 5), span(2, 99, 7), span(3, 2, 7)]).input_tokens == 12
    assert totals([]).calls == 0
