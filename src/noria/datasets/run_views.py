"""Runs over a dataset as its page lists them: those told of item by item, and experiments that their spans tell of."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from noria.core import clock
from noria.core.errors import Unavailable
from noria.datasets import runs
from noria.datasets.records import Dataset
from noria.stores.connect import Stores
from noria.tracing import filters, langfuse_reading, langfuse_scores
from noria.tracing.reading import moment

_DAYS: Final = 365
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list; `scores` are those of the whole run."""

    id: str
    name: str
    items: int
    time: datetime
    scores: tuple[tuple[str, float | str], ...]

    @property
    def traces(self) -> str:
        """Where its traces are listed."""
        return f"/traces?{urlencode({'q': filters.term('attr.langfuse.experiment.id', self.id), 'traffic': 'all'})}"


def newest(stores: Stores, dataset: Dataset) -> list[RunLine]:
    """The last runs, the newest first; without experiments while the span store is away."""
    told, _ = runs.list_page(stores, dataset, page=1, limit=_SHOWN)
    found = {run.id: RunLine(run.id, run.name, runs.count(stores, run.id), run.created_at, ()) for run in told}
    try:
        rows = langfuse_reading.experiments(
            stores,
            dataset.project_id,
            since=clock.now() - timedelta(days=_DAYS),
            until=None,
            limit=_SHOWN,
            cursor=None,
            only={"dataset.id": [dataset.id]},
        ).items
        judged = langfuse_scores.of_experiments(stores, dataset.project_id, [row["id"] for row in rows], ["scores"])
    except Unavailable:
        return list(found.values())
    for row in rows:
        given = judged.get(row["id"], [])
        scores = tuple((one.name, one.label if one.number is None else one.number) for one in given)
        found[row["id"]] = RunLine(row["id"], row["name"], row["items"], moment(row["first"]), scores)
    return sorted(found.values(), key=lambda run: run.time, reverse=True)[:_SHOWN]
