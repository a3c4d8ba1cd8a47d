"""Reads the tables: a raw span of any dialect becomes a record of ours.

In: noria.tracing.otlp.raw.Raw. Out: noria.core.records.Span as the journal has it (a dictionary without empty fields). Each attribute is
looked up once, in one index made of all tables; which dialect a span speaks is never decided, because many speak two. What no
table knows stays in `attributes`, where resource, scope, other events and links go as well. A span that no table understands is
guessed at (noria.tracing.dialects.unknown).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from noria.core.records import Message
from noria.tracing.dialects import (
    genai,
    google,
    langfuse,
    langsmith,
    logfire,
    mlflow,
    openinference,
    openlit,
    traceloop,
    unknown,
)
from noria.tracing.dialects import vercel as vercel_ai
from noria.tracing.dialects.messages import decoded, messages, plain, written
from noria.tracing.dialects.table import Build, Side, Table
from noria.tracing.dialects.values import READERS, text
from noria.tracing.estimates import CALLS, MARK, Estimates
from noria.tracing.otlp.raw import Event, Raw

TABLES: Final = (
    *(openinference.TABLE, langfuse.TABLE, mlflow.TABLE, vercel_ai.TABLE, google.TABLE),
    *(langsmith.TABLE, traceloop.TABLE, logfire.TABLE, openlit.TABLE, genai.TABLE),
)
"""From the most particular to the one that others build on."""

_ROLE: Final[Mapping[Side, str]] = {"input": "user", "output": "assistant"}
_NAMES: Final = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_RESPONSE_ID: Final = re.compile(r'"id":\s*"((?:chatcmpl|resp|msg)[-_][\w-]{1,100})"')
_HTTP: Final = ("http.response.status_code", "http.status_code")
_USES: Final = ("fields", "kinds", "messages", "conversations", "payloads", "system", "parameters")


@dataclass(frozen=True, slots=True)
class _Use:
    """What one attribute is for."""

    part: str
    rank: int
    target: Any


@dataclass(slots=True)
class _Found:
    """What has been read of one span: by part, each with the rank of its source; the lowest wins."""

    fields: dict[str, tuple[int, Any]] = field(default_factory=dict)
    kind: tuple[int, str] = (999, "")
    sides: dict[Side, tuple[int, list[Message]]] = field(default_factory=dict)
    payloads: dict[Side, tuple[int, str, Any]] = field(default_factory=dict)
    numbered: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    system: list[Message] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)

    def offer(self, side: Side, rank: int, told: list[Message]) -> None:
        if told and (side not in self.sides or rank < self.sides[side][0]):
            self.sides[side] = (rank, told)

    def value(self, name: str) -> Any:
        return self.fields[name][1] if name in self.fields else None


def record(raw: Raw, project_id: str, key_id: str, prices: Estimates) -> dict[str, Any]:
    """The span of `raw`; a model call that tells no cost has that of `prices`."""
    found = _Found()
    for name, value in raw.attributes.items():
        _take(found, name, value)
    for (rank, prefix), numbers in found.numbered.items():
        owner, build = _NUMBERED[prefix]
        found.offer(owner, rank, build(numbers))
    events = [event for event in raw.events if not _take_event(found, event)]
    for side, name in unknown.guess(found.fields, raw.attributes).items():
        found.offer(side, unknown.RANK, messages(raw.attributes[name], _ROLE[side]))
    made = _fields(found, raw)
    made["kind"] = _kind(found, raw)
    made |= _sides(found, made)
    written = made.pop("written_tokens", 0)
    if made["kind"] in CALLS and "cost_micros" not in made:
        made |= prices.of(made, found.value("address") or "", written)
    _tell_errors(made, raw, found)
    made["attributes"] = _attributes(found, raw, events)
    if "price_version" in made:
        made["attributes"] |= MARK
    return _base(raw, project_id, key_id) | {name: value for name, value in made.items() if value or value is False}


def unread(raw: Raw, project_id: str, key_id: str) -> dict[str, Any]:
    """The span of `raw` without a look into its attributes."""
    status = "error" if raw.failed else "ok"
    return _base(raw, project_id, key_id) | {"kind": "chain", "status": status, "attributes": raw.attributes}


def _base(raw: Raw, project_id: str, key_id: str) -> dict[str, Any]:
    return {
        "type": "span",
        "trace_id": raw.trace_id,
        "span_id": raw.span_id,
        "parent_id": raw.parent_id,
        "project_id": project_id,
        "name": raw.name or "(no name)",
        "start_ns": raw.start_ns,
        "end_ns": raw.end_ns,
        "key_id": key_id,
    }


def _take(found: _Found, name: str, value: Any) -> None:
    uses = _EXACT.get(name)
    if uses is None:
        uses = _below(name)
        if uses is None:
            found.rest[name] = plain(value)
            return
    if sum(_apply(found, use, name, value) for use in uses) == 0:
        found.rest[name] = plain(value)


def _apply(found: _Found, use: _Use, name: str, value: Any) -> bool:
    """Take `value` for one use; whether it need not stay in the attributes."""
    if use.part == "fields":
        return _take_field(found, use, value)
    if use.part == "kinds":
        kind = use.target.get((text(value) or "").lower())
        if kind and use.rank < found.kind[0]:
            found.kind = (use.rank, kind)
        return False
    if use.part == "payloads":
        return _take_payload(found, use, name, value)
    if use.part == "messages":
        found.offer(use.target, use.rank, _told(name, value, use.target))
    elif use.part == "conversations":
        said, answered = _split(messages(value, "user"))
        found.offer("input", use.rank, said)
        found.offer("output", use.rank, answered)
    elif use.part == "system":
        found.system.extend(messages(value, "system"))
    elif use.part == "numbered":
        found.numbered.setdefault((use.rank, use.target), {})[name[len(use.target) :]] = value
    else:
        _take_parameter(found.parameters, use.target, name, value)
    return True


def _take_field(found: _Found, use: _Use, value: Any) -> bool:
    reader: Callable[[Any], Any] = READERS.get(use.target, text)
    read = reader(value)
    if read is None:
        return False
    if use.target not in found.fields or use.rank < found.fields[use.target][0]:
        found.fields[use.target] = (use.rank, read)
    return use.target not in _ALSO_KEPT


def _take_payload(found: _Found, use: _Use, name: str, value: Any) -> bool:
    before = found.payloads.get(use.target)
    if before is not None and before[0] <= use.rank:
        return False
    if before is not None:
        found.rest[before[1]] = plain(before[2])
    found.payloads[use.target] = (use.rank, name, value)
    return True


def _told(name: str, value: Any, side: Side) -> list[Message]:
    told = messages(value, _ROLE[side])
    if name == "ai.response.toolCalls":
        calls = decoded(value) if isinstance(value, str) else value
        return messages({"role": "assistant", "tool_calls": calls}, "assistant") if isinstance(calls, list) else told
    return told


def _split(told: list[Message]) -> tuple[list[Message], list[Message]]:
    """A conversation as what was said before, and the answer: its trailing messages of the assistant."""
    at = len(told)
    while at and told[at - 1].get("role") == "assistant":
        at -= 1
    return told[:at], told[at:]


def _take_parameter(parameters: dict[str, Any], target: str, name: str, value: Any) -> None:
    found = decoded(value) if isinstance(value, str) else value
    if target.startswith("tools:"):
        before = parameters.get("tools")
        parameters["tools"] = [*(before if isinstance(before, list) else []), found]
    elif target.endswith("."):
        parameters.setdefault(name[len(target) :], found)
    elif target:
        parameters.setdefault(target, found)
    elif isinstance(found, dict):
        for key, item in found.items():
            parameters.setdefault(key, item)
    else:
        parameters.setdefault(name.rpartition(".")[2], found)


def _take_event(found: _Found, event: Event) -> bool:
    use = _EVENTS.get(event.name)
    if use is None:
        return False
    rank, (side, attribute) = use
    value = event.attributes.get(attribute) if attribute else event_message(event.name, event.attributes)
    told = messages(value, _ROLE[side])
    before = found.sides.get(side, (rank, []))
    if told and before[0] >= rank:
        found.sides[side] = (rank, [*(before[1] if before[0] == rank else []), *told])
    return bool(told)


def event_message(name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The message that an event of the second generation is: gen_ai.user.message, gen_ai.choice."""
    role = name.removeprefix("gen_ai.").removesuffix(".message")
    inner = attributes.get("message")
    if role == "choice":
        inner = decoded(inner) if isinstance(inner, str) else inner
        inner = inner if isinstance(inner, dict) else {"content": inner, "tool_calls": attributes.get("tool_calls")}
        return {"role": "assistant", "finish_reason": attributes.get("finish_reason"), **inner}
    said = {key: value for key, value in attributes.items() if key in {"content", "tool_calls", "name", "id", "role"}}
    if isinstance(said.get("tool_calls"), str):
        said["tool_calls"] = decoded(said["tool_calls"])
    return {"role": role, **said}


def _fields(found: _Found, raw: Raw) -> dict[str, Any]:
    made = {name: value for name, (_, value) in found.fields.items() if name in _OWN}
    for source in ("usage", "response_usage"):
        made = {**(found.value(source) or {}), **made}
    told = [cost for name in ("cost_usd", "cost") if (cost := found.value(name)) is not None]
    if told:  # a 0 that is said is a 0
        made["cost_micros"] = told[0]
    waited = found.value("first_token_seconds") or found.value("first_token_millis")
    first = raw.start_ns + waited if waited else found.value("first_token_time") or 0
    made["first_token_ns"] = first if raw.start_ns <= first <= raw.end_ns else 0
    given = found.parameters
    for name, other in (("requested_model", "model"), ("subject_id", "user")):
        if not made.get(name) and isinstance(given.get(other), str):
            made[name] = given[other]
    if "streamed" not in made and isinstance(given.get("stream"), bool):
        made["streamed"] = given["stream"]
    made["parameters"] = {name: value for name, value in given.items() if name not in {"model", "user", "stream"}}
    return made


def _kind(found: _Found, raw: Raw) -> str:
    if found.kind[1]:
        return found.kind[1]
    if found.value("tool_name"):
        return "tool"
    if "gen_ai.agent.name" in raw.attributes or "agent_name" in raw.attributes:
        return "agent"
    if found.value("requested_model") or found.value("served_model") or found.value("output_tokens"):
        return "llm"
    is_http = any(name in raw.attributes for name in ("http.request.method", "http.method", "http.url", "url.full"))
    return "http" if is_http else "chain"


def _sides(found: _Found, made: dict[str, Any]) -> dict[str, Any]:
    """Messages of both sides; a step without any says them with its payload."""
    told: dict[str, Any] = {}
    calls_model = made["kind"] in {"llm", "embedding"}
    if calls_model and not made.get("served_model"):
        made["served_model"] = made.get("requested_model", "")
    for side in _SIDES:
        _, name, value = found.payloads.get(side, (0, "", None))
        said = found.sides.get(side, (0, []))[1]
        whole = bool(name and (said or calls_model))
        if not said and name and (side == "input" or made["kind"] != "embedding"):  # vectors are no message
            said = _from_payload(found, made["kind"], side, value)
            whole = whole or not _holds(said, value)
        if whole:
            found.rest[name] = plain(value)  # all of it stays beside the messages
        told[f"{side}_messages"] = said
    if found.system and not any(message.get("role") == "system" for message in told["input_messages"]):
        told["input_messages"] = [*found.system, *told["input_messages"]]
    return told


def _holds(said: list[Message], value: Any) -> bool:
    """Whether the messages say all that is in the payload, so that it need not be kept beside them."""
    if not said or said[0].get("tool_calls"):
        return bool(said)
    return len(said) == 1 and said[0].get("content") == plain(written(value))


def _from_payload(found: _Found, kind: str, side: Side, value: Any) -> list[Message]:
    if kind != "tool":
        return messages(value, _ROLE[side])
    if side == "output":
        return [{"role": "tool", "content": plain(written(value))}]
    function = {"name": found.value("tool_name") or "", "arguments": plain(written(value))}
    call = {"id": found.value("tool_call_id") or "", "type": "function", "function": function}
    return [{"role": "assistant", "tool_calls": [call]}]


def _tell_errors(made: dict[str, Any], raw: Raw, found: _Found) -> None:
    thrown = next((event.attributes for event in raw.events if event.name == "exception"), {})
    level = str(found.value("level") or "").upper()
    failed = raw.failed or level == "ERROR"
    made["status"] = "error" if failed else "ok"
    if failed:
        made["error_type"] = made.get("error_type") or text(thrown.get("exception.type")) or "error"
        told = raw.message or made.get("error_message") or thrown.get("exception.message") or ""
        made["error_message"] = str(told)[:20_000]
    status = next((raw.attributes[name] for name in _HTTP if isinstance(raw.attributes.get(name), int)), 0)
    made["status_code"] = status if 100 <= status <= 599 else 0


def _attributes(found: _Found, raw: Raw, events: Iterable[Event]) -> dict[str, Any]:
    rest = found.rest
    if "gen_ai.response.id" not in rest and (number := found.value("response_id") or _response_id(found)):
        rest["gen_ai.response.id"] = number
    rest = {**raw.origin.attributes, **rest}
    langfuse.read_metadata(rest)
    if kind := _NAMES.get(raw.kind):
        rest["span.kind"] = kind
    if told := [{"name": e.name, "time_ns": e.time_ns, "attributes": e.attributes} for e in events]:
        rest["events"] = told
    if raw.links:
        rest["links"] = raw.links
    return rest


def _response_id(found: _Found) -> str:
    """The provider's number of an answer that a library kept as it was."""
    answer = found.payloads.get("output", (0, "", None))[2]
    seen = _RESPONSE_ID.search(answer) if isinstance(answer, str) and "output_tokens" in found.fields else None
    return seen[1] if seen else ""


def _below(name: str) -> list[_Use] | None:
    steps = name.split(".", 2)
    if len(steps) < 3:
        return None
    for prefix, use in _PREFIXES.get(f"{steps[0]}.{steps[1]}.", ()):
        if name.startswith(prefix):
            return [use]
    return None


def _index(tables: Iterable[Table]) -> tuple[dict[str, list[_Use]], dict[str, list[tuple[str, _Use]]]]:
    exact: dict[str, list[_Use]] = {}
    prefixes: dict[str, list[tuple[str, _Use]]] = {}
    for number, table in enumerate(tables):
        for target, names in table.fields.items():
            for place, name in enumerate(names):
                exact.setdefault(name, []).append(_Use("fields", number * 100 + place, target))
        for part in _USES[1:]:
            given = getattr(table, part)
            for place, name in enumerate(given):
                target = given[name] if isinstance(given, Mapping) else part
                use = _Use(part, number * 100 + place, target)
                if not name.endswith("."):
                    exact.setdefault(name, []).append(use)
                    continue
                use = _Use(part, use.rank, f"tools:{name}" if target else name)
                prefixes.setdefault(".".join(name.split(".")[:2]) + ".", []).append((name, use))
        for place, name in enumerate(table.numbered):
            use = _Use("numbered", number * 100 + place, name)
            prefixes.setdefault(".".join(name.split(".")[:2]) + ".", []).append((name, use))
    for found in prefixes.values():
        found.sort(key=lambda item: -len(item[0]))
    return exact, prefixes


_SIDES: Final[tuple[Side, Side]] = ("input", "output")
_EXACT, _PREFIXES = _index(TABLES)
_NUMBERED: Final[Mapping[str, tuple[Side, Build]]] = {k: v for table in TABLES for k, v in table.numbered.items()}
_EVENTS: Final = {
    name: (number * 100, use) for number, table in enumerate(TABLES) for name, use in table.events.items()
}
_ALSO_KEPT: Final = frozenset(
    {"response_id", "response_usage", "tool_name", "tool_call_id", "level", "address", "written_tokens"}
)
"""Fields of ours that no column holds: their attributes stay."""
_OWN: Final = frozenset(
    {"provider", "requested_model", "served_model", "input_tokens", "output_tokens", "cached_tokens"}
    | {"reasoning_tokens", "session_id", "subject_id", "error_type", "error_message", "streamed", "tags"}
    | {"prompt_name", "prompt_version", "written_tokens"}
)
