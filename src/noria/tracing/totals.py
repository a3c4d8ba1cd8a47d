"""Which spans of a trace are its model calls, and what they used, each counted once, whatever repeats it.

In: spans of one trace or of several. A span that has spans with tokens of their own below it repeats them (agent runs, chains, a library's
span around its client's), so only the lowest count; of spans that tell of the same answer of a provider in different places (two
instrumentations side by side) only the first counts. What the gateway says of a call goes before what is told above it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from noria.core.records import Span
from noria.tracing.records import Totals

_MODEL: Final = frozenset({"llm", "embedding"})
_NOTHING: Final[dict[str, Any]] = dict.fromkeys(
    ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_micros"), 0
)


def totals(spans: Iterable[Span]) -> Totals:
    """The sums. Needs no order, and no parent that is not there; rings of parents end."""
    counted = _counted({span.span_id: span for span in spans})
    return Totals(
        calls=len(counted),
        input_tokens=sum(span.input_tokens for span in counted),
        output_tokens=sum(span.output_tokens for span in counted),
        cached_tokens=sum(span.cached_tokens for span in counted),
        reasoning_tokens=sum(span.reasoning_tokens for span in counted),
        cost_micros=sum(span.cost_micros for span in counted),
        estimated_micros=sum(span.cost_micros for span in counted if span.price_version and not span.endpoint),
    )


def calls(spans: Sequence[Span]) -> list[Span]:
    """The spans that stand for one model call each, by start: those that count, and calls that used nothing (failed, unmetered).

    Every request of the gateway is one; of two that lie in each other the upper one comes without what the lower one used.
    """
    if len(spans) == 1:
        return [span for span in spans if _spent(span) or span.kind in _MODEL]
    by_id = {span.span_id: span for span in spans}
    counted = _counted(by_id)
    ids = {span.span_id for span in counted}
    counted += [replace(span, **_NOTHING) for span in by_id.values() if span.endpoint and span.span_id not in ids]
    unmetered = [span for span in by_id.values() if span.kind in _MODEL and not _spent(span)]
    if unmetered:
        around = _above(by_id, [*counted, *unmetered])
        inside = {span.span_id for span in counted}
        counted += [one for one in unmetered if one.span_id not in around and not _within(by_id, one, inside)]
    return sorted(counted, key=lambda span: (span.start_ns, span.span_id))


def _spent(span: Span) -> bool:
    return bool(span.input_tokens or span.output_tokens or span.cost_micros or span.endpoint)


def _counted(by_id: dict[str, Span]) -> list[Span]:
    spent = [span for span in by_id.values() if _spent(span)]
    above = _above(by_id, spent)
    found: dict[str, Span] = {}
    for span in sorted(spent, key=lambda span: (not span.parent_id, span.start_ns)):  # within a tree before beside it
        if span.span_id not in above:
            found.setdefault(_call(span), span)
    return list(found.values())


def _above(by_id: dict[str, Span], below: Iterable[Span]) -> set[str]:
    """Everything that lies above one of these."""
    above: set[str] = set()
    for span in below:
        at = span.parent_id
        while at in by_id and at not in above and at != span.span_id:
            above.add(at)
            at = by_id[at].parent_id
    return above


def _within(by_id: dict[str, Span], span: Span, ids: set[str]) -> bool:
    """Whether one of `ids` lies above it."""
    seen = {span.span_id}
    at = span.parent_id
    while at in by_id and at not in seen:
        if at in ids:
            return True
        seen.add(at)
        at = by_id[at].parent_id
    return False


def _call(span: Span) -> str:
    number = span.attributes.get("gen_ai.response.id")
    return f"answer {number}" if isinstance(number, str) and number else f"span {span.span_id}"
