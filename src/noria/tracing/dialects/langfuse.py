"""Langfuse's SDKs since version 3, which are OpenTelemetry underneath."""

import re
from typing import Any, Final

import orjson

from noria.tracing.dialects.table import Table

_METADATA: Final = ("langfuse.observation.metadata", "langfuse.trace.metadata")
_WRITES_JSON: Final = re.compile(r"[5-9]\.|\d\d+\.")

TABLE: Final = Table(
    name="langfuse",
    source="https://langfuse.com/integrations/native/opentelemetry (property mapping)",
    markers=("langfuse.", "langfuse-sdk"),
    fields={
        "served_model": ("langfuse.observation.model.name",),
        "usage": ("langfuse.observation.usage_details",),
        "cost": ("langfuse.observation.cost_details",),
        "session_id": ("langfuse.session.id",),
        "subject_id": ("langfuse.user.id",),
        "tags": ("langfuse.trace.tags",),
        "prompt_name": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "first_token_time": ("langfuse.observation.completion_start_time",),
        "error_message": ("langfuse.observation.status_message",),
        "level": ("langfuse.observation.level",),
    },
    kinds={
        "langfuse.observation.type": {
            "generation": "llm",
            "embedding": "embedding",
            "retriever": "retrieval",
            "tool": "tool",
            "agent": "agent",
            "evaluator": "judge",
            "guardrail": "guardrail",
            **dict.fromkeys(("span", "event", "chain"), "chain"),
        }
    },
    payloads={
        "langfuse.observation.input": "input",
        "langfuse.observation.output": "output",
        "langfuse.trace.input": "input",
        "langfuse.trace.output": "output",
    },
    parameters={"langfuse.observation.model.parameters": ""},
)


def read_metadata(attributes: dict[str, Any]) -> None:
    """Read the values of metadata in place: since version 5 the SDK writes each as JSON, and a text in quotes could not be found."""
    version = attributes.get("scope.version")
    if attributes.get("scope.name") != "langfuse-sdk" or not _WRITES_JSON.match(str(version)):
        return
    for name, value in attributes.items():
        if name.startswith(_METADATA) and isinstance(value, str):
            try:
                attributes[name] = orjson.loads(value)
            except orjson.JSONDecodeError:
                continue
