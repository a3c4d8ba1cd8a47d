"""Exports of other tools become traces: each in the shapes that its tool writes, by way of the journal and the real store."""

import csv
import gzip
import json
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow
import pyarrow.parquet
import pytest

from noria.tracing.imports.taking import File
from tests.tracing.import_kit import RUN, TRACE, UUID, Desk, langfuse_trace


def test_a_trace_of_langfuse_has_its_tree_messages_cost_and_scores(desk: Desk) -> None:
    tally = desk.take("auto", desk.file("trace.json", langfuse_trace()))
    assert (tally.tool, tally.spans, tally.roots, tally.scores, tally.refused) == ("langfuse", 3, 1, 2, 0)
    trace = desk.trace()
    assert [(node.span["name"], node.depth) for node in trace.spans] == [("ask", 0), ("answer", 1), ("search", 2)]
    answer = desk.spans()["answer"]
    assert (answer.kind, answer.served_model, answer.input_tokens, answer.output_tokens) == ("llm", "gpt-4o", 12, 5)
    assert (answer.cost_micros, answer.prompt_name, answer.prompt_version) == (3000, "refunds", 3)
    assert (answer.session_id, answer.subject_id, answer.tags) == ("s-1", "kim", ["refund", "ko"])
    assert answer.output_messages == [{"role": "assistant", "content": "사흘 안에"}]
    assert answer.first_token_ns - answer.start_ns == 500_000_000
    assert answer.parameters == {"temperature": 0.2}
    assert trace.totals.cost_micros == 3000, "the trace's own sum is not counted beside its call's"
    search = desk.spans()["search"]
    assert (search.status, search.error_message, search.kind) == ("error", "no such order", "tool")
    assert trace.duration_ms == 2500
    found = {score.name: score for score in trace.scores}
    assert (found["answer_relevancy"].number, found["answer_relevancy"].source) == (0.75, "judge")
    assert (found["tone"].label, found["tone"].source, found["tone"].span_id) == ("kind", "person", answer.span_id)


def test_the_same_trace_of_langfuse_from_blob_storage_gives_the_same_spans(desk: Desk) -> None:
    whole = langfuse_trace()
    desk.take("langfuse", desk.file("trace.json", whole))
    before = {name: (s.span_id, s.parent_id, s.cost_micros) for name, s in desk.spans().items()}
    observations = [
        {
            "id": one["id"],
            "trace_id": one["traceId"],
            "type": one["type"],
            "name": one["name"],
            "start_time": one["startTime"].replace("T", " ").rstrip("Z") + "000",
            "end_time": one["endTime"].replace("T", " ").rstrip("Z") + "000",
            "parent_observation_id": one["parentObservationId"] or "",
            "level": one["level"],
            "provided_model_name": one.get("model"),
            "usage_details": one.get("usageDetails", {}),
            "cost_details": one.get("costDetails", {}),
        }
        for one in whole["observations"]
    ]
    trace = {"id": UUID, "timestamp": "2026-10-01 10:00:00.000000", "name": "ask", "user_id": "kim", "tags": ["a"]}
    packed = gzip.compress(b"\n".join(map(orjson.dumps, observations)))
    tally = desk.take("langfuse", desk.file("observations.jsonl.gz", packed), desk.lines("traces.jsonl", trace))
    assert (tally.spans, tally.refused) == (3, 0)
    assert {name: (s.span_id, s.parent_id, s.cost_micros) for name, s in desk.spans().items()} == before
    assert desk.count("spans") == 3


def test_observations_of_langfuse_without_traces_stand_at_the_top(desk: Desk) -> None:
    row = {
        "id": "o-1",
        "trace_id": UUID,
        "trace_name": "ask",
        "type": "GENERATION",
        "level": "DEFAULT",
        "name": "answer",
        "start_time": "2026-10-01 10:00:00.000000",
        "end_time": "2026-10-01 10:00:01.000000",
        "user_id": "kim",
        "usage_details": '{"input":"3","output":4}',
        "input": "질문",
    }
    with (desk.folder / "o.csv").open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.DictWriter(out, list(row))
        writer.writeheader()
        writer.writerow(row)
    tally = desk.take("auto", File(desk.folder / "o.csv", "o.csv"))
    assert (tally.tool, tally.spans, tally.roots) == ("langfuse", 1, 1)
    span = desk.spans()["answer"]
    assert (span.subject_id, span.input_tokens, span.output_tokens, span.parent_id) == ("kim", 3, 4, "")


MLFLOW_3: dict[str, Any] = {
    "info": {
        "trace_id": f"tr-{TRACE}",
        "request_time": "2026-10-01T10:00:00Z",
        "state": "OK",
        "trace_metadata": {"mlflow.trace.session": "s-2", "mlflow.trace.user": "lee", "mlflow.trace.tokenUsage": '{"input_tokens": 9}'},
        "assessments": [
            {
                "assessment_id": "a-1",
                "assessment_name": "correct",
                "source": {"source_type": "LLM_JUDGE"},
                "feedback": {"value": True},
                "rationale": "as in the manual",
                "create_time": "2026-10-01T11:00:00Z",
            },
            {"assessment_id": "a-2", "assessment_name": "expected", "source": {"source_type": "HUMAN"}, "expectation": {"value": "3 days"}},
        ],
    },
    "data": {
        "spans": [
            {
                "trace_id": "C5yPDm8cTTqaUW8OLTxLWg==",
                "span_id": "vzK28njnZJI=",
                "parent_span_id": None,
                "name": "agent",
                "start_time_unix_nano": 1_790_000_000_000_000_123,
                "end_time_unix_nano": 1_790_000_001_000_000_000,
                "status": {"code": "STATUS_CODE_OK", "message": ""},
                "attributes": {"mlflow.traceRequestId": f'"tr-{TRACE}"', "mlflow.spanType": '"AGENT"'},
            },
            {
                "trace_id": "C5yPDm8cTTqaUW8OLTxLWg==",
                "span_id": "LSddSsNPW7s=",
                "parent_span_id": "vzK28njnZJI=",
                "name": "call",
                "start_time_unix_nano": 1_790_000_000_100_000_000,
                "end_time_unix_nano": 1_790_000_000_900_000_000,
                "status": {"code": "STATUS_CODE_ERROR", "message": "late"},
                "attributes": {
                    "mlflow.spanType": '"CHAT_MODEL"',
                    "mlflow.spanInputs": '{"messages": [{"role": "user", "content": "\\ud658\\ubd88"}]}',
                    "mlflow.chat.tokenUsage": '{"input_tokens": 9, "output_tokens": 2}',
                    "mlflow.llm.cost": '{"total_cost": 0.004}',
                },
            },
        ]
    },
}  # fmt: skip


def test_a_trace_of_mlflow_3_in_every_form_that_its_data_frame_takes(desk: Desk) -> None:
    text = json.dumps(MLFLOW_3)
    forms = [
        desk.file("trace.json", json.dumps(MLFLOW_3, indent=2).encode()),
        desk.lines("frame.jsonl", {"trace_id": f"tr-{TRACE}", "trace": text, "spans": MLFLOW_3["data"]["spans"]}),
        desk.file("columns.json", {"trace_id": {"0": f"tr-{TRACE}"}, "trace": {"0": text}}),
        desk.file("split.json", {"columns": ["trace_id", "trace"], "index": [0], "data": [["x", text]]}),
        desk.file("page.json", {"traces": [MLFLOW_3], "next_page_token": "x"}),
    ]
    for form in forms:
        tally = desk.take("auto", form)
        assert (tally.tool, tally.spans, tally.scores, tally.refused) == ("mlflow", 2, 2, 0), form.name
    assert (desk.count("spans"), desk.count("scores")) == (2, 2)
    spans = desk.spans()
    assert (spans["agent"].span_id, spans["agent"].session_id, spans["agent"].subject_id) == (
        "bf32b6f278e76492",
        "s-2",
        "lee",
    )
    assert spans["agent"].start_ns == 1_790_000_000_000_000_123
    call = spans["call"]
    assert (call.kind, call.status, call.input_tokens, call.cost_micros) == ("llm", "error", 9, 4000)
    assert call.input_messages == [{"role": "user", "content": "환불"}]
    found = {score.name: score for score in desk.trace().scores}
    assert (found["correct"].number, found["correct"].source, found["correct"].text) == (
        1.0,
        "judge",
        "as in the manual",
    )
    assert found["expected"].correction == "3 days"


def test_a_trace_of_mlflow_2(desk: Desk) -> None:
    old = {
        "info": {"request_id": "r-1", "timestamp_ms": 1_790_000_000_000, "status": "OK", "request_metadata": {}},
        "data": {
            "spans": [
                {
                    "name": "call",
                    "context": {"span_id": "0xb1c2d3e4f5a60718", "trace_id": f"0x{TRACE}"},
                    "parent_id": None,
                    "start_time": 1_790_000_000_000_000_000,
                    "end_time": 1_790_000_001_000_000_000,
                    "status_code": "OK",
                    "attributes": {"mlflow.spanType": '"LLM"', "mlflow.traceRequestId": '"r-1"'},
                    "events": [],
                }
            ]
        },
    }
    assert desk.take("auto", desk.lines("old.jsonl", old)).spans == 1
    assert desk.spans()["call"].span_id == "b1c2d3e4f5a60718"


def phoenix_rows() -> list[dict[str, Any]]:
    shared = {
        "context.trace_id": TRACE,
        "status_code": "OK",
        "status_message": "",
        "start_time": "2026-10-01T10:00:00.123456+00:00",
    }
    return [
        {
            **shared,
            "name": "chain",
            "span_kind": "CHAIN",
            "context.span_id": "a" * 16,
            "parent_id": None,
            "end_time": "2026-10-01T10:00:02+00:00",
            "attributes.session.id": "s-3",
        },
        {
            **shared,
            "name": "ChatCompletion",
            "span_kind": "LLM",
            "context.span_id": "b" * 16,
            "parent_id": "a" * 16,
            "end_time": "2026-10-01T10:00:01+00:00",
            "attributes.llm.model_name": "gpt-4o",
            "attributes.llm.token_count.prompt": 8.0,
            "attributes.llm.token_count.completion": 4.0,
            "attributes.llm.cost.total": 0.0025,
            "attributes.llm.input_messages": [{"message.role": "user", "message.content": "안녕"}],
            "attributes.llm.output_messages": [{"message": {"role": "assistant", "content": "네"}}],
            "attributes.metadata": {"team": "a"},
        },
    ]


def nested(desk: Desk) -> File:
    made = []
    for row in phoenix_rows():
        attributes = {k.removeprefix("attributes."): v for k, v in row.items() if k.startswith("attributes.")}
        own = {k: v for k, v in row.items() if not k.startswith(("attributes.", "context."))}
        context = {"trace_id": row["context.trace_id"], "span_id": row["context.span_id"]}
        made.append({**own, "context": context, "attributes": attributes, "events": []})
    return desk.file("page.json", {"data": made, "next_cursor": None})


@pytest.mark.parametrize("form", ["parquet", "lines", "page"])
def test_spans_of_phoenix_in_every_form(desk: Desk, form: str) -> None:
    rows = [orjson.dumps(row) for row in phoenix_rows()]
    made: dict[str, Callable[[], File]] = {
        "parquet": lambda: _parquet_of_all_columns(desk),
        "lines": lambda: desk.lines("spans.jsonl", *rows),
        "page": lambda: nested(desk),
    }
    notes = {
        "span_id": "b" * 16,
        "name": "helpful",
        "annotator_kind": "LLM",
        "result": {"label": "yes", "score": 1, "explanation": "short"},
    }
    lost = {"span_id": "c" * 16, "name": "helpful", "annotator_kind": "LLM", "result": {"label": "yes"}}
    tally = desk.take("auto", made[form](), desk.file("notes.json", {"data": [notes, lost], "next_cursor": None}))
    assert (tally.tool, tally.spans, tally.roots, tally.scores, tally.refused) == ("phoenix", 2, 1, 1, 1)
    assert "before this one" in tally.places[0]["reason"]
    call = desk.spans()["ChatCompletion"]
    assert (call.kind, call.served_model, call.input_tokens, call.output_tokens) == ("llm", "gpt-4o", 8, 4)
    assert (call.cost_micros, call.start_ns % 10**9) == (2500, 123_456_000)
    assert call.input_messages == [{"role": "user", "content": "안녕"}]
    assert call.output_messages == [{"role": "assistant", "content": "네"}]
    assert desk.spans()["chain"].session_id == "s-3"
    [score] = desk.trace().scores
    assert (score.number, score.text, score.source) == (1.0, "short", "judge")


def _parquet_of_all_columns(desk: Desk) -> File:
    rows = phoenix_rows()
    names = sorted({name for row in rows for name in row})
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    pyarrow.parquet.write_table(table, desk.folder / "spans.parquet")
    return File(desk.folder / "spans.parquet", "spans.parquet")


def langsmith_rows() -> list[dict[str, Any]]:
    return [
        {
            "id": UUID,
            "trace_id": UUID,
            "name": "RunnableSequence",
            "run_type": "chain",
            "start_time": "2026-10-01T10:00:00.000000",
            "end_time": "2026-10-01T10:00:02.000000",
            "inputs": {"question": "언제?"},
            "outputs": {"output": "곧"},
            "status": "success",
            "total_tokens": 17,
            "prompt_tokens": 12,
            "total_cost": "0.5",
            "extra": {"metadata": {"thread_id": "s-4", "user_id": "park"}},
            "tags": ["prod"],
        },
        {
            "id": RUN,
            "trace_id": UUID,
            "parent_run_id": UUID,
            "name": "ChatOpenAI",
            "run_type": "llm",
            "start_time": "2026-10-01T10:00:00.500000",
            "end_time": "2026-10-01T10:00:01.500000",
            "first_token_time": "2026-10-01T10:00:00.750000",
            "inputs": {
                "messages": [
                    [
                        {
                            "lc": 1,
                            "type": "constructor",
                            "id": ["HumanMessage"],
                            "kwargs": {"content": "언제?", "type": "human"},
                        }
                    ]
                ]
            },
            "outputs": {
                "generations": [
                    [
                        {
                            "text": "곧",
                            "message": {"lc": 1, "type": "constructor", "kwargs": {"content": "곧", "type": "ai"}},
                        }
                    ]
                ]
            },
            "error": None,
            "prompt_tokens": 12,
            "completion_tokens": 5,
            "total_cost": "0.00042",
            "extra": {
                "metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o"},
                "invocation_params": {"temperature": 0},
            },
        },
        {
            "id": "3a2a5f30-5b34-4c31-a1c5-6b51a6c6a111",
            "trace_id": UUID,
            "parent_run_id": UUID,
            "name": "search",
            "run_type": "tool",
            "start_time": "2026-10-01T10:00:00.100000",
            "end_time": "2026-10-01T10:00:00.200000",
            "inputs": {"q": "x"},
            "error": "ValueError('no')",
        },
    ]


def test_runs_of_langsmith_as_lines_and_as_the_parquet_of_a_bulk_export(desk: Desk) -> None:
    rows = langsmith_rows()
    judged = {
        "id": "f-1",
        "run_id": RUN,
        "key": "Helpful?",
        "score": 1,
        "feedback_source": {"type": "model"},
        "created_at": "2026-10-02T00:00:00",
    }
    tally = desk.take(
        "auto", desk.file("page.json", {"runs": rows, "cursors": {}}), desk.lines("feedback.jsonl", judged)
    )
    assert (tally.tool, tally.spans, tally.roots, tally.scores, tally.refused) == ("langsmith", 3, 1, 1, 0)
    held = [{k: orjson.dumps(v).decode() if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
    names = sorted({name for row in held for name in row})
    pyarrow.parquet.write_table(
        pyarrow.table({n: [row.get(n) for row in held] for n in names}), desk.folder / "r.parquet"
    )
    assert desk.take("auto", File(desk.folder / "r.parquet", "r.parquet")).spans == 3
    assert desk.count("spans") == 3
    spans = desk.spans()
    call = spans["ChatOpenAI"]
    assert (call.kind, call.provider, call.served_model) == ("llm", "openai", "gpt-4o")
    assert (call.input_tokens, call.output_tokens, call.cost_micros) == (12, 5, 420)
    assert call.input_messages == [{"role": "user", "content": "언제?"}]
    assert call.output_messages[0]["content"] == "곧"
    assert call.first_token_ns - call.start_ns == 250_000_000
    assert (spans["RunnableSequence"].session_id, spans["RunnableSequence"].subject_id) == ("s-4", "park")
    assert spans["RunnableSequence"].cost_micros == 0
    assert (spans["search"].kind, spans["search"].status, spans["search"].error_message) == (
        "tool",
        "error",
        "ValueError('no')",
    )
    assert desk.trace().totals.input_tokens == 12
    [score] = desk.trace().scores
    assert (score.name, score.number, score.source, score.span_id) == ("helpful", 1.0, "judge", call.span_id)


def test_requests_of_otlp_from_a_collector(desk: Desk) -> None:
    span = {
        "traceId": TRACE,
        "spanId": "c" * 16,
        "name": "a",
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000000000000001",
    }
    tally = desk.take(
        "auto",
        desk.lines("spans.jsonl", {"resourceSpans": [{"scopeSpans": [{"spans": [span, {**span, "spanId": "00"}]}]}]}),
    )
    assert (tally.tool, tally.spans, tally.refused) == ("otlp", 1, 1)
