"""A whole chat answer, told as a response; and the pieces that a streamed one is made of.

In: a chat completion and the caller's request. Out: a response with its items. The decision to know: the ids of items are
made of the response's id and their place, so a stream, its last event and what is kept for GET all agree without any state.
Thoughts are told as a reasoning item's `summary`, the only part of it that clients show.
"""

import time
from typing import Any

from noria.core.ids import new_id
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.from_chat import flat_annotation, reasoning_items
from noria.gateway.dialects.responses.ids import new_response_id, tail
from noria.gateway.dialects.responses.input import EXTRA, sealed
from noria.gateway.dialects.responses.values import count, given, mapping, moment, objects, text, whole_text

_ECHOED: dict[str, Any] = {
    **{"instructions": None, "max_output_tokens": None, "max_tool_calls": None, "previous_response_id": None},
    **{"prompt_cache_key": None, "safety_identifier": None, "user": None, "temperature": None, "top_p": None},
    **{
        "top_logprobs": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "truncation": "disabled",
        "store": True,
    },
}
"""What a response repeats of its request, and what stands there when the request left it out."""

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def envelope(body: Json, chat: Json) -> Json:
    """A response in progress, without output; `chat` is the answer or the first chunk of it."""
    echoed = {name: default if (value := body.get(name)) is None else value for name, default in _ECHOED.items()}
    created = moment(chat.get("created")) or int(time.time())
    reasoning, config = mapping(body.get("reasoning")), mapping(body.get("text"))
    return {
        "id": new_response_id(),
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": text(chat.get("model")) or text(body.get("model")),
        "output": [],
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "service_tier": text(chat.get("service_tier")) or text(body.get("service_tier")) or "default",
        "text": {"format": {"type": "text"}, **config},
        "tools": [{"strict": None, **tool} for tool in objects(body.get("tools"))],
        "usage": None,
        "metadata": mapping(body.get("metadata")),
        **echoed,
    }


def closed(response: Json, output: list[Json], finish: str, usage: Any) -> Json:
    """The response with its output, complete or cut off as chat's finish reason says."""
    reason = _INCOMPLETE.get(finish)
    return {
        **response,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage_of(usage),
    }


def answer(chat: Json, body: Json) -> Json:
    """A chat answer as a response; a request asks for one choice, so one is told."""
    response = envelope(body, chat)
    choice = next(iter(objects(chat.get("choices"))), {})
    finish = text(choice.get("finish_reason"))
    message = mapping(choice.get("message"))
    output = _items(message, logprobs_of(choice.get("logprobs")), tail(response["id"]))
    if finish in _INCOMPLETE:
        output[-1]["status"] = "incomplete"
    return closed(response, output, finish, chat.get("usage"))


def _items(message: Json, logprobs: list[Json], ending: str) -> list[Json]:
    content, refusal = content_text(message.get("content")), text(message.get("refusal"))
    calls = [*objects(message.get("tool_calls")), *_legacy(message.get("function_call"))]
    output = _thoughts(message, ending)
    if content or refusal or not (calls or output):
        notes = [flat_annotation(note) for note in objects(message.get("annotations"))]
        parts = [text_part(content, notes, logprobs)] if content or not refusal else []
        parts += [{"type": "refusal", "refusal": refusal}] if refusal else []
        output.append(message_item(item_id("msg", ending, len(output)), parts))
    for call in calls:
        inner = mapping(call.get("custom" if call.get("type") == "custom" else "function"))
        said = text(inner.get("input" if call.get("type") == "custom" else "arguments"))
        kind = "custom" if call.get("type") == "custom" else "function"
        name, call_id = text(inner.get("name")), text(call.get("id")) or new_call_id()
        item = call_item(kind, item_id(PREFIX[kind], ending, len(output)), call_id=call_id, name=name, said=said)
        output.append({**item, **given(call, EXTRA)})
    return output


def _thoughts(message: Json, ending: str) -> list[Json]:
    items = [
        {**item, "id": item.get("id") or item_id("rs", ending, index)}
        for index, item in enumerate(reasoning_items(message.get("reasoning_details")))
    ]
    thought = text(message.get("reasoning_content")) or text(message.get("reasoning"))
    if thought and not items:
        items.append(reasoning_item(item_id("rs", ending, 0), thought))
    if blocks := objects(message.get("thinking_blocks")):
        items = items or [reasoning_item(item_id("rs", ending, 0), "")]
        items[-1]["encrypted_content"] = sealed(blocks)
    return items


def content_text(content: Any) -> str:
    """The text of an answer; some servers send it in parts."""
    if isinstance(content, list):
        content = "".join(text(part.get("text")) for part in objects(content) if part.get("type") == "text")
    return whole_text([content]) if isinstance(content, str) else ""


def _legacy(call: Any) -> list[Json]:
    return [{"type": "function", "function": call}] if isinstance(call, dict) else []


PREFIX = {"function": "fc", "custom": "ctc"}


def item_id(prefix: str, ending: str, index: int) -> str:
    return f"{prefix}_{ending}{index:02x}"


def new_call_id() -> str:
    """For a provider that gave its call none."""
    return "call_" + new_id().replace("-", "")


def message_item(item: str, parts: list[Json], status: str = "completed") -> Json:
    return {"id": item, "type": "message", "status": status, "role": "assistant", "content": parts}


def reasoning_item(item: str, thought: str) -> Json:
    return {"id": item, "type": "reasoning", "summary": [{"type": "summary_text", "text": thought}] if thought else []}


def call_item(kind: str, item: str, *, call_id: str, name: str, said: str, status: str = "completed") -> Json:
    if kind == "custom":
        return {"id": item, "type": "custom_tool_call", "call_id": call_id, "name": name, "input": said}
    called = {"arguments": said, "call_id": call_id, "name": name}
    return {"id": item, "type": "function_call", "status": status, **called}


def text_part(said: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    return {"type": "output_text", "text": said, "annotations": annotations, "logprobs": logprobs}


def logprobs_of(raw: Any) -> list[Json]:
    """Chat's {"content": [token, …]} as a text part's list; `bytes` is always there, as the typed clients want it."""
    return [
        {**_token(token), "top_logprobs": [_token(other) for other in objects(token.get("top_logprobs"))]}
        for token in objects(mapping(raw).get("content"))
    ]


def _token(raw: Json) -> Json:
    token, chance, spelled = text(raw.get("token")), raw.get("logprob"), raw.get("bytes")
    if not isinstance(spelled, list) or not all(type(byte) is int for byte in spelled):
        spelled = list(token.encode("utf-8", "replace"))
    known = isinstance(chance, int | float) and not isinstance(chance, bool)
    return {"token": token, "logprob": chance if known else -9999.0, "bytes": spelled}


def usage_of(raw: Any) -> Json | None:
    """Chat's counts in the words of Responses; None when the provider counted nothing."""
    if not isinstance(raw, dict):
        return None
    took, gave = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    details, more = mapping(raw.get("prompt_tokens_details")), mapping(raw.get("completion_tokens_details"))
    return {
        "input_tokens": took,
        "input_tokens_details": {
            **{name: value for name, value in details.items() if type(value) is int},
            "cached_tokens": count(details.get("cached_tokens")),
            "cache_write_tokens": count(details.get("cache_write_tokens")),
        },
        "output_tokens": gave,
        "output_tokens_details": {
            **{name: value for name, value in more.items() if type(value) is int},
            "reasoning_tokens": count(more.get("reasoning_tokens")),
        },
        "total_tokens": count(raw.get("total_tokens")) or took + gave,
    }
