"""How far the mean of a score over queries might be off, had other queries been drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
#: Numbers that are drawn at a time: a (resamples, q) index matrix would outgrow everything else in memory.
_PIECE = 1 << 14


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean; the same resamples at every call.

    Args:
        values: float64 (q,), one per query, q at least 1.

    Source: Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics 1979.
    """
    return mean_intervals([values])[0]


def mean_intervals(scores: Sequence[NDArray[np.float64]]) -> list[tuple[float, float]]:
    """``mean_interval`` of several scores of the same queries, float64 (q,) each: one drawing for all."""
    generator = np.random.default_rng(0)
    size = len(scores[0])
    at_once = max(1, _PIECE // size)
    means = np.empty((len(scores), RESAMPLES))
    for start in range(0, RESAMPLES, at_once):
        stop = min(start + at_once, RESAMPLES)
        drawn = generator.integers(size, size=(stop - start, size))
        for values, found in zip(scores, means, strict=True):
            found[start:stop] = values[drawn].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5), axis=1)
    return [*zip(low.tolist(), high.tolist(), strict=True)]
