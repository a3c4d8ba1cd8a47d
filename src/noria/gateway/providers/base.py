"""What an adapter is: all that is particular to one kind of provider, apart from the dialect it speaks.

In: a `Call`, the key, a request in the provider's dialect. Out: URL, headers (signed where the provider wants that), body
bytes; and on the way back the events of a stream and what an error says. An adapter has no state and does no I/O. The decision
to know: an adapter never raises anything but BadInput (the request cannot be said) and ProviderFailed (the answer is none).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

import orjson
from yarl import URL

from noria.core import clock
from noria.core.errors import BadInput
from noria.gateway import payload
from noria.registry.snapshot import ProviderEntry

USER_AGENT = "noria"
_MOST_TEXT = 2_000
_MOST_WORD = 200


@dataclass(frozen=True, slots=True)
class Flags:
    """What providers of a kind can do, when their models can."""

    speaks: tuple[str, ...]
    """Dialects in order of preference; a provider's option `speaks` goes before them (`spoken`)."""
    streams: bool = True
    tools: bool = True
    images: bool = True
    schema: bool = True
    """Answers can be bound to a JSON schema."""
    reasoning: bool = True
    several: bool = True
    """More than one choice in an answer (`n`)."""
    logprobs: bool = True
    seed: bool = True
    embeddings: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider. `base` is its address without a slash at the end; for a local engine the engine's."""

    provider: ProviderEntry
    base: str
    model: str
    """As the provider names it."""
    dialect: str
    """chat, text, embeddings, responses, messages, gemini or converse."""
    stream: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error answer says; "" and None where it does not. Texts are bounded; a key may still be in `message`."""

    message: str = ""
    kind: str | None = None
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    """Seconds; not yet bounded."""
    key_refused: bool = False
    """It was the key: an admin must act, and another key may do."""


class Events(Protocol):
    """A provider's stream, cut into events. One for each stream."""

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        """The events that are complete now: (name or "", data, mostly JSON). Raises ProviderFailed when it is no stream."""
        ...

    def end(self) -> list[tuple[str, bytes]]:
        """The provider closed its stream: what is left. Raises ProviderFailed when it broke off inside an event."""
        ...


class Adapter(Protocol):
    """One kind of provider."""

    flags: Flags

    def spoken(self, provider: ProviderEntry) -> tuple[str, ...]:
        """The dialects of this provider, in order of preference."""
        ...

    def url(self, call: Call) -> URL:
        """Where the request goes, encoded already: nothing may change it after it was signed."""
        ...

    def headers(self, call: Call, key: str, url: URL, body: bytes) -> dict[str, str]:
        """All headers but Content-Length and Host, with the key or a signature made with it. `key` may be empty."""
        ...

    def body(self, call: Call, fields: dict[str, Any]) -> bytes:
        """`fields` in the provider's dialect, with model and stream where that dialect has them in the body."""
        ...

    def events(self, call: Call) -> Events: ...

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """What an answer with an error status says; never raises. `headers` know their names in any case (CIMultiDict)."""
        ...


def spoken(flags: Flags, provider: ProviderEntry) -> tuple[str, ...]:
    """The option `speaks` where it is set, else what every provider of the kind speaks."""
    listed = provider.options.get("speaks")
    return tuple(map(str, listed)) if isinstance(listed, list | tuple) and listed else flags.speaks


@lru_cache(maxsize=512)
def address(text: str) -> URL:
    """`text`, whose path is percent-encoded already and stays exactly so."""
    return URL(text, encoded=True)


def segment(model: str) -> str:
    """A model's name as one segment of a path. Raises BadInput for one that would leave its place."""
    if model in ("", ".", ".."):
        raise BadInput(f"{model!r} cannot be the name of a model.")
    return quote(model, safe="-._~")


def encoded(fields: dict[str, Any]) -> bytes:
    """JSON. Raises BadInput for what no JSON can hold."""
    try:
        return orjson.dumps(fields)
    except TypeError as error:
        raise BadInput("The request is nested too deeply.", code="invalid_json") from error


def common_headers(call: Call) -> dict[str, str]:
    """What every request carries; the provider's own headers go on top."""
    fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    own = call.provider.options.get("headers")
    return {**fixed, **own} if isinstance(own, dict) else fixed


def error_json(body: bytes) -> dict[str, Any]:
    """The object in an error's body; {} when there is none."""
    try:
        found = payload.tolerant(body)
    except ValueError:
        return {}
    if isinstance(found, list) and found:  # Google sends a list around its errors where a stream was asked for
        found = found[0]
    return found if isinstance(found, dict) else {}


def text_of(value: Any, most: int = _MOST_TEXT) -> str:
    """A text of bounded length, "" for anything else."""
    return value[:most] if isinstance(value, str) else ""


def word(value: Any) -> str | None:
    """A short code, None for anything that is neither text nor number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)[:_MOST_WORD]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers ask to wait: `retry-after-ms`, or `Retry-After` as seconds or as a date."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("Retry-After")
    if not text:
        return None
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        return max((parsedate_to_datetime(text) - clock.now()).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return None


_NUMBER = re.compile(r"\s*\d{1,18}(\.\d{1,9})?\s*")


def _number(text: str | None) -> float | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
