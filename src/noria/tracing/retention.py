"""How long spans and scores stay: weeks that are too old go as whole partitions, each project's by its own days.

In: the installation's days and those of projects that have their own. Out: dropped partitions; nothing is rewritten for it. A week
goes when all of it is too old, so what is kept is up to six days more than was asked for.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from noria.stores import ports

CUT: Final = ("spans", "traces", "contents")
"""Tables that are cut by project and week."""
_AT_ONCE: Final = 100
_OLD_SCORES: Final = (
    "FROM scores WHERE (project_id IN {projects:Array(String)}) = {theirs:Bool} AND time_ns < {time:Int64}"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One project's week in one table."""

    table: str
    id: str
    """ClickHouse's own name for the partition."""
    project_id: str
    week: str
    """Its Monday, like 20261123."""
    rows: int
    bytes: int
    """On disk."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Moments before which spans may go."""

    before: datetime
    """Of every project without a moment of its own."""
    own: Mapping[str, datetime]
    """By project id."""

    def week_of(self, project_id: str) -> str:
        """The first week that stays."""
        return _monday(self.own.get(project_id, self.before)).strftime("%Y%m%d")


def kept(now: datetime, days: int, own: Mapping[str, int]) -> Kept:
    """`days` of the installation, `own` of projects."""
    return Kept(now - timedelta(days=days), {project: now - timedelta(days=its) for project, its in own.items()})


def drop_old(spans: ports.Spans, what: Kept) -> int:
    """Drop the weeks that lie wholly before the moments, and scores given before those weeks; the number of partitions."""
    old = [part for part in parts(spans) if part.week < what.week_of(part.project_id)]
    drop(spans, old)
    _drop_scores(spans, what)
    return len(old)


def parts(spans: ports.Spans) -> list[Part]:
    """Every project's weeks in every table, oldest first. Raises Unavailable."""
    rows = spans.query(
        "SELECT table, partition, partition_id, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}"
        " GROUP BY table, partition, partition_id",
        {"tables": list(CUT)},
    )
    found = []
    for row in rows:
        project_id, week = ast.literal_eval(row["partition"])
        found.append(Part(row["table"], row["partition_id"], project_id, str(week), row["rows"], row["bytes"]))
    return sorted(found, key=lambda part: (part.week, part.project_id, part.table))


def drop(spans: ports.Spans, old: Sequence[Part]) -> None:
    """Drop these; many in one statement, since each statement costs a moment and a client may have sent years."""
    for table in CUT:
        of_table = [part.id for part in old if part.table == table]
        for start in range(0, len(of_table), _AT_ONCE):
            named = {f"part{number}": name for number, name in enumerate(of_table[start : start + _AT_ONCE])}
            drops = ", ".join(f"DROP PARTITION ID {{{name}:String}}" for name in named)
            spans.command(f"ALTER TABLE {table} {drops}", named)


def _drop_scores(spans: ports.Spans, what: Kept) -> None:
    """Scores are not cut (the last under a key replaces one of another week), so old ones are deleted, once a week at most."""
    groups: dict[datetime, list[str]] = {}
    for project_id, before in what.own.items():
        groups.setdefault(_monday(before), []).append(project_id)
    for before, projects in groups.items():
        _delete_scores(spans, projects, True, before)
    _delete_scores(spans, what.own, False, _monday(what.before))


def _delete_scores(spans: ports.Spans, projects: Iterable[str], theirs: bool, before: datetime) -> None:
    """Of these projects, or (not `theirs`) of all others."""
    values = {"projects": list(projects), "theirs": theirs, "time": int(before.timestamp()) * 1_000_000_000}
    if spans.query(f"SELECT 1 {_OLD_SCORES} LIMIT 1", values):
        spans.command(f"DELETE {_OLD_SCORES}", values)


def _monday(moment: datetime) -> datetime:
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return start - timedelta(days=start.weekday())
