"""Scores in, what they say together out: for each name how many, by whom, their mean or their shares, and a curve over time.

The filters are those of the list of scores (ScoreFilter), so that the summary always speaks of what is listed below it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from noria.stores.connect import Stores
from noria.tracing import scores
from noria.tracing.reading import ask, moment, nanoseconds
from noria.tracing.records import ScoreFilter

NAMES: Final = 20
"""Names that are told of, the most frequent first."""
LABELS: Final = 6
"""Categories of a name that are told of; the rest is one share."""
_POINTS: Final = 30
_BY_NAME: Final = """
SELECT name, toString(source) AS source, count() AS n, count(number) AS numbers, sum(number) AS total,
    countIf(number IN (0, 1)) AS yes_or_no, countIf(correction != '') AS corrections
FROM scores FINAL WHERE CONDITIONS GROUP BY name, source ORDER BY n DESC, name, source LIMIT 1000
"""
_BY_LABEL: Final = """
SELECT name, toString(label) AS said, count() AS n FROM scores FINAL
WHERE CONDITIONS AND label != '' GROUP BY name, said ORDER BY n DESC, said LIMIT {most:UInt32} BY name LIMIT 1000
"""
_OVER_TIME: Final = """
SELECT intDiv(time_ns - {from_ns:Int64}, {step:Int64}) AS place, count() AS n, count(number) AS numbers, sum(number) AS total
FROM scores FINAL WHERE CONDITIONS GROUP BY place ORDER BY place
"""


@dataclass(slots=True)
class Tally:
    """The scores of one name."""

    name: str
    count: int = 0
    numbers: int = 0
    """Scores with a number: numeric ones, and yes or no."""
    total: float = 0.0
    yes_or_no: int = 0
    corrections: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    labels: list[tuple[str, int]] = field(default_factory=list)
    """Categories and how often each was said, the most frequent first."""

    @property
    def mean(self) -> float | None:
        """Of the numbers."""
        return self.total / self.numbers if self.numbers else None

    @property
    def binary(self) -> bool:
        """Whether all numbers are 0 or 1, so that the mean is a share."""
        return self.numbers > 0 and self.yes_or_no == self.numbers

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Of the categories, with the share of all others as ("", share)."""
        of = self.count - self.numbers
        named = [(label, count / of) for label, count in self.labels[:LABELS]] if of else []
        rest = 1 - sum(share for _, share in named)
        return [*named, ("", rest)] if named and rest > 0.005 else named


@dataclass(frozen=True, slots=True)
class Point:
    """Scores of one piece of a time."""

    time: datetime
    count: int
    mean: float | None


def by_name(stores: Stores, project_id: str, which: ScoreFilter) -> list[Tally]:
    """One for each name, the most frequent first, NAMES at most. Raises Unavailable."""
    wanted, values = _wanted(project_id, which)
    found: dict[str, Tally] = {}
    for row in ask(stores, _BY_NAME.replace("CONDITIONS", wanted), values):
        tally = found.setdefault(row["name"], Tally(row["name"]))
        tally.count += row["n"]
        tally.numbers += row["numbers"]
        tally.total += row["total"] or 0.0
        tally.yes_or_no += row["yes_or_no"]
        tally.corrections += row["corrections"]
        tally.sources[row["source"]] = row["n"]
    for row in ask(stores, _BY_LABEL.replace("CONDITIONS", wanted), {**values, "most": LABELS}):
        if row["name"] in found:
            found[row["name"]].labels.append((row["said"], row["n"]))
    return sorted(found.values(), key=lambda tally: (-tally.count, tally.name))[:NAMES]


def over_time(stores: Stores, project_id: str, which: ScoreFilter, since: datetime, until: datetime) -> list[Point]:
    """How many and their mean, in equal pieces of a time; empty ones are left out. Raises Unavailable."""
    wanted, values = _wanted(project_id, which)
    step = max((until - since) / _POINTS, timedelta(minutes=1))
    start, size = nanoseconds(since), int(step.total_seconds() * 1e9)
    wanted += " AND time_ns >= {from_ns:Int64} AND time_ns < {to_ns:Int64}"
    values |= {"from_ns": start, "to_ns": nanoseconds(until), "step": size}
    rows = ask(stores, _OVER_TIME.replace("CONDITIONS", wanted), values)
    return [_point(row, start, size) for row in rows]


def _wanted(project_id: str, which: ScoreFilter) -> tuple[str, dict[str, Any]]:
    conditions, values = scores.conditions_of(which)
    return " AND ".join(["project_id = {project:String}", *conditions]), {**values, "project": project_id}


def _point(row: dict[str, Any], start: int, size: int) -> Point:
    mean = row["total"] / row["numbers"] if row["numbers"] else None
    return Point(moment(start + row["place"] * size), row["n"], mean)
