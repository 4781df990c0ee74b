"""The mean of a score over queries as a metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.hamming.bootstrap import mean_interval
from bench.types import MetricValue


def mean_over_queries(scores: NDArray[np.float64], **detail: Any) -> MetricValue:
    """The metric that is the mean of ``scores``, float64 (q,), fractions of which more is better."""
    interval = mean_interval(scores)
    return MetricValue(float(scores.mean()), "", True, "seeded", interval=interval, detail=detail)
