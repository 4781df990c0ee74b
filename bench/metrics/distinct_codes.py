"""How many codes there are, and how much of mAP is left to the order of items at equal distance.

Codes that have collapsed onto few values, or are too short, give almost any mAP: it depends on that order.
Few codes are no fault by themselves, as one for each class would be perfect; so it is the best and the worst
order of the ties that a warning goes by.

measure: {distinct_codes: {}}
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.hamming import average_precision_from_histograms, distance_histograms
from bench.hamming.ties import Floats, Ints, Ties
from bench.interfaces import Metric
from bench.metrics._bootstrap import mean_over_queries
from bench.registry import METRICS
from bench.types import Judge, Measurement, MetricValue, Noise, Parameters, Retrieval, Subject

#: The worst order of ties leaves less than this share of what the best one gives.
LEFT = 0.5
COLLAPSED = (
    "mAP depends on the order of ties: distances hardly tell relevant from other images, as the codes are "
    "too short or have collapsed onto few values"
)


@METRICS.register
class DistinctCodes(Metric):
    """Distinct codes of the database, share of the commonest, and tied pairs; warns of collapsed codes."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    judges: ClassVar[Judge | None] = None

    class Params(Parameters):
        """Nothing to set."""

    def compute(self, subject: Retrieval) -> Measurement:
        """``distinct_codes``, ``commonest_code`` and, where labels judge, ``tied_pairs``."""
        counts = np.unique(subject.database, axis=0, return_counts=True)[1]
        commonest = float(counts.max() / counts.sum())
        values = {
            "distinct_codes": MetricValue(len(counts), "codes", True, "seeded"),
            "commonest_code": MetricValue(commonest, "", False, "seeded"),
        }
        collapsed = commonest > 1 / 2
        if subject.truth is None:
            arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
            items, relevant = distance_histograms(*arrays, bits=subject.bits)
            orders: tuple[Ties, Ties] = ("best", "worst")
            best, worst = (
                average_precision_from_histograms(items, relevant, k=subject.protocol.k, ties=ties).mean()
                for ties in orders
            )
            collapsed = bool(worst < LEFT * best)
            if len(tied := tied_pairs(items, relevant)):
                share = mean_over_queries(tied, queries=len(tied))
                values["tied_pairs"] = MetricValue(share.value, "", False, "seeded", interval=share.interval)
        return Measurement(values, warnings=(COLLAPSED,) if collapsed else ())


def tied_pairs(items: Ints, relevant: Ints) -> Floats:
    """Share of the pairs of a relevant and an irrelevant item that are at the same distance from a query.

    Args:
        items, relevant: int64 (q, bins), how many of all and of the relevant items are at each distance.

    Returns:
        float64 (q,), of the queries that have both.
    """
    others = items - relevant
    pairs = relevant.sum(axis=1) * others.sum(axis=1)
    tied = (relevant * others).sum(axis=1)
    return np.asarray(tied[pairs > 0] / pairs[pairs > 0], np.float64)
