"""What real libraries sent, through the real server into the real store: model, messages, tokens, tree and user.

The recordings' truth: a chat call used 19 tokens in (4 cached) and 9 out (2 reasoning), an embedding 6; an agent run made two
calls. What a library does not report cannot be read, and LACKING says so.
"""

import json
import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from noria.core.records import Span
from noria.tracing import service
from noria.tracing.records import Totals, TraceFilter
from noria.tracing.totals import totals
from tests.tracing.otlp_kit import RECORDINGS, Otlp

_FILE = re.compile(r"(.+)\.(\d\d)\.(traces|logs)\.bin")
CALL = Totals(1, 19, 9, 4, 2)
TWO = Totals(2, 38, 18, 8, 4)
NOTHING = Totals()
TRUTH = {
    **dict.fromkeys(("chat", "stream", "structured", "responses", "multimodal", "traceloop_wf"), CALL),
    **dict.fromkeys(("tools", "session_ko", "langgraph"), TWO),
    **dict.fromkeys(("err400", "err429", "stream_nousage"), NOTHING),
    "embed": Totals(1, 6),
    "langchain_rag": Totals(3, 31, 9, 4, 2),
    "llamaindex_rag": Totals(3, 31, 9, 4, 2),
}

LACKING = (
    ("otelv2", TRUTH, "cached_tokens"),
    ("otelv2", TRUTH, "reasoning_tokens"),
    ("traceloop", ("langgraph", "langchain_rag", "stream"), "reasoning_tokens"),
)
"""(library, cases, what it leaves out)."""
CALL_MICROS = 8
"""15 tokens at $0.15 a million, 4 at $0.075, 9 at $0.60; an embedding of 6 at $0.02 rounds to nothing."""
PLACELESS = (("openinference", TRUTH), ("traceloop", ("langgraph", "langchain_rag", "responses")))
"""Who does not tell which address was called: calls cost what OpenAI asks. The others called 127.0.0.1, where no price is known."""


def cases() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in sorted(RECORDINGS.iterdir()):
        if match := _FILE.fullmatch(path.name):
            found[match[1]].append(path.name)
    return found


def kind(case: str) -> str:
    return case.removesuffix("-grpc").rpartition("-")[2]


def send(otlp: Otlp, case: str) -> list[Span]:
    for name in cases()[case]:
        answer = otlp.post((RECORDINGS / name).read_bytes(), _FILE.fullmatch(name)[3])  # type: ignore[index]
        assert (answer.status_code, answer.content) == (200, b""), answer.text
        otlp.carry()  # each file is a batch of its own: what belongs together is joined in the store
    return otlp.spans()


def expected(case: str) -> Totals:
    truth = TRUTH[kind(case)]
    if any(case.startswith(start) and kind(case) in without for start, without in PLACELESS):
        micros = truth.output_tokens // CALL.output_tokens * CALL_MICROS
        truth = replace(truth, cost_micros=micros, estimated_micros=micros)
    return replace(truth, **{name: 0 for start, ends, name in LACKING if case.startswith(start) and kind(case) in ends})


@pytest.mark.parametrize("case", [case for case in sorted(cases()) if kind(case) in TRUTH])
def test_tokens_are_counted_once_whatever_repeats_them(otlp: Otlp, case: str) -> None:
    spans = send(otlp, case)
    assert totals(spans) == expected(case)


@pytest.mark.parametrize(
    "case", [case for case in sorted(cases()) if kind(case) in {"chat", "stream", "stream_nousage"}]
)
def test_a_chat_call_reads_as_one(otlp: Otlp, case: str) -> None:
    [span] = send(otlp, case)
    assert (span.kind, span.provider, span.requested_model) == ("llm", "openai", "gpt-4o-mini")
    assert span.served_model == "gpt-4o-mini-2024-07-18"
    assert span.input_messages[-1]["role"] == "user"
    assert isinstance(span.input_messages[-1]["content"], str)
    [answer] = span.output_messages
    assert answer["role"] == "assistant"
    assert answer["content"].strip()
    if kind(case) == "chat":
        assert [message["content"] for message in span.input_messages] == [
            "You are helpful.",
            "What is the capital of France?",
        ]
        assert answer["content"] == "The capital of France is Paris."
        assert span.parameters["temperature"] == 0.2
        assert span.parameters["max_tokens"] == 64
    assert span.attributes["resource.deployment.environment.name"] == "test"


@pytest.mark.parametrize("case", [case for case in sorted(cases()) if kind(case) == "tools"])
def test_tools_are_called_and_answer(otlp: Otlp, case: str) -> None:
    first, second = send(otlp, case)
    [call] = first.output_messages[0]["tool_calls"]
    assert (call["id"], call["type"], call["function"]["name"]) == ("call_abc123", "function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Seoul", "unit": "c"}
    assert second.input_messages[1]["tool_calls"] == [call]
    told = second.input_messages[2]
    assert (told["role"], told["tool_call_id"], told["content"]) == ("tool", "call_abc123", '{"temp":25}')
    if not case.startswith("otelv2"):
        assert "get_weather" in json.dumps(first.parameters["tools"])


@pytest.mark.parametrize("case", [case for case in sorted(cases()) if kind(case) == "session_ko"])
def test_korean_is_whole_and_so_are_session_and_user(otlp: Otlp, case: str) -> None:
    first, second = send(otlp, case)
    assert first.input_messages[0] == {"role": "system", "content": "당신은 친절한 한국어 비서입니다."}
    assert second.input_messages[-1]["content"] == "그럼 우산이 필요할까? ☂️"
    assert first.output_messages[0]["content"].startswith("서울의 내일 날씨는")
    if case.startswith(("openinference", "traceloop")):
        assert {(span.session_id, span.subject_id) for span in (first, second)} == {("sess-42", "user-7")}
    listed = service.list_traces(otlp.stores, otlp.project, TraceFilter(q="우산이"))
    assert [row.trace_id for row in listed.items] == [second.trace_id]


@pytest.mark.parametrize("case", [case for case in sorted(cases()) if kind(case) in {"err429", "err400"}])
def test_errors_say_what_failed(otlp: Otlp, case: str) -> None:
    [span] = send(otlp, case)
    assert (span.status, span.kind) == ("error", "llm")
    assert ("RateLimitError" if kind(case) == "err429" else "BadRequestError") in span.error_type
    assert span.error_message or case.startswith("otelv2")
    assert span.input_messages[0]["content"] == "hi"


@pytest.mark.parametrize("case", [case for case in sorted(cases()) if kind(case) == "langgraph"])
def test_an_agent_run_is_a_tree(otlp: Otlp, case: str) -> None:
    spans = send(otlp, case)
    traces = {span.trace_id for span in spans}
    trees = [otlp.trace(trace_id) for trace_id in traces]
    run = max(trees, key=lambda tree: len(tree.spans))
    assert (run.totals.input_tokens, run.totals.output_tokens) == (38, 18)
    assert run.spans[0].depth == 0
    assert run.spans[0].span["kind"] in {"agent", "chain"}
    assert not [node for node in run.spans if node.orphan]
    kinds = Counter(node.span["kind"] for node in run.spans)
    assert kinds["llm"] == 2
    assert kinds["tool"] == 1
    tool = next(node.span for node in run.spans if node.span["kind"] == "tool")
    assert "맑음" in json.dumps(tool["output_messages"], ensure_ascii=False)
    assert run.spans[0].span["session_id"] == "sess-42"


@pytest.mark.parametrize(
    "case",
    [case for case in sorted(cases()) if kind(case) == "multimodal" and not case.startswith(("otelv2", "traceloop"))],
)
def test_pictures_are_named_not_lost(otlp: Otlp, case: str) -> None:
    span = next(span for span in send(otlp, case) if span.kind == "llm")
    # the other libraries leave the picture out of what they send
    text, picture = span.input_messages[0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert picture["type"] == "image_url"
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def test_anthropic_counts_what_the_cache_gave(otlp: Otlp) -> None:
    spans = send(otlp, "otelgenai-1.3b0-anthropic")
    calls = [span for span in spans if span.output_messages]
    assert {(span.input_tokens, span.output_tokens, span.cached_tokens) for span in calls} == {(23, 9, 4)}
    assert {span.provider for span in calls} == {"anthropic"}


def test_metrics_are_understood_and_the_answer_says_that_they_are_not_kept(otlp: Otlp) -> None:
    answer = otlp.post((RECORDINGS / "otelgenai-1.3b0-chat.02.metrics.bin").read_bytes(), "metrics")
    told = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert told.rejected_data_points > 0
    assert "keeps no metrics" in told.error_message


def test_a_document_keeps_its_id_and_score(otlp: Otlp) -> None:
    spans = send(otlp, "openinference-0.1.66-llamaindex_rag")
    found = [message for span in spans for message in span.output_messages if "document" in message]
    assert len(found) == 2
    for message in found:
        assert message["content"] and message["document"]["id"]
        assert 0 < message["document"]["score"] <= 1.01
