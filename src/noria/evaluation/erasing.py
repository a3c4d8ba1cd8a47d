"""Erasing a person from evaluations: answers to rows that came from their traces.

In: a subject. The scores stay, so that a report is still what it was; the words go.
"""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import func, or_, select, update

from noria.core.slices import Eraser, Progress, Subject
from noria.datasets.erasing import row_ids
from noria.evaluation.tables import results
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
    ids = sorted(row_ids(stores, subject))
    for start in range(0, len(ids), _AT_ONCE):
        here = results.c.row_id.in_(ids[start : start + _AT_ONCE])
        yield (results.c.project_id == subject.project_id) & here & or_(results.c.output != "", results.c.error != "")


ERASER: Final = Eraser(find=find, erase=erase)
