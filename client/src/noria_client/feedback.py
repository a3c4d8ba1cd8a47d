"""Feedback: what a user or a program thinks of an answer. Kept in the spool first, so it waits for the server like spans do."""

import json
import math
import re
import uuid
from typing import Any, Final

from noria_client.boundary import boundary, once
from noria_client.client import current
from noria_client.spool import Request

_PATH: Final = "/api/feedback"
_TRACE: Final = re.compile(r"[0-9a-f]{32}")


def feedback(
    trace_id: str,
    *,
    value: float | bool | None = None,
    label: str = "",
    text: str = "",
    correction: str = "",
    name: str = "feedback",
    span_id: str = "",
    key: str = "",
) -> bool:
    """Judge an answer; whether the judgement is kept (it is delivered soon, or when the server is back).

    `trace_id` is `current_trace_id()` or the gateway's header x-noria-trace-id. Judgements of the same trace, name and `key`
    replace each other; without a key each counts.
    """
    client = current()
    if client is None:
        return False
    if not _TRACE.fullmatch(str(trace_id).lower()):
        once("Feedback was given without a trace id of 32 hex digits and is left out")
        return False
    number = None if value is None else float(value)
    if (number is None and not (label or text or correction)) or (number is not None and not math.isfinite(number)):
        once("Feedback was given that says nothing and is left out")
        return False
    judged: dict[str, Any] = {
        "trace_id": trace_id.lower(),
        "span_id": span_id,
        "name": name,
        "value": number,
        "label": label,
        "text": text,
        "correction": correction,
        "key": key or uuid.uuid4().hex,
    }
    with boundary("Keeping feedback"):
        body = json.dumps({field: given for field, given in judged.items() if given not in (None, "")}).encode()
        client.sender.put(Request(_PATH, {"content-type": "application/json"}, body))
        return True
    return False
