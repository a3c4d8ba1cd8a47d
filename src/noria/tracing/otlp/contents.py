"""What log events say of a span: the messages that some libraries leave out of the span itself.

In: raw log records. Out: content records for the journal, one for each span of a request; the tailer joins them to their spans,
whichever arrives first. Log records that are about no model call are counted, not kept: Noria is no log store.
"""

from collections.abc import Iterable
from typing import Any, Final

from noria.core import clock
from noria.core.records import Message
from noria.tracing.dialects.driver import event_message
from noria.tracing.dialects.messages import messages
from noria.tracing.otlp.raw import EARLIEST, RawLog, Refused, check_ids

_DETAILS: Final = "gen_ai.client.inference.operation.details"
_EVENTS: Final = frozenset({"system", "user", "assistant", "tool"})


def contents(records: Iterable[tuple[str, RawLog]]) -> tuple[list[dict[str, Any]], int]:
    """Content records of log records (each with the project it goes to), and how many of these were not for us."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    others = 0
    for project_id, record in records:
        said, answered = _sides(record)
        try:
            check_ids(record.trace_id, record.span_id)
        except Refused:
            said = answered = []
        if not said and not answered:
            others += 1
            continue
        ids = (project_id, record.trace_id, record.span_id)
        made = found.setdefault(ids, _empty(record, project_id))
        made["input_messages"] += said
        made["output_messages"] += answered
    return list(found.values()), others


def _empty(record: RawLog, project_id: str) -> dict[str, Any]:
    time = record.time_ns if record.time_ns >= EARLIEST else clock.now_ns()
    return {
        "type": "content",
        "project_id": project_id,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "time_ns": time,
        "input_messages": [],
        "output_messages": [],
    }


def _sides(record: RawLog) -> tuple[list[Message], list[Message]]:
    if record.name == _DETAILS:
        told = record.attributes
        system = messages(told.get("gen_ai.system_instructions"), "system")
        said = messages(told.get("gen_ai.input.messages"), "user")
        return [*system, *said], messages(told.get("gen_ai.output.messages"), "assistant")
    body = record.body if isinstance(record.body, dict) else {"content": record.body}
    if record.name == "gen_ai.choice":
        return [], messages(event_message(record.name, body), "assistant")
    role = record.name.removeprefix("gen_ai.").removesuffix(".message")
    if record.name == f"gen_ai.{role}.message" and role in _EVENTS:
        return messages(event_message(record.name, body), role), []
    return [], []
