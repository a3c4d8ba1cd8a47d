"""Erasing a person from evaluations: answers to rows that came from their traces.

In: a subject. The scores stay, so that a report is still what it was; the words go.
"""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import func, or_, select, update

from noria.core.slices import Eraser, Progress, Subject
from noria.datasets.erasing import erased_from, row_ids
from noria.evaluation.tables import evaluations, results
from noria.stores.connect import Stores

ANSWERS: Final = "evaluation answers"
_AT_ONCE: Final = 500


def find(stores: Stores, subject: Subject) -> dict[str, int]:
    """How many answers still have words."""
    with stores.database.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(results).where(theirs)).scalar_one()
            for theirs in _theirs(stores, subject)
        ]
    return {ANSWERS: sum(counts)}


def erase(stores: Stores, subject: Subject, progress: Progress) -> dict[str, int]:
    """Empty them."""
    progress("emptying answers of evaluations")
    emptied = 0
    for theirs in _theirs(stores, subject):
        with stores.database.begin() as connection:
            emptied += connection.execute(update(results).where(theirs).values(output="", error="")).rowcount
    return {ANSWERS: emptied}


def _theirs(stores: Stores, subject: Subject) -> Iterator[Any]:
    """Conditions, each for some of the rows: a statement takes only so many values."""
    ids = sorted(row_ids(stores, subject) | _orphans(stores, subject.project_id))
    for start in range(0, len(ids), _AT_ONCE):
        here = results.c.row_id.in_(ids[start : start + _AT_ONCE])
        yield (results.c.project_id == subject.project_id) & here & or_(results.c.output != "", results.c.error != "")


def _orphans(stores: Stores, project_id: str) -> set[str]:
    """Rows with an answer that still has words, which were erased from the version that was evaluated."""
    found: set[str] = set()
    for version_id, kept in erased_from(stores, project_id).items():
        query = select(results.c.row_id).join(evaluations, evaluations.c.id == results.c.evaluation_id)
        with stores.database.read() as connection:
            answered = set(connection.execute(query.where(evaluations.c.dataset_version_id == version_id)).scalars())
        found |= answered - kept
    return found


ERASER: Final = Eraser(find=find, erase=erase)
