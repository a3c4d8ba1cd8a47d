"""Exact match: the answer is the expected one, compared as JSON when both are JSON objects, else as text."""

from noria.evaluation.canonical import canonical, parse_object, plain_text
from noria.evaluation.counts import ROWS, Floats, Sums, ratio
from noria.evaluation.records import Task
from noria.evaluation.scorers.registry import Answer, Counts, scorer


@scorer
class ExactMatch:
    """Order of keys and spacing of JSON do not matter; types and everything else do."""

    metric = "exact_match"
    tasks: frozenset[Task] = frozenset({"calls", "text"})
    share = True

    def row(self, answer: Answer) -> Counts:
        return {"exact_match": float(answer.whole and same(answer.expected, answer.given))}

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["exact_match"], sums[ROWS])


def same(expected: str, given: str) -> bool:
    """Whether two answers are equal as noria.evaluation.canonical defines it."""
    wanted, got = parse_object(expected), parse_object(given)
    if wanted is not None and got is not None:
        return canonical(wanted) == canonical(got)
    return plain_text(expected) == plain_text(given)
