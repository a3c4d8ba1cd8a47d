"""One target, asked over HTTP as any application would: through the gateway, one row at a time.

In: a row's messages. Out: a `Reply`. What a provider does wrong is data (a Reply with `error`); what makes the whole
evaluation pointless is raised: no gateway, a key or release that is not known. The decision to know: whatever is Noria's
own (a gateway that restarts, an engine that loads its model) is waited for, two minutes long; a busy or failing
provider is asked up to five times, and then its failure is the row's result.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from noria.core.errors import Forbidden, Unavailable
from noria.core.records import Message

PATIENCE: Final = 120.0
"""Seconds to wait for an engine that starts, and for a gateway that is away."""
_FRESH_KEY: Final = 15.0
"""Seconds until a new key or release must be known to the gateway."""
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_LONGEST_PAUSE: Final = 30.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_STARTING: Final = frozenset({"not_ready", "engine_failed", "unavailable"})
"""What the gateway says of its own parts; a provider's 503 has other codes."""
_ERROR_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one row. `error` is empty when an answer came."""

    text: str = ""
    finish_reason: str = ""
    latency_ms: float | None = None
    """Of the request that was answered, from sending it to its last byte."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    trace_id: str = ""
    error: str = ""


@dataclass(slots=True)
class Target:
    """A release behind the gateway. Use as `async with`; safe for several tasks at once."""

    url: str
    key: str
    model: str
    """ "assistant@2"."""
    max_tokens: int | None
    """None: the release says itself how long its answers may be."""
    timeout: float
    patience: float = PATIENCE
    _http: httpx.AsyncClient = field(init=False)
    _answered: bool = False

    async def __aenter__(self) -> "Target":
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"authorization": f"Bearer {self.key}"},
            timeout=httpx.Timeout(self.timeout, connect=10.0),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def wake(self, messages: list[Message]) -> None:
        """Ask for a single token and forget it, so that no row's latency holds the start of an engine. Raises as `ask`."""
        await self._ask("", {"model": self.model, "messages": messages, "max_tokens": 1})

    async def ask(self, row_id: str, messages: list[Message]) -> Reply:
        """Raises Unavailable (no gateway, an engine that does not start) or Forbidden (key or release refused)."""
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        return await self._ask(row_id, body)

    async def _ask(self, row_id: str, body: dict[str, Any]) -> Reply:
        began, failures = time.monotonic(), 0
        while True:
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            sent = time.perf_counter()
            try:
                response = await self._http.post("/v1/chat/completions", json=body, headers={"x-noria-row": row_id})
            except httpx.TimeoutException as error:
                if isinstance(error, httpx.ReadTimeout):
                    return Reply(error=f"No answer within {self.timeout:.0f} seconds.")
                self._still_hoping(began, "The gateway does not accept connections.")
            except httpx.TransportError as error:
                self._still_hoping(began, f"The gateway cannot be reached ({type(error).__name__}).")
            else:
                if response.is_success:
                    self._answered = True
                    return _reply(response, (time.perf_counter() - sent) * 1000)
                refusal = _refusal(response)
                if not self._try_again(response, refusal, began, failures):
                    return Reply(error=refusal.message, trace_id=response.headers.get("x-noria-trace-id", ""))
                failures += 1
                pause = min(max(pause, _retry_after(response)), _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    def _still_hoping(self, began: float, what: str) -> None:
        if time.monotonic() - began > self.patience:
            raise Unavailable(
                f"{what} The answers so far are kept.",
                hint="Start the gateway (noria up), then start the evaluation again.",
            )

    def _try_again(self, response: httpx.Response, refusal: "_Refusal", began: float, failures: int) -> bool:
        """Whether to ask again; raises what ends the whole evaluation."""
        waited = time.monotonic() - began
        if response.status_code in {401, 403, 404}:
            if not self._answered and waited < min(_FRESH_KEY, self.patience):
                return True
            raise Forbidden(
                f"The gateway refuses {self.model}: {refusal.message} The answers so far are kept.",
                hint="See whether the release still exists and may be called, then start the evaluation again.",
            )
        if refusal.starting:
            if waited < self.patience:
                return True
            raise Unavailable(
                f"{self.model} did not answer within {self.patience:.0f} seconds: {refusal.message}",
                hint="Look at the release's page: its engine says there why it does not start.",
            )
        return response.status_code in _AGAIN and failures < len(_PAUSES)


@dataclass(frozen=True, slots=True)
class _Refusal:
    message: str
    starting: bool
    """The gateway itself says that a part is not ready yet."""


def _refusal(response: httpx.Response) -> _Refusal:
    try:
        error = response.json()["error"]
        message, code = str(error["message"]), str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, code = f"HTTP {response.status_code} without a reason.", ""
    starting = response.status_code == 503 and code in _STARTING
    return _Refusal(message[:_ERROR_CHARS], starting)


def _reply(response: httpx.Response, latency_ms: float) -> Reply:
    trace_id = response.headers.get("x-noria-trace-id", "")
    try:
        body = response.json()
        choice = body["choices"][0]
        text = choice["message"].get("content")
        usage = body.get("usage") or {}
        return Reply(
            text=_storable(text if isinstance(text, str) else ""),
            finish_reason=str(choice.get("finish_reason") or ""),
            latency_ms=latency_ms,
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            trace_id=trace_id,
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Reply(error="The answer is not a chat completion.", trace_id=trace_id)


def _storable(text: str) -> str:
    """Without what a database cannot hold: NUL characters and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _retry_after(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
