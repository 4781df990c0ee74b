"""How many codes there are, and how much of mAP is left to the order of items at equal distance.

Codes that have collapsed onto few values, or are too short, give almost any mAP: it depends on that order.
Few codes are no fault by themselves, as one for each class would be perfect; so it is the best and the worst
order of the ties that a warning goes by.

measure: {distinct_codes: {}}
"""

from __future__ import annotations

from typing import ClassVar

from bench.hamming import average_precision_from_histograms
from bench.hamming.measures import tied_pairs
from bench.hamming.ties import Ties
from bench.hamming.variety import code_counts
from bench.interfaces import Metric
from bench.metrics._histograms import counted
from bench.metrics._means import mean_over_queries
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
        counts = code_counts(subject.database)
        commonest = float(counts.max() / counts.sum())
        values = {
            "distinct_codes": MetricValue(len(counts), "codes", True, "seeded"),
            "commonest_code": MetricValue(commonest, "", False, "seeded"),
        }
        collapsed = commonest > 1 / 2
        if subject.truth is None:
            items, relevant = counted(subject)
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
