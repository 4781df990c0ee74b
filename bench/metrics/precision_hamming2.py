"""Precision and recall of a hash table lookup: all items within Hamming distance 2 of the query.

A query whose ball is empty has precision 0 and counts; ``detail`` says how many there are. There are
no ties to order: a ball is a set.

measure: {precision_hamming2: {}}
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.hamming.measures import RADIUS, in_ball
from bench.interfaces import Metric
from bench.metrics._histograms import counted
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject


@METRICS.register
class PrecisionHamming2(Metric):
    """Means over all queries."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    by_side = True

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Retrieval) -> Measurement:
        """``precision_hamming2`` and ``recall_hamming2``."""
        counts, relevant = counted(subject)
        returned = counts[:, : RADIUS + 1].sum(axis=1)
        detail = {
            "queries": len(returned),
            "empty_balls": int(np.count_nonzero(returned == 0)),
            "mean_returned": float(returned.mean()),
        }
        names = ("precision_hamming2", "recall_hamming2")
        per_query = dict(zip(names, in_ball(counts, relevant), strict=True))
        values = {name: mean_over_queries(scores, **detail) for name, scores in per_query.items()}
        return Measurement(values, per_query)
