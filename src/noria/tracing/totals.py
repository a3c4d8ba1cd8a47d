"""What a trace's model calls used, each counted once, whatever repeats it.

In: spans of one trace or of several. Out: Totals. A span that has spans with tokens of their own below it repeats them (agent runs, chains,
a library's span around its client's), so only the lowest count; and of spans that tell of the same answer of a provider in
different places (two instrumentations side by side) only the first counts.
"""

from collections.abc import Iterable

from noria.core.records import Span
from noria.tracing.records import Totals


def totals(spans: Iterable[Span]) -> Totals:
    """The sums. Needs no order, and no parent that is not there; rings of parents end."""
    by_id = {span.span_id: span for span in spans}
    spent = [span for span in by_id.values() if span.input_tokens or span.output_tokens or span.cost_micros]
    above = _above(by_id, spent)
    calls: dict[str, Span] = {}
    for span in sorted(spent, key=lambda span: (not span.parent_id, span.start_ns)):  # within a tree before beside it
        if span.span_id not in above:
            calls.setdefault(_call(span), span)
    return Totals(
        calls=len(calls),
        input_tokens=sum(span.input_tokens for span in calls.values()),
        output_tokens=sum(span.output_tokens for span in calls.values()),
        cached_tokens=sum(span.cached_tokens for span in calls.values()),
        reasoning_tokens=sum(span.reasoning_tokens for span in calls.values()),
        cost_micros=sum(span.cost_micros for span in calls.values()),
    )


def _above(by_id: dict[str, Span], spent: list[Span]) -> set[str]:
    """Everything that lies above a span with tokens."""
    above: set[str] = set()
    for span in spent:
        at = span.parent_id
        while at in by_id and at not in above and at != span.span_id:
            above.add(at)
            at = by_id[at].parent_id
    return above


def _call(span: Span) -> str:
    number = span.attributes.get("gen_ai.response.id")
    return f"answer {number}" if isinstance(number, str) and number else f"span {span.span_id}"
