"""What a Responses provider answers, told as chat: whole answers and streams.

In: a response, or its typed events. Out: a chat completion, or chat chunks. The decision to know: a stream is read for what is
new. Servers differ in which of delta, done and completed they send, so of every text it is remembered how much was told, and
whatever a later event knows beyond that is told then.
"""

from typing import Any, NoReturn

from noria.core.errors import ProviderFailed
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.input import nested_annotation, reasoning_details
from noria.gateway.dialects.responses.values import count, mapping, moment, objects, text

_LENGTH = {"max_output_tokens": "length", "content_filter": "content_filter"}
_DONE = ("response.completed", "response.incomplete", "response.done")
_FIELDS = {
    "output_text": "content",
    "refusal": "refusal",
    "reasoning_summary_text": "reasoning_content",
    "reasoning_text": "reasoning_content",
}
_CALLS = {"function_call": "function_call_arguments", "custom_tool_call": "custom_tool_call_input"}
_MOST_ITEMS = 10_000


def to_answer(answer: Json) -> Json:
    """Raises ProviderFailed when the response failed, is not finished, or is none."""
    output = answer.get("output")
    status = answer.get("status", "completed")
    if status in ("failed", "cancelled") or (answer.get("error") and not output):
        _failed(answer)
    if not isinstance(output, list) or status not in ("completed", "incomplete"):
        raise ProviderFailed("The provider's answer is no finished response.")
    message, logprobs = _message(objects(output))
    choice: Json = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": _finish(answer, bool(message.get("tool_calls"))),
    }
    told = {
        **{"id": text(answer.get("id")), "object": "chat.completion", "created": moment(answer.get("created_at"))},
        **{"model": text(answer.get("model")), "choices": [choice]},
    }
    if isinstance(answer.get("service_tier"), str):
        told["service_tier"] = answer["service_tier"]
    if (usage := usage_of(answer.get("usage"))) is not None:
        told["usage"] = usage
    return told


def _message(output: list[Json]) -> tuple[Json, list[Json]]:
    texts: list[str] = []
    message: Json = {"role": "assistant", "content": None}
    more: dict[str, list[Any]] = {"annotations": [], "reasoning_details": [], "tool_calls": [], "output_items": []}
    refusals: list[str] = []
    thoughts: list[str] = []
    logprobs: list[Json] = []
    for item in output:
        kind = item.get("type")
        if kind == "message":
            for part in objects(item.get("content")):
                if part.get("type") == "refusal":
                    refusals.append(text(part.get("refusal")))
                    continue
                texts.append(text(part.get("text")))
                more["annotations"] += [nested_annotation(note) for note in objects(part.get("annotations"))]
                logprobs += objects(part.get("logprobs"))
        elif kind == "reasoning":
            parts = [*objects(item.get("summary")), *objects(item.get("content"))]
            thoughts += filter(None, (text(part.get("text")) for part in parts))
            more["reasoning_details"] += reasoning_details(_sound(item))
        elif kind in ("function_call", "custom_tool_call"):
            more["tool_calls"].append({"id": text(item.get("call_id")) or text(item.get("id")), **_call(item)})
        else:
            more["output_items"].append(item)
    if texts:
        message["content"] = "".join(texts)
    message["refusal"] = "".join(refusals) or None
    if thoughts:
        message["reasoning_content"] = "\n\n".join(thoughts)
    return {**message, **{name: found for name, found in more.items() if found}}, logprobs


def _sound(item: Json) -> Json:
    return (
        {**item, "id": item["id"]} if isinstance(item.get("id"), str) else {k: v for k, v in item.items() if k != "id"}
    )


def _call(item: Json) -> Json:
    name = text(item.get("name"))
    if item.get("type") == "custom_tool_call":
        return {"type": "custom", "custom": {"name": name, "input": text(item.get("input"))}}
    return {"type": "function", "function": {"name": name, "arguments": text(item.get("arguments"))}}


def _finish(answer: Json, called: bool) -> str:
    if answer.get("status") == "incomplete":
        return _LENGTH.get(text(mapping(answer.get("incomplete_details")).get("reason")), "length")
    return "tool_calls" if called else "stop"


def usage_of(raw: Any) -> Json | None:
    """Counts in chat's words; None when the provider gave none."""
    if not isinstance(raw, dict):
        return None
    took, gave = count(raw.get("input_tokens")), count(raw.get("output_tokens"))
    return {
        "prompt_tokens": took,
        "completion_tokens": gave,
        "total_tokens": count(raw.get("total_tokens")) or took + gave,
        "prompt_tokens_details": _counts(raw.get("input_tokens_details")),
        "completion_tokens_details": _counts(raw.get("output_tokens_details")),
    }


def _counts(details: Any) -> Json:
    return {name: value for name, value in mapping(details).items() if type(value) is int}


def _failed(answer: Json) -> NoReturn:
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    reason = text(error.get("message")) or text(answer.get("message")) or "it gave no reason"
    raise ProviderFailed(
        f"The provider broke off: {reason[:500]}", code=text(error.get("code"))[:100] or "provider_error"
    )


class ResponsesReader:
    """One stream."""

    def __init__(self) -> None:
        self.done = False
        self._base: Json = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._opened = False
        self._calls: dict[int, int] = {}
        self._told: dict[tuple[str, int, int], int] = {}
        self._whole: set[int] = set()
        self._thinking = False
        self._held: dict[int, str] = {}  # arguments of calls whose names have not come yet

    def read(self, event: str, data: Json) -> list[Json]:
        kind = text(data.get("type")) or event
        if kind == "error" or (data.get("error") and "response" not in data):
            _failed(data if isinstance(data.get("error"), dict) else {"error": data})
        if kind == "response.failed":
            _failed(mapping(data.get("response")))
        chunks = self._open(mapping(data.get("response")))
        if kind.endswith((".delta", ".done", ".added")) and kind not in _DONE:
            return chunks + self._grown(kind, data)
        if kind in _DONE:
            return chunks + self._end(mapping(data.get("response")))
        return chunks

    def _open(self, response: Json) -> list[Json]:
        if response:
            self._base["id"] = self._base["id"] or text(response.get("id"))
            self._base["model"] = self._base["model"] or text(response.get("model"))
            self._base["created"] = self._base["created"] or moment(response.get("created_at"))
        if self._opened:
            return []
        self._opened = True
        return [self._chunk({"role": "assistant", "content": ""})]

    def _chunk(self, delta: Json, finish: str | None = None, logprobs: Any = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._base, "choices": [choice]}

    def _grown(self, kind: str, data: Json) -> list[Json]:
        place = count(data.get("output_index"))
        if kind.startswith("response.output_item."):
            return self._item(place, mapping(data.get("item")), whole=kind.endswith(".done"))
        name, _, what = kind.removeprefix("response.").rpartition(".")
        index = count(data.get("content_index")) or count(data.get("summary_index"))
        if kind == "response.output_text.annotation.added":
            note = mapping(data.get("annotation"))
            self._add(("note", place, index), 1)
            return [self._chunk({"annotations": [nested_annotation(note)]})] if note else []
        if what == "delta":
            return self._more(name, place, index, text(data.get("delta")), objects(data.get("logprobs")))
        if what == "done":
            field = {"refusal": "refusal", "function_call_arguments": "arguments", "custom_tool_call_input": "input"}
            return self._rest(name, place, index, text(data.get(field.get(name, "text"))))
        return []

    def _add(self, key: tuple[str, int, int], more: int) -> None:
        if len(self._told) > _MOST_ITEMS:
            raise ProviderFailed("The provider's answer has too many parts.")
        self._told[key] = self._told.get(key, 0) + more

    def _rest(self, name: str, place: int, index: int, whole: str) -> list[Json]:
        """What a text has beyond what its deltas told."""
        told = self._told.get((name, place, index), 0)
        return self._more(name, place, index, whole[told:]) if len(whole) > told else []

    def _more(self, name: str, place: int, index: int, delta: str, logprobs: list[Json] | None = None) -> list[Json]:
        first = (name, place, index) not in self._told
        if not delta:
            return []
        self._add((name, place, index), len(delta))
        if name in _CALLS.values():
            if place not in self._calls:
                self._held[place] = self._held.get(place, "") + delta
                return []
            return self._argument(name, place, delta)
        field = _FIELDS.get(name)
        if field == "reasoning_content":
            delta = "\n\n" + delta if first and self._thinking else delta
            self._thinking = True
        told = {"content": logprobs, "refusal": None} if logprobs else None
        return [self._chunk({field: delta}, None, told)] if field else []

    def _argument(self, name: str, place: int, delta: str) -> list[Json]:
        custom = name == "custom_tool_call_input"
        call: Json = {"type": "custom", "custom": {"input": delta}} if custom else {"function": {"arguments": delta}}
        return [self._call_chunk(place, call)] if delta else []

    def _call_chunk(self, place: int, call: Json) -> Json:
        index = self._calls.setdefault(place, len(self._calls))
        if len(self._calls) > _MOST_ITEMS:
            raise ProviderFailed("The provider's answer has too many calls.")
        return self._chunk({"tool_calls": [{"index": index, **call}]})

    def _item(self, place: int, item: Json, *, whole: bool) -> list[Json]:
        """An item that begins, or as it is when done."""
        kind, chunks = item.get("type"), []
        if isinstance(kind, str) and kind in _CALLS:
            field = "arguments" if kind == "function_call" else "input"
            if place not in self._calls:
                named = {"id": text(item.get("call_id")) or text(item.get("id")), **_call({**item, field: ""})}
                chunks = [self._call_chunk(place, named)]
                chunks += self._argument(_CALLS[kind], place, self._held.pop(place, ""))
            return chunks + self._rest(_CALLS[kind], place, 0, text(item.get(field)))
        if kind == "reasoning" and not whole:
            return [self._chunk({"reasoning_details": reasoning_details(_sound({"id": item.get("id")}))})]
        if not whole or place in self._whole:
            return []
        if len(self._whole) > _MOST_ITEMS:
            raise ProviderFailed("The provider's answer has too many items.")
        self._whole.add(place)
        if kind == "message":
            for index, part in enumerate(objects(item.get("content"))):
                chunks += self._part(place, index, part)
        elif kind == "reasoning":
            for index, part in enumerate(objects(item.get("summary"))):
                chunks += self._rest("reasoning_summary_text", place, index, text(part.get("text")))
            for index, part in enumerate(objects(item.get("content"))):
                chunks += self._rest("reasoning_text", place, index, text(part.get("text")))
            chunks.append(self._chunk({"reasoning_details": reasoning_details(_sound(item))}))
        elif kind:
            chunks.append(self._chunk({"output_items": [item]}))
        return chunks

    def _part(self, place: int, index: int, part: Json) -> list[Json]:
        if part.get("type") == "refusal":
            return self._rest("refusal", place, index, text(part.get("refusal")))
        notes = objects(part.get("annotations"))[self._told.get(("note", place, index), 0) :]
        chunks = self._rest("output_text", place, index, text(part.get("text")))
        return chunks + ([self._chunk({"annotations": [nested_annotation(note) for note in notes]})] if notes else [])

    def _end(self, response: Json) -> list[Json]:
        chunks: list[Json] = []
        for place, item in enumerate(objects(response.get("output"))):
            chunks += self._item(place, item, whole=True)
        self.done = True
        chunks.append(self._chunk({}, _finish(response, bool(self._calls))))
        if (usage := usage_of(response.get("usage"))) is not None:
            chunks.append({**self._base, "choices": [], "usage": usage})
        return chunks
