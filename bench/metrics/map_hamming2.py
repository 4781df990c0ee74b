"""Mean average precision within Hamming distance 2, which the DCH paper reports.

Only the items of the ball are ranked, and the sum is divided by the relevant ones among them; a query
with none scores 0 and counts. It says nothing of what the ball misses, so it does not compare with mAP@k.

measure: {map_hamming2: {}}
Source: Cao et al., Deep Cauchy hashing for Hamming space retrieval, CVPR 2018.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.hamming.measures import RADIUS, average_precision_in_ball
from bench.hamming.ties import Ties
from bench.interfaces import Metric
from bench.metrics._histograms import counted
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject

ORDERS: tuple[Ties, ...] = ("expected", "best", "worst")


@METRICS.register
class MapHamming2(Metric):
    """Mean over all queries, under each order of the ties."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    by_side = True

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Retrieval) -> Measurement:
        """``map_hamming2:<ties>`` with the ties in random order, relevant items first, and last."""
        counts, relevant = counted(subject)
        per_query = {
            f"map_hamming2:{ties}": average_precision_in_ball(counts, relevant, ties) for ties in ORDERS
        }
        hitless = int(np.count_nonzero(relevant[:, : RADIUS + 1].sum(axis=1) == 0))
        values = {
            name: mean_over_queries(scores, queries=len(scores), hitless=hitless)
            for name, scores in per_query.items()
        }
        return Measurement(values, per_query)
