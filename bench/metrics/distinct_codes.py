"""How many codes there are, and how often a distance tells a relevant item from another one at all.

Codes that have collapsed onto few values give almost any mAP: it then depends on the order of items at
equal distance alone. Few codes are no fault by themselves, as one for each class would be perfect; so it is
pairs of a relevant and an irrelevant item at the same distance that a warning goes by.

measure: {distinct_codes: {}}
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from bench.bootstrap import mean_over_queries
from bench.hamming import distance_histograms
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Judge, Measurement, MetricValue, Noise, Parameters, Retrieval, Subject

COLLAPSED = (
    "the codes have collapsed onto few values: distances hardly tell relevant from other images, and mAP "
    "depends on the order of ties"
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

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Retrieval) -> Measurement:
        """``distinct_codes``, ``commonest_code`` and, where labels judge, ``tied_pairs``."""
        counts = np.unique(subject.database, axis=0, return_counts=True)[1]
        commonest = float(counts.max() / counts.sum())
        values = {
            "distinct_codes": MetricValue(len(counts), "codes", True, "seeded"),
            "commonest_code": MetricValue(commonest, "", False, "seeded"),
        }
        collapsed = commonest > 1 / 2
        if subject.truth is None and len(tied := tied_pairs(subject)):
            share = mean_over_queries(tied, queries=len(tied), random_codes=of_random_codes(subject.bits))
            values["tied_pairs"] = MetricValue(
                share.value, "", False, "seeded", interval=share.interval, detail=share.detail
            )
            collapsed = share.value > max(0.2, 1.5 * of_random_codes(subject.bits))
        return Measurement(values, warnings=(COLLAPSED,) if collapsed else ())


def tied_pairs(subject: Retrieval) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of the pairs of a relevant and an irrelevant item that are at the same distance from a query.

    Returns:
        float64 (q,), of the queries that have both.
    """
    arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
    items, relevant = distance_histograms(*arrays, bits=subject.bits)
    others = items - relevant
    pairs = relevant.sum(axis=1) * others.sum(axis=1)
    tied = (relevant * others).sum(axis=1)
    return np.asarray(tied[pairs > 0] / pairs[pairs > 0])


def of_random_codes(bits: int) -> float:
    """The same share of independent random bits: the sum over d of (bits over d)^2 / 4^bits."""
    return float(math.comb(2 * bits, bits) / 4**bits)
