"""Overlap of free text: F1 of character pairs, averaged over rows; needs no word boundaries, so Korean is like English."""

from collections import Counter

from noria.evaluation import canonical
from noria.evaluation.counts import ROWS, Floats, Sums, ratio
from noria.evaluation.records import Task
from noria.evaluation.scorers.registry import Answer, Counts, scorer


@scorer
class TextF1:
    """Of one row: 2 x shared pairs / (pairs expected + pairs given), pairs counted with repetition, case folded."""

    metric = "text_f1"
    tasks: frozenset[Task] = frozenset({"text"})
    share = False

    def row(self, answer: Answer) -> Counts:
        wanted, got = _pairs(answer.expected), _pairs(answer.given if answer.whole else "")
        total = wanted.total() + got.total()
        return {"text_f1": 2 * (wanted & got).total() / total if total else float(answer.whole)}

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["text_f1"], sums[ROWS])


def _pairs(text: str) -> Counter[str]:
    # White space at both ends makes first and last characters (and texts of one character) count too.
    folded = f" {canonical.label(text)} "
    return Counter(folded[i : i + 2] for i in range(len(folded) - 1)) if folded.strip() else Counter()
