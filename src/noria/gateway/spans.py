"""One request's facts, and the span that is journalled of them.

In: a `Call` that the request path fills in as it goes. Out: one record in the gateway's journal, written before the last
byte of the answer leaves. The decision to know: acknowledged means durable. When the journal cannot be written the answer
is not completed; while the disk is known to be full, requests get 503 before any provider is called and paid.
"""

import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from noria.core.clock import now_ns
from noria.core.errors import NoriaError, TooLarge, Unavailable
from noria.core.records import Message
from noria.gateway.access import Route
from noria.gateway.ask import Ask
from noria.gateway.dialects.base import CallerDialect
from noria.gateway.failures import NotReady
from noria.gateway.metrics import Metrics
from noria.gateway.plan import Plan
from noria.gateway.sse import Telling
from noria.gateway.usage import Output, Usage
from noria.registry.snapshot import KeyEntry, ReleaseEntry
from noria.stores.journal import JournalWriter

_log = logging.getLogger("noria.gateway")
_ROOM = 16 * 1024 * 1024
_LARGE = 1_000_000
_CUT = 20_000
_LEFT_OUT = frozenset({"messages", "user", "metadata"})
_NOT_LIVE = frozenset({"candidate", "shadow"})
_NUMBERS = frozenset({int, float, bool})


@dataclass(slots=True)
class Call:
    """What is known of one request so far; `release` and `plan` are those of the last attempt."""

    key: KeyEntry
    dialect: CallerDialect
    trace_id: str
    span_id: str
    parent_id: str = ""
    start_ns: int = field(default_factory=now_ns)
    ask: Ask | None = None
    model: str = ""
    route: Route | None = None
    release: ReleaseEntry | None = None
    plan: Plan | None = None
    first_ns: int = 0
    relay: Telling | None = None
    output: Output | None = None
    """What was paid for before a guardrail refused it."""
    cache: Literal["", "hit", "miss"] = ""
    cache_key: str = ""
    """Under which the answer may be kept; "" when it may not."""
    attributes: dict[str, Any] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """More headers for the answer."""
    recorded: bool = False
    tokens: int = 0
    """Used, input and output; known when the span is written, as is its cost."""
    cost_micros: int = 0

    @property
    def sticky(self) -> str:
        """What the rollout hashes: session, else user, else trace."""
        ask = self.ask
        return (ask.session or ask.user if ask else "") or self.trace_id


class Recorder:
    """Writes spans to the journal of this process."""

    def __init__(self, folder: Path, metrics: Metrics, reserve_bytes: int = 0) -> None:
        self._folder = folder
        self._metrics = metrics
        self._room = _ROOM + reserve_bytes
        self._journal = JournalWriter(folder, reserve_bytes=reserve_bytes)
        self._failed_at = 0.0

    def close(self) -> None:
        self._journal.close()

    def check(self) -> None:
        """Raises NotReady while the journal is known to be unable to take a span; looks again once a second."""
        if self._failed_at and (time.monotonic() - self._failed_at < 1.0 or not self._has_room()):
            raise _full()

    def write(self, call: Call, output: Output | None, error: NoriaError | None = None) -> None:
        """Journal the call's one span. Raises NotReady when it could not be written; then nothing of it is in the journal."""
        record = _record(call, output, error)
        try:
            self._journal.append([record])
        except (Unavailable, TooLarge, OSError) as failure:
            if not self._failed_at:
                _log.error("the journal cannot be written: %s", failure)
            self._failed_at = time.monotonic()
            raise _full() from failure
        self._failed_at = 0.0
        call.recorded = True
        self._metrics.count(record)

    def _has_room(self) -> bool:
        try:
            stat = os.statvfs(self._folder)
        except OSError:
            return False
        if stat.f_bavail * stat.f_frsize < self._room:
            self._failed_at = time.monotonic()
            return False
        return True


def _full() -> NotReady:
    return NotReady(
        "The gateway cannot record requests now, so it does not answer them.",
        hint="Free space on the disk of the data folder.",
        retry_after=5.0,
    )


def _record(call: Call, output: Output | None, error: NoriaError | None) -> dict[str, Any]:
    """The span as it is journalled: noria.core.records.Span without its empty fields, in one go because it is on the path of
    every request. Sets the call's tokens and cost."""
    ask, route, release, plan = call.ask, call.route, call.release, call.plan
    usage = output.usage if output else Usage()
    if call.cache == "hit":  # nobody was paid for it
        usage = Usage(known=True)
    attributes = call.attributes
    if output and output.finish_reason:
        attributes["finish_reason"] = output.finish_reason
    if output and not usage.known:
        attributes["usage"] = "missing"
        if error and call.relay:  # cut short: most providers send a token a chunk
            attributes["usage"] = "estimated"
            usage = Usage(output=call.relay.chunks)
    if call.relay and call.relay.truncated:
        attributes["output_truncated"] = True
    if usage.written:
        attributes["cache_write_tokens"] = usage.written
    messages = ask.messages if ask else []
    if ask and ask.size > _LARGE:
        messages = [_shortened(message) for message in messages]
        attributes["input_truncated"] = True
    if ask and ask.variables:
        attributes["variables"] = ask.variables
    prompt = release.prompt if release else None
    answered = error is None or call.first_ns > 0
    call.tokens, call.cost_micros = usage.input + usage.output, usage.cost_micros(release) if release else 0
    record: dict[str, Any] = {
        "type": "span",
        "trace_id": call.trace_id,
        "span_id": call.span_id,
        "parent_id": call.parent_id,
        "project_id": call.key.project_id,
        "name": call.dialect.span_name,
        "kind": "embedding" if call.dialect.name == "embeddings" else "llm",
        "start_ns": call.start_ns,
        "end_ns": now_ns(),
        "status": "error" if error else "ok",
        "status_code": error.status if error else 200,
        "error_type": error.code if error else "",
        "error_message": error.message if error else "",
        "endpoint": route.endpoint.name if route else "",
        "release": release.number if release and answered else 0,
        "requested_release": route.release.number if route else 0,
        "arm": route.arm if route else "",
        "provider": plan.provider if plan else "",
        "requested_model": call.model[:200],
        "served_model": (output.model if output else "") or (release.model if release else ""),
        "input_messages": messages,
        "output_messages": output.messages if output else [],
        "parameters": _parameters(ask, plan),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cached_tokens": usage.cached,
        "reasoning_tokens": usage.reasoning,
        "cost_micros": call.cost_micros,
        "price_version": release.price_version if release else "",
        "first_token_ns": call.first_ns,
        "session_id": ask.session if ask else "",
        "subject_id": ask.user if ask else "",
        "tags": ask.tags if ask else [],
        "prompt_name": prompt.name if prompt else "",
        "prompt_version": prompt.version if prompt else 0,
        "dataset_row": ask.row if ask else "",
        "cache_hit": call.cache == "hit",
        "streamed": ask.stream if ask else False,
        "key_id": call.key.id,
        "live": call.key.live and not (route and route.arm in _NOT_LIVE),
        "attributes": attributes,
    }
    return {name: value for name, value in record.items() if value or type(value) in _NUMBERS}


def _parameters(ask: Ask | None, plan: Plan | None) -> dict[str, Any]:
    given = plan.parameters if plan else ask.chat if ask else {}
    return {name: value for name, value in given.items() if name not in _LEFT_OUT}


def _shortened(message: Message) -> Message:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": content[:_CUT]}
    return {"role": message.get("role"), "content": "(parts, too large to keep)"}
