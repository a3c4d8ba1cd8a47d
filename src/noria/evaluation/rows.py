"""Which rows of a split an evaluation takes, and what kind of task they are.

In: a dataset version. Out: `Rows` with the chosen examples, the task and its labels. The decision to know: `limit` rows are those
whose hash (of seed and row id) is smallest, so that two evaluations of the same version always share rows, the smaller one
being a part of the larger.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from noria.core.errors import BadInput
from noria.core.records import Message
from noria.datasets import parquet
from noria.datasets.records import DatasetVersion
from noria.datasets.service import part_paths
from noria.evaluation import canonical
from noria.evaluation.records import SEED, Task
from noria.stores.connect import Stores

_MOST_LABELS = 300
_LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One row to answer: what is asked, what is expected."""

    row_id: str
    position: int
    messages: list[Message]
    """All messages of the example but the last."""
    expected: str
    """Text of the last message."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one evaluation, in the order of the split."""

    chosen: list[Row]
    task: Task
    labels: frozenset[str]
    """Normal forms of all labels of the version; empty unless the task is classification."""


def choose(stores: Stores, version: DatasetVersion, *, split: str, limit: int | None) -> Rows:
    """Raises BadInput when the split has no row that can be judged."""
    found = read(stores, version, split)
    if not found:
        raise BadInput(f"The split {split!r} has no rows to evaluate on.", hint=_splits(version))
    others = [row.expected for name in version.splits if name != split for row in read(stores, version, name)]
    targets = [row.expected for row in found]
    task = detect(targets)
    labels = frozenset(map(canonical.label, [*targets, *others])) if task == "classification" else frozenset()
    return Rows(select(found, limit), task, labels)


def read(stores: Stores, version: DatasetVersion, split: str) -> list[Row]:
    """All rows of a split that have a target, each id once."""
    rows: dict[str, Row] = {}
    for position, example in parquet.read(part_paths(stores, version), split=split):
        if len(example.messages) > 1:
            rows.setdefault(example.row_id, Row(example.row_id, position, example.input, example.target))
    return list(rows.values())


def select(rows: Sequence[Row], limit: int | None) -> list[Row]:
    """The `limit` rows with the smallest hash, in their own order; all when `limit` is None."""
    if limit is None or limit >= len(rows):
        return list(rows)
    kept = {row.row_id for row in sorted(rows, key=lambda row: _rank(row.row_id))[:limit]}
    return [row for row in rows if row.row_id in kept]


def detect(targets: Sequence[str]) -> Task:
    """What the targets are. A twentieth of them may be broken without changing the answer.

    Calls: they parse as JSON objects. Classification: at most 300 different short ones, each met twice on average.
    """
    if sum(canonical.parse_object(target) is not None for target in targets) >= 0.95 * len(targets):
        return "calls"
    distinct = {canonical.label(target) for target in targets}
    few = len(distinct) <= min(_MOST_LABELS, len(targets) / 2)
    return "classification" if few and all(len(one) <= _LONGEST_LABEL for one in distinct) else "text"


def _rank(row_id: str) -> bytes:
    return hashlib.sha256(f"{SEED}:{row_id}".encode()).digest()


def _splits(version: DatasetVersion) -> str:
    return "This version has: " + ", ".join(f"{name} ({count})" for name, count in version.splits.items()) + "."
