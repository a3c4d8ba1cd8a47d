"""Fields of a JSON answer: precision, recall and F1 over key/value pairs, and the accuracy of the call's name.

A field is a path and its value, the top-level `name` excepted: for the target {"name": "SearchHotel", "location": "NY"} the one
field is location = "NY", and `name` is judged by name_accuracy alone. Nested objects are opened ({"a": {"b": 1}} has the
field a.b), lists are compared whole. A given field is right when the target has the same path with an equal value
(noria.evaluation.canonical); whether the name is right does not matter to it. An answer that is no JSON object, was cut or
failed gives no fields, so all expected ones are missed. Sums are over all rows (micro average):
precision = right / given, recall = right / expected, F1 = 2 right / (given + expected).
"""

from noria.evaluation.canonical import canonical, fields, parse_object
from noria.evaluation.counts import ROWS, Floats, Sums, ratio
from noria.evaluation.records import Task
from noria.evaluation.scorers.registry import Answer, Counts, scorer

_CALLS: frozenset[Task] = frozenset({"calls"})


def count_fields(answer: Answer) -> Counts:
    """Fields expected, given and right in one row."""
    wanted = fields(parse_object(answer.expected) or {})
    got = fields((parse_object(answer.given) if answer.whole else None) or {})
    right = sum(wanted.get(path) == value for path, value in got.items())
    return {"fields_expected": len(wanted), "fields_given": len(got), "fields_right": right}


@scorer
class FieldF1:
    metric = "field_f1"
    tasks = _CALLS
    share = False

    def row(self, answer: Answer) -> Counts:
        return count_fields(answer)

    def value(self, sums: Sums) -> Floats:
        return ratio(2 * sums["fields_right"], sums["fields_given"] + sums["fields_expected"], empty=1.0)


@scorer
class FieldPrecision:
    metric = "field_precision"
    tasks = _CALLS
    share = False

    def row(self, answer: Answer) -> Counts:
        return count_fields(answer)

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["fields_right"], sums["fields_given"])


@scorer
class FieldRecall:
    metric = "field_recall"
    tasks = _CALLS
    share = False

    def row(self, answer: Answer) -> Counts:
        return count_fields(answer)

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["fields_right"], sums["fields_expected"], empty=1.0)


@scorer
class NameAccuracy:
    """A row is right when the answer's top-level `name` equals the target's; a target without one wants none."""

    metric = "name_accuracy"
    tasks = _CALLS
    share = True

    def row(self, answer: Answer) -> Counts:
        wanted = parse_object(answer.expected) or {}
        got = parse_object(answer.given) if answer.whole else None
        right = got is not None and canonical(got.get("name")) == canonical(wanted.get("name"))
        return {"name_accuracy": float(right)}

    def value(self, sums: Sums) -> Floats:
        return ratio(sums["name_accuracy"], sums[ROWS])
