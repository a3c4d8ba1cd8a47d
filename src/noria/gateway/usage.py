"""What an answer consumed and what it said, read from a provider's parsed JSON without trusting it.

In: a whole answer, or the chunks of a stream. Out: `Usage`, and output messages in the one normal form of spans. The
decision to know: no tokens are estimated while the provider counts them; where it does not, the span says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from noria.core.records import Message
from noria.registry import costs
from noria.registry.snapshot import ReleaseEntry

_MAX_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; `known` is False when the provider gave none.

    Cached and written tokens are among `input`, those written for an hour among `written`, reasoning is among `output`:
    every dialect's counts are brought to this shape by its reader (chat's `usage`).
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    known: bool = False
    written: int = 0
    """To the provider's cache."""
    written_1h: int = 0

    def cost_micros(self, release: ReleaseEntry) -> int:
        """Micro-dollars at the release's prices, rounded to the nearest."""
        return costs.micros(release, self)


@dataclass(frozen=True, slots=True)
class Output:
    """What an answer amounted to."""

    messages: list[Message]
    usage: Usage
    model: str = ""
    finish_reason: str = ""


def usage_in(raw: Any) -> Usage:
    """The counts in OpenAI's `usage` object; what is no sensible count is 0.

    Cache writes have two names: OpenAI's in the details, Anthropic's beside them. DeepSeek counts what it read beside.
    """
    if not isinstance(raw, dict):
        return Usage()
    details = raw.get("prompt_tokens_details")
    return Usage(
        input=_count(raw.get("prompt_tokens")),
        output=_count(raw.get("completion_tokens")),
        cached=_detail(details, "cached_tokens") or _count(raw.get("prompt_cache_hit_tokens")),
        reasoning=_detail(raw.get("completion_tokens_details"), "reasoning_tokens"),
        known=True,
        written=_detail(details, "cache_write_tokens") or _count(raw.get("cache_creation_input_tokens")),
        written_1h=_detail(raw.get("cache_creation"), "ephemeral_1h_input_tokens"),
    )


def whole(answer: dict[str, Any]) -> Output:
    """What a chat answer that came in one piece amounts to."""
    choices = [choice for choice in answer.get("choices") or () if isinstance(choice, dict)]
    messages = [_message(choice) for choice in choices]
    reason = choices[0].get("finish_reason") if choices else ""
    return Output(messages, usage_in(answer.get("usage")), _text(answer.get("model")), _text(reason))


def _message(choice: dict[str, Any]) -> Message:
    message = choice.get("message")
    return message if isinstance(message, dict) else {"role": "assistant", "content": ""}


_LISTS = ("thinking_blocks", "reasoning_details", "provider_blocks", "citations", "annotations")
"""What dialects tell in pieces beside text: signed thoughts, tools that ran at the provider, sources."""


class _Choice:
    """One choice of a stream, put together again."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}
        self.lists: dict[str, list[Any]] = {}

    def add(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if type(content) is str:
            self.content.append(content)
            if len(delta) == 1:  # nearly every chunk
                return
        self.reasoning.append(_text(delta.get("reasoning_content") or delta.get("reasoning")))
        for call in delta.get("tool_calls") or ():
            if isinstance(call, dict):
                self._add_call(call)
        for name in _LISTS:
            if isinstance(pieces := delta.get(name), list):
                self.lists.setdefault(name, []).extend(piece for piece in pieces if not _says_nothing(piece))

    def _add_call(self, call: dict[str, Any]) -> None:
        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        known = self.calls.setdefault(_count(call.get("index")), empty)
        raw = call.get("function")
        function: dict[str, Any] = raw if isinstance(raw, dict) else {}
        known["id"] = known["id"] or _text(call.get("id"))
        known["function"]["name"] += _text(function.get("name"))
        known["function"]["arguments"] += _text(function.get("arguments"))

    def message(self) -> Message:
        message: Message = {"role": "assistant", "content": _joined(self.content)}
        if reasoning := _joined(self.reasoning):
            message["reasoning_content"] = reasoning
        message |= self.lists
        if self.calls:
            message["tool_calls"] = [self.calls[index] for index in sorted(self.calls)]
        return message


def _says_nothing(piece: Any) -> bool:
    """A thought that only gives its id, ahead of its words."""
    return isinstance(piece, dict) and piece.get("type") == "reasoning.summary" and not piece.get("summary")


def streamed(chunks: Iterable[Any]) -> Output:
    """What the chat chunks of one stream amount to."""
    choices: dict[int, _Choice] = {}
    usage, model, reason = Usage(), "", ""
    for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        model = model or _text(chunk.get("model"))
        if isinstance(told := chunk.get("usage"), dict):
            usage = usage_in(told)
        for choice in chunk.get("choices") or ():
            if not isinstance(choice, dict):
                continue
            index, delta, ended = _count(choice.get("index")), choice.get("delta"), choice.get("finish_reason")
            if (known := choices.get(index)) is None:
                known = choices[index] = _Choice()
            if isinstance(delta, dict):
                known.add(delta)
            if ended:
                reason = _text(ended) or reason
    return Output([choices[index].message() for index in sorted(choices)], usage, model, reason)


def _joined(parts: list[str]) -> str:
    text = "".join(parts)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return min(value, _MAX_TOKENS) if type(value) is int and value > 0 else 0


def _detail(details: Any, name: str) -> int:
    return _count(details.get(name)) if isinstance(details, dict) else 0
