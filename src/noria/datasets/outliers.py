"""Rows of unusual length: lengths in, robust z-scores out. numpy; runs in jobs only.

Lengths of texts spread over orders of magnitude, so scores are of their logarithm; median and median absolute deviation do not
move when the outliers themselves do (Iglewicz and Hoaglin, 1993, who suggest 3.5 as the bound of what is unusual).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LEAST_SPREAD = 0.3
"""Where rows are about equally long, one of twice the length is still nothing unusual."""


def length_scores(lengths: Sequence[int]) -> NDArray[np.float64]:
    """The robust z-score of each length (characters): 0.6745 * (log length - median) / MAD."""
    logs = np.log1p(np.asarray(lengths, dtype=np.float64))
    middle = np.median(logs)
    spread = max(float(np.median(np.abs(logs - middle))), _LEAST_SPREAD)
    scores: NDArray[np.float64] = 0.6745 * (logs - middle) / spread
    return scores
