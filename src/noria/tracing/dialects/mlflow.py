"""MLflow Tracing, whose attributes are JSON throughout."""

from typing import Final

from noria.tracing.dialects.table import Table

TABLE: Final = Table(
    name="mlflow",
    source="https://mlflow.org/docs/latest/genai/tracing/ and mlflow/tracing/constant.py",
    markers=("mlflow.",),
    fields={
        "usage": ("mlflow.chat.tokenUsage", "mlflow.trace.tokenUsage"),
        "cost": ("mlflow.llm.cost",),
        "served_model": ("mlflow.llm.model",),
        "provider": ("mlflow.llm.provider",),
        "session_id": ("mlflow.trace.session",),
        "subject_id": ("mlflow.trace.user",),
    },
    kinds={
        "mlflow.spanType": {
            **dict.fromkeys(("llm", "chat_model"), "llm"),
            "embedding": "embedding",
            **dict.fromkeys(("retriever", "reranker"), "retrieval"),
            "tool": "tool",
            "agent": "agent",
            "guardrail": "guardrail",
            "evaluator": "judge",
            **dict.fromkeys(("chain", "parser", "workflow", "task", "unknown", "memory"), "chain"),
        }
    },
    payloads={"mlflow.spanInputs": "input", "mlflow.spanOutputs": "output"},
    parameters={"mlflow.chat.tools": "tools"},
)
