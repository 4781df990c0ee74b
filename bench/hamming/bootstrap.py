"""How far the mean of a score over queries might be off, had other queries been drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean; the same resamples at every call.

    Args:
        values: float64 (q,), one per query, q at least 1.

    Source: Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics 1979.
    """
    generator = np.random.default_rng(0)
    size = len(values)
    # One resample at a time: a (resamples, q) index matrix would outgrow everything else in memory.
    means = [values[generator.integers(size, size=size)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
