"""Steps of an application as spans: what ran, with what, what came of it.

`span` and `generation` give a `Step`, used with `with` or `async with`; a step inside of another is its child by OpenTelemetry's
context, across threads and tasks as that goes. Names of attributes are OpenTelemetry's GenAI conventions; what those
have no name for (input and output of a plain step, its kind, session and tags) has OpenInference's.
"""

import time
import traceback
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from noria_client import messages, payloads
from noria_client.boundary import boundary
from noria_client.client import Client, current

Kind = Literal["chain", "tool", "retrieval", "agent", "embedding", "guardrail", "judge"]

_OPERATIONS: Final[Mapping[str, str]] = {
    "tool": "execute_tool",
    "retrieval": "retrieval",
    "agent": "invoke_agent",
    "embedding": "embeddings",
}
_KINDS: Final[Mapping[str, str]] = {"chain": "CHAIN", "guardrail": "GUARDRAIL", "judge": "EVALUATOR"}
_NAMES: Final[Mapping[str, str]] = {"tool": "gen_ai.tool.name", "agent": "gen_ai.agent.name"}
_TRACEBACK: Final = 8000


def current_trace_id() -> str:
    """The trace that runs here, 32 hex digits; empty when there is none."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def span(name: str, *, kind: Kind = "chain", input: Any = None, **attributes: Any) -> "Step":
    """A step called `name`, begun when it is entered."""
    return Step(name, kind=kind, input=input, attributes=attributes)


def generation(
    name: str = "",
    *,
    model: str = "",
    provider: str = "",
    operation: str = "chat",
    input: Any = None,
    parameters: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> "Generation":
    """A model call; `input` is a text or messages, `parameters` those of the call (temperature, max_tokens, …)."""
    named = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": model,
        "gen_ai.provider.name": provider,
        **{f"gen_ai.request.{field}": value for field, value in (parameters or {}).items()},
        **attributes,
    }
    return Generation(name or f"{operation} {model}".strip(), kind="chain", input=input, attributes=named)


class Step:
    """One step; everything on it may be called in any state and does nothing where nothing is recorded."""

    _span_kind = SpanKind.INTERNAL

    def __init__(self, name: str, *, kind: Kind, input: Any, attributes: Mapping[str, Any]) -> None:
        self._name = name
        self._kind = kind
        self._input = input
        self._attributes = attributes
        self._client: Client | None = None
        self._span: trace.Span = trace.INVALID_SPAN
        self._token: Any = None
        self._context: Context | None = None

    @property
    def trace_id(self) -> str:
        """32 hex digits; empty when nothing is recorded."""
        context = self._span.get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else ""

    @property
    def span_id(self) -> str:
        """16 hex digits; empty when nothing is recorded."""
        context = self._span.get_span_context()
        return f"{context.span_id:016x}" if context.is_valid else ""

    def given(self, value: Any) -> None:
        """What the step will work on, known before it begins."""
        self._input = value

    def input(self, value: Any) -> None:
        """What the step works on."""
        client = self._client
        if client and client.configuration.capture_input and self._span.is_recording():
            with boundary("Recording an input"):
                self._record_input(value)

    def output(self, value: Any) -> None:
        """What came of it."""
        client = self._client
        if client and client.configuration.capture_output and self._span.is_recording():
            with boundary("Recording an output"):
                self._record_output(value)

    def set(self, **attributes: Any) -> None:
        """More attributes; dots in names are written by `**{"a.b": 1}`. Values that are no texts or numbers become JSON."""
        if self._span.is_recording():
            with boundary("Recording attributes"):
                for name, value in attributes.items():
                    self._attribute(name, value)

    def error(self, error: BaseException) -> None:
        """The step failed. Called by itself when an exception leaves the block."""
        if not self._span.is_recording():
            return
        with boundary("Recording an error"):
            kind = type(error).__name__ if type(error).__module__ == "builtins" else _full_name(type(error))
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR))
            message = self._encoded(str(error), "exception.message", _TRACEBACK)
            mask = self._client.configuration.mask if self._client else None
            stack = payloads.masked_text("".join(traceback.format_exception(error)), "exception.stacktrace", mask)
            told = {"exception.type": kind, "exception.message": message, "exception.stacktrace": stack[-_TRACEBACK:]}
            self._span.add_event("exception", told)
            self._span.set_status(Status(StatusCode.ERROR, message))

    def begin(self) -> Self:
        """Start without making it the current step; `end` ends it. `with` is the usual way."""
        self._client = current()
        if self._client is not None:
            with boundary("Beginning a step"):
                self._span = self._client.tracer.start_span(
                    self._name, kind=self._span_kind, record_exception=False, set_status_on_exception=False
                )
                self._context = trace.set_span_in_context(self._span)
                self._describe()
        if self._input is not None:
            self.input(self._input)
        self._input = None
        return self

    def end(self) -> None:
        """Once more does nothing."""
        with boundary("Ending a step"):
            self._span.end()

    def enter(self) -> None:
        """Make it the current step of this thread or task until `leave`."""
        if self._context is not None:
            self._token = otel.attach(self._context)

    def leave(self) -> None:
        """Give the place back; what runs inside is remembered for the next `enter`."""
        if self._token is not None:
            self._context = otel.get_current()
            token, self._token = self._token, None
            otel.detach(token)

    def __enter__(self) -> Self:
        self.begin()
        self.enter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        self.leave()
        if error is not None:
            self.error(error)
        self.end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, where: object) -> None:
        self.__exit__(kind, error, where)

    def _describe(self) -> None:
        if operation := _OPERATIONS.get(self._kind):
            self._attribute("gen_ai.operation.name", operation)
        elif type(self) is Step:
            self._attribute("openinference.span.kind", _KINDS[self._kind])
        if name := _NAMES.get(self._kind):
            self._attribute(name, self._name)
        for name, value in self._attributes.items():
            self._attribute(name, value)

    def _record_input(self, value: Any) -> None:
        if self._kind == "tool":
            self._content("gen_ai.tool.call.arguments", value)
        elif self._kind == "retrieval" and isinstance(value, str):
            self._content("gen_ai.retrieval.query.text", value)
        else:
            self._plain("input", value)

    def _record_output(self, value: Any) -> None:
        if self._kind == "tool":
            self._content("gen_ai.tool.call.result", value)
        elif self._kind == "retrieval" and isinstance(value, list | tuple):
            self._content("gen_ai.retrieval.documents", value)
        else:
            self._plain("output", value)

    def _plain(self, which: str, value: Any) -> None:
        self._content(f"{which}.value", value)
        self._span.set_attribute(f"{which}.mime_type", "text/plain" if isinstance(value, str) else "application/json")

    def _content(self, name: str, value: Any) -> None:
        self._span.set_attribute(name, self._encoded(value, name))

    def _attribute(self, name: str, value: Any) -> None:
        if value is None or value == "":
            return
        if isinstance(value, bool | int | float):
            self._span.set_attribute(name, value)
        elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            self._span.set_attribute(name, [self._encoded(item, name) for item in value])
        else:
            self._span.set_attribute(name, self._encoded(value, name))

    def _encoded(self, value: Any, name: str, most: int = 0) -> str:
        client = self._client
        if client is None:
            return ""
        configuration = client.configuration
        return payloads.encoded(value, name, most=most or configuration.capture_chars, mask=configuration.mask)


class Generation(Step):
    """A model call."""

    _span_kind = SpanKind.CLIENT
    _asked_at = 0.0

    def begin(self) -> Self:
        self._asked_at = time.monotonic()
        super().begin()
        return self

    def first_token(self) -> None:
        """The answer's first piece is here; the first call counts."""
        if self._asked_at:
            self.set(**{"gen_ai.response.time_to_first_chunk": time.monotonic() - self._asked_at})
            self._asked_at = 0.0

    def usage(
        self, *, input_tokens: int = 0, output_tokens: int = 0, cached_tokens: int = 0, reasoning_tokens: int = 0
    ) -> None:
        """Tokens as the provider counts them; cached ones are part of the input, reasoning ones of the output."""
        counts = {
            "gen_ai.usage.input_tokens": input_tokens,
            "gen_ai.usage.output_tokens": output_tokens,
            "gen_ai.usage.cache_read.input_tokens": cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": reasoning_tokens,
        }
        self.set(**{name: count for name, count in counts.items() if count})

    def response(self, *, model: str = "", id: str = "", finish_reasons: list[str] | None = None) -> None:
        """What the provider says of its answer."""
        named = {"model": model, "id": id, "finish_reasons": finish_reasons or None}
        self.set(**{f"gen_ai.response.{name}": value for name, value in named.items()})

    def output(self, value: Any) -> None:
        """The answer: a text, messages, or a whole chat completion, whose tokens and model are taken too."""
        completed = None
        if self._span.is_recording():
            with boundary("Reading a completion"):
                completed = messages.completion(value)
                if completed is not None:
                    self._complete(completed)
        super().output(messages.answers(completed) if completed is not None else value)

    def _complete(self, completed: Mapping[str, Any]) -> None:
        reasons = [choice.get("finish_reason") for choice in completed["choices"] if isinstance(choice, Mapping)]
        self.response(
            model=str(completed.get("model") or ""),
            id=str(completed.get("id") or ""),
            finish_reasons=[str(reason) for reason in reasons if reason],
        )
        usage = completed.get("usage")
        if isinstance(usage, Mapping):
            self.usage(
                input_tokens=usage.get("prompt_tokens") or 0,
                output_tokens=usage.get("completion_tokens") or 0,
                cached_tokens=_detail(usage, "prompt_tokens_details", "cached_tokens"),
                reasoning_tokens=_detail(usage, "completion_tokens_details", "reasoning_tokens"),
            )

    def _record_input(self, value: Any) -> None:
        self._content("gen_ai.input.messages", messages.in_parts(value, "user"))

    def _record_output(self, value: Any) -> None:
        self._content("gen_ai.output.messages", messages.in_parts(value, "assistant"))


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    found = usage.get(group)
    return int(found.get(name) or 0) if isinstance(found, Mapping) else 0


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
