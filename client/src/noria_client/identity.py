"""Whose conversation this is: session, user and tags, carried by OpenTelemetry's context onto every span below.

They stay in this process (no baggage), so no third party learns of them; `headers` hands them to Noria's gateway.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_KEY: Final = otel.create_key("noria-identity")
_MOST_TAGS: Final = 20
_MOST_CHARS: Final = 256


@dataclass(frozen=True, slots=True)
class Identity:
    session: str = ""
    user: str = ""
    tags: tuple[str, ...] = ()


@contextmanager
def session(session: str = "", *, user: str = "", tags: Sequence[str] = ()) -> Iterator[None]:
    """All spans inside belong to this session and user and bear these tags, also those of other instrumentations.

    What is left out stays as it is around; tags add up.
    """
    around = of(None)
    all_tags = tuple(dict.fromkeys((*around.tags, *(str(tag)[:_MOST_CHARS] for tag in tags))))[:_MOST_TAGS]
    now = Identity(str(session)[:_MOST_CHARS] or around.session, str(user)[:_MOST_CHARS] or around.user, all_tags)
    token = otel.attach(otel.set_value(_KEY, now))
    try:
        apply(trace.get_current_span(), None)
        yield
    finally:
        otel.detach(token)


def headers() -> dict[str, str]:
    """Headers for a call of Noria's gateway: its span becomes a child of the current one, of the same session and user."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    now = of(None)
    named = {
        "traceparent": carrier.get("traceparent", ""),
        "x-noria-session": _header(now.session),
        "x-noria-user": _header(now.user),
        "x-noria-tags": _header(",".join(now.tags)),
    }
    return {name: value for name, value in named.items() if value}


def of(context: otel.Context | None) -> Identity:
    found = otel.get_value(_KEY, context)
    return found if isinstance(found, Identity) else Identity()


def apply(span: Span, context: otel.Context | None) -> None:
    """Name session, user and tags on a span that is being recorded."""
    now = of(context)
    if not span.is_recording() or now == Identity():
        return
    if now.session:
        span.set_attribute("session.id", now.session)
        span.set_attribute("gen_ai.conversation.id", now.session)
    if now.user:
        span.set_attribute("user.id", now.user)
    if now.tags:
        span.set_attribute("tag.tags", now.tags)


def _header(text: str) -> str:
    return text if text.isascii() and text.isprintable() else ""
