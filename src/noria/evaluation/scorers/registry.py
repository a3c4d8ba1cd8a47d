"""What a scorer is, and the dictionary of all of them.

A scorer turns one answer into named counts (`row`), and the sums of those counts over rows into its metric (`value`). Counts
are shared by name: the three field metrics write the same counts and read them differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from noria.evaluation.counts import Floats, Sums
from noria.evaluation.records import Task

Counts = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """One row to judge."""

    expected: str
    given: str
    whole: bool = True
    """False: the provider failed or the answer was cut at its token limit. Such an answer is invalid, whatever it says."""
    labels: frozenset[str] = frozenset()
    """Known labels, normalised (classification)."""


class Scorer(Protocol):
    """One metric."""

    metric: str
    tasks: frozenset[Task]
    share: bool
    """True: each row is right or wrong and the metric is the share of right rows (Wilson interval, McNemar's test)."""

    def row(self, answer: Answer) -> Counts:
        """Counts of one row; names that are left out count 0."""

    def value(self, sums: Sums) -> Floats:
        """The metric out of summed counts, on whatever axes `sums` has besides the counts."""


SCORERS: dict[str, Scorer] = {}

_Class = TypeVar("_Class", bound=type[Scorer])


def scorer(cls: _Class) -> _Class:
    """Register a scorer class under its metric's name."""
    one = cls()
    SCORERS[one.metric] = one
    return cls


def scorers_for(task: Task) -> dict[str, Scorer]:
    """The scorers that fit a task, by metric."""
    return {name: one for name, one in SCORERS.items() if task in one.tasks}


def judge(task: Task, answer: Answer) -> dict[str, float]:
    """All counts of one row."""
    counts: dict[str, float] = {}
    for one in scorers_for(task).values():
        counts.update({name: count for name, count in one.row(answer).items() if count})
    return counts
