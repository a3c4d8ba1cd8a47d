"""Validity: the answer has the form that the task wants and was given whole."""

from noria.evaluation.canonical import parse_object
from noria.evaluation.counts import ROWS, Floats, Sums, ratio
from noria.evaluation.records import Task
from noria.evaluation.scorers.label import given_label
from noria.evaluation.scorers.registry import Answer, Counts, scorer


@scorer
class Valid:
    """Calls: one JSON object and nothing else. Classification: a known label. Text: anything but nothing."""

    metric = "valid"
    tasks: frozenset[Task] = frozenset({"calls", "classification", "text"})
    share = True

    def row(self, answer: Answer) -> Counts:
        return {"valid": float(self._valid(answer))}

    def _valid(self, answer: Answer) -> bool:
        if not answer.whole or not answer.given.strip():
            return False
        if answer.labels:
            return bool(given_label(answer))
        # Only calls have targets that are objects; text may look like anything.
        return parse_object(answer.expected) is None or parse_object(answer.given) is not None

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["valid"], sums[ROWS])
