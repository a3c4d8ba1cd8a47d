"""Counts of rows as one matrix, so that every metric is a function of summed counts.

In: one mapping of named counts for each row ({"exact_match": 1, "fields_right": 2}). Out: a matrix (rows x names) and `Sums`,
which gives scorers the sums by name, for one sum or for thousands of resamples at once. The decision to know: because
a metric sees only sums, bootstrap, jackknife and paired randomisation are each one matrix product, whatever the metric.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ROWS = "rows"
"""A count that every row has once."""


class Names:
    """Which column holds which count."""

    def __init__(self, names: Sequence[str]) -> None:
        self.all = tuple(names)
        self.column = {name: index for index, name in enumerate(self.all)}

    def starting(self, prefix: str) -> list[str]:
        """What follows `prefix` in the names that start with it, sorted."""
        return sorted(name.removeprefix(prefix) for name in self.all if name.startswith(prefix))


class Sums:
    """Sums by name; `values` has the counts on its last axis, resamples on those before."""

    def __init__(self, names: Names, values: Floats) -> None:
        self.names = names
        self.values = values

    def __getitem__(self, name: str) -> Floats:
        """Sums of one count; zeros when no row has it."""
        column = self.names.column.get(name)
        if column is None:
            return np.zeros(self.values.shape[:-1])
        found: Floats = self.values[..., column]
        return found

    def family(self, prefix: str, members: Sequence[str]) -> Floats:
        """Sums of `prefix + member` for each member, on a new last axis."""
        if not members:
            return np.zeros((*self.values.shape[:-1], 0))
        return np.stack([self[prefix + member] for member in members], axis=-1)


def matrix(*groups: Sequence[Mapping[str, float]]) -> tuple[Names, list[Floats]]:
    """One matrix for each group of rows, all with the same columns; the column "rows" is 1 everywhere."""
    found = sorted({name for rows in groups for row in rows for name in row} - {ROWS})
    names = Names([ROWS, *found])
    filled = []
    for rows in groups:
        values = np.zeros((len(rows), len(names.all)))
        values[:, 0] = 1.0
        for index, row in enumerate(rows):
            for name, count in row.items():
                values[index, names.column[name]] = count
        filled.append(values)
    return names, filled


def ratio(part: Floats, whole: Floats, *, empty: float = 0.0) -> Floats:
    """part / whole, and `empty` where there is no whole."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, empty)
