"""Pydantic Logfire and pydantic-ai: gen_ai names; messages in `events`, all of an agent's in one attribute. An agent run repeats the
usage of its calls, which the totals of a trace therefore take from the calls."""

from typing import Final

from noria.tracing.dialects.table import Table

TABLE: Final = Table(
    name="logfire",
    source="https://ai.pydantic.dev/logfire/ and https://logfire.pydantic.dev/docs/ (instrumentation versions 1 to 5)",
    markers=("logfire.", "pydantic_ai.", "all_messages_events", "pydantic-ai"),
    fields={
        "requested_model": ("model_name",),
        "cost_usd": ("operation.cost",),
        "tags": ("logfire.tags",),
        "tool_name": ("tool_name",),
        "response_usage": ("response_data",),
    },
    conversations=("events", "pydantic_ai.all_messages", "all_messages_events", "all_messages"),
    payloads={
        "tool_arguments": "input",
        "tool_response": "output",
        "final_result": "output",
        "request_data": "input",
        "response_data": "output",
    },
    system=("pydantic_ai.instructions",),
    parameters={"model_request_parameters": ""},
)
