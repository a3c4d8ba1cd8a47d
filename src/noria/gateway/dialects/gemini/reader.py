"""A stream of Gemini's, read as chat chunks: every event is a small answer with the parts that are new.

The decision to know: Gemini has no last event. The answer is complete when every candidate that was seen has said why it ended;
counts come with each event, and the last of them are told once, then.
"""

import time

from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.gemini import terms
from noria.gateway.dialects.gemini.answer import reported


class GeminiReader:
    """One stream."""

    def __init__(self) -> None:
        self.done = False
        self._chunk: Json = {
            "id": values.new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": "",
        }
        self._calls: dict[int, int] = {}
        """How many tool calls each candidate has made; a candidate that was seen is in here."""
        self._ended: set[int] = set()
        self._usage: Json | None = None

    @property
    def usage(self) -> Json | None:
        """What is known so far in chat's names, also when the stream breaks off."""
        return terms.usage(self._usage)

    def read(self, event: str, data: Json) -> list[Json]:
        """Chat chunks for one event. Raises ProviderFailed when it is an error."""
        if data.get("error"):
            raise reported(data["error"])
        self._chunk["id"] = values.text(data.get("responseId")) or self._chunk["id"]
        self._chunk["model"] = values.text(data.get("modelVersion")) or self._chunk["model"]
        if counts := values.obj(data.get("usageMetadata")):
            self._usage = counts
        told: list[Json] = []
        for place, candidate in enumerate(values.objects(data.get("candidates"))):
            told += self._candidate(candidate, terms.index(candidate, place))
        if not self._calls and (block := terms.blocked(data)):
            told.append(self._told(0, {"role": "assistant", "content": "", "refusal": block.pop("why")}, block))
            self._calls[0] = 0
            self._ended.add(0)
        if self._calls and not self.done and self._ended >= self._calls.keys():
            self.done = True
            if (usage := self.usage) is not None:
                told.append({**self._chunk, "choices": [], "usage": usage})
        return told

    def _candidate(self, candidate: Json, index: int) -> list[Json]:
        told: list[Json] = []
        if index not in self._calls:
            self._calls[index] = 0
            told.append(self._told(index, {"role": "assistant", "content": ""}))
        logprobs = terms.logprobs(candidate)
        for part in values.objects(values.obj(candidate.get("content")).get("parts")):
            delta = self._delta(part, index)
            if delta:
                told.append(self._told(index, delta, {"logprobs": logprobs} if logprobs else {}))
                logprobs = None
        reason = values.text(candidate.get("finishReason"))
        if reason and index not in self._ended:
            self._ended.add(index)
            end = terms.finish(reason, calls=self._calls[index] > 0)
            told.append(self._told(index, {}, {**end, **terms.kept(candidate)}))
        return told

    def _delta(self, part: Json, index: int) -> Json:
        if "functionCall" in part:
            place = self._calls[index]
            self._calls[index] += 1
            return {"tool_calls": [terms.call(part, place)]}
        if isinstance(part.get("text"), str):
            name = "reasoning_content" if part.get("thought") is True else "content"
            said = {name: part["text"]} if part["text"] else {}
            return {**said, **terms.signed(part)}
        if picture := terms.image(part):
            return {"images": [picture], **terms.signed(part)}
        return {"extra_content": {"google": {"parts": [part]}}} if part else {}

    def _told(self, index: int, delta: Json, end: Json | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, **(end or {})}
        return {**self._chunk, "choices": [choice]}
