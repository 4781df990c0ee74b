"""Precision and recall of a hash table lookup: all items within Hamming distance 2 of the query.

A query whose ball is empty has precision 0 and counts; ``detail`` says how many there are. There are
no ties to order: a ball is a set.

measure: {precision_hamming2: {}}
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.hamming import distance_histograms
from bench.interfaces import Metric
from bench.metrics._bootstrap import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject

RADIUS = 2


@METRICS.register
class PrecisionHamming2(Metric):
    """Means over all queries."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Retrieval) -> Measurement:
        """``precision_hamming2`` and ``recall_hamming2``."""
        arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
        counts, relevant = distance_histograms(*arrays, bits=subject.bits)
        returned, hits = (part[:, : RADIUS + 1].sum(axis=1) for part in (counts, relevant))
        detail = {
            "queries": len(returned),
            "empty_balls": int(np.count_nonzero(returned == 0)),
            "mean_returned": float(returned.mean()),
        }
        per_query = {
            "precision_hamming2": hits / np.maximum(returned, 1),
            "recall_hamming2": hits / np.maximum(relevant.sum(axis=1), 1),
        }
        values = {name: mean_over_queries(scores, **detail) for name, scores in per_query.items()}
        return Measurement(values, per_query)
