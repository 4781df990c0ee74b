"""Mean average precision of the codes under the protocol's ranking rule, with what it depends on.

The protocol's own value comes first. Beside it, at the same k: the value that DeepHash's evaluator would
print (database order, divided by the hits), to set rows beside published tables, and what the best and
the worst order of the ties would give. ``bench.hamming`` defines the rules.

measure: {map: {}}
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.bootstrap import mean_over_queries
from bench.hamming import average_precision, average_precision_from_histograms, distance_histograms
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, RankingRule, Retrieval, Subject


def map_name(rule: RankingRule) -> str:
    """Name of the value in records, for example ``map@all:expected:relevant``."""
    return f"map@{rule.k or 'all'}:{rule.ties}:{rule.normalizer}"


@METRICS.register
class MeanAveragePrecision:
    """Mean of AP@k over all queries, those with nothing to find included at 0."""

    version = 2
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"

    class Params(Parameters):
        """Nothing to set: the rule is the protocol's."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Retrieval) -> Measurement:
        """``map@<k>:<ties>:<normalizer>`` for the protocol, DeepHash, and the best and worst tie order."""
        own = subject.protocol
        deephash = RankingRule(own.k, "index", "hits")
        bounds = [RankingRule(own.k, ties, own.normalizer) for ties in ("best", "worst")]
        arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
        counts, relevant = distance_histograms(*arrays)
        detail = {
            "queries": len(subject.query),
            "database": len(subject.database),
            "hitless": int(np.count_nonzero(relevant.sum(axis=1) == 0)),
            "k": min(own.k or len(subject.database), len(subject.database)),
        }
        values, per_query = {}, {}
        for rule in dict.fromkeys((own, deephash, *bounds)):
            if rule.ties == "index":
                scores = average_precision(*arrays, k=rule.k, ties="index", normalizer=rule.normalizer)
            else:
                scores = average_precision_from_histograms(
                    counts, relevant, k=rule.k, ties=rule.ties, normalizer=rule.normalizer
                )
            per_query[map_name(rule)] = scores
            values[map_name(rule)] = mean_over_queries(scores, **detail)
        return Measurement(values, per_query)
