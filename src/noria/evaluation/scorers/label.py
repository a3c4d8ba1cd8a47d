"""Labels: accuracy and macro F1. A label is compared in its normal form (trimmed, case folded, white space collapsed).

An answer that is no known label, was cut or failed is wrong: it counts against the expected label and for none. Macro F1
is the mean of each label's F1 = 2 right / (expected + given) over the labels that were expected or given at all.
"""

import numpy as np

from noria.evaluation import canonical
from noria.evaluation.counts import ROWS, Floats, Sums, ratio
from noria.evaluation.records import Task
from noria.evaluation.scorers.registry import Answer, Counts, scorer

_CLASSES: frozenset[Task] = frozenset({"classification"})


def given_label(answer: Answer) -> str:
    """The known label that was given, or an empty text."""
    found = canonical.label(answer.given)
    return found if answer.whole and found in answer.labels else ""


@scorer
class Accuracy:
    metric = "accuracy"
    tasks = _CLASSES
    share = True

    def row(self, answer: Answer) -> Counts:
        return {"accuracy": float(given_label(answer) == canonical.label(answer.expected))}

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["accuracy"], sums[ROWS])


@scorer
class MacroF1:
    metric = "macro_f1"
    tasks = _CLASSES
    share = False

    def row(self, answer: Answer) -> Counts:
        wanted, got = canonical.label(answer.expected), given_label(answer)
        counts = {f"expected:{wanted}": 1.0}
        if got:
            counts[f"given:{got}"] = 1.0
        if got == wanted:
            counts[f"right:{wanted}"] = 1.0
        return counts

    def value(self, sums: Sums) -> Floats:
        labels = sorted({*sums.names.starting("expected:"), *sums.names.starting("given:")})
        expected, given, right = (sums.family(kind, labels) for kind in ("expected:", "given:", "right:"))
        seen = expected + given
        total: Floats = np.sum(ratio(2 * right, seen), axis=-1)
        return ratio(total, np.sum(seen > 0, axis=-1).astype(np.float64))
