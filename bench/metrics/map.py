"""Mean average precision of codes or embeddings under the protocol's ranking rule, with what it depends on.

The protocol's own value comes first. Beside it, at the same k: the value that DeepHash's evaluator would
print (database order, divided by the hits), to set rows beside published tables, and what the best and
the worst order of the ties would give. ``bench.hamming`` defines the rules.

measure: {map: {}}
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.hamming import average_precision, average_precision_from_histograms
from bench.hamming.measures import map_name, map_rules
from bench.interfaces import Metric
from bench.metrics._histograms import Histograms, by_query
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, RankingRule, Retrieval, Subject


@METRICS.register
class MeanAveragePrecision(Metric):
    """Mean of AP@k over all queries, those with nothing to find included at 0."""

    version = 2
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    embeddings = True
    by_side = True

    class Params(Parameters):
        """Nothing to set: the rule is the protocol's."""

    def compute(self, subject: Retrieval) -> Measurement:
        """``map@<k>:<ties>:<normalizer>`` for the protocol, DeepHash, and the best and worst tie order."""
        own = subject.protocol
        rules = {
            map_name(own.k, *rule): RankingRule(own.k, *rule) for rule in map_rules(own.ties, own.normalizer)
        }
        per_query = {name: np.empty(len(subject.query)) for name in rules}
        relevant = np.empty(len(subject.query), np.int64)
        for histograms in by_query(subject):
            relevant[histograms.part] = histograms.relevant.sum(axis=1)
            for name, rule in rules.items():
                per_query[name][histograms.part] = scores(subject, histograms, rule)
        detail = {
            "queries": len(subject.query),
            "database": len(subject.database),
            "hitless": int(np.count_nonzero(relevant == 0)),
            "k": min(own.k or len(subject.database), len(subject.database)),
        }
        values = {
            name: mean_over_queries(aps, **detail, chance=_chance(relevant, detail["database"], rules[name]))
            for name, aps in per_query.items()
        }
        return Measurement(values, per_query)


def _chance(relevant: NDArray[np.int64], items: int, rule: RankingRule) -> float:
    """What a random order scores, of which all items at one distance are one: ``relevant`` of each query."""
    everything = np.full((len(relevant), 1), items)
    aps = average_precision_from_histograms(
        everything, relevant[:, None], k=rule.k, normalizer=rule.normalizer
    )
    return float(aps.mean())


def scores(subject: Retrieval, histograms: Histograms, rule: RankingRule) -> NDArray[np.float64]:
    """AP of some queries, float64 (q,), under ``rule``."""
    how: dict[str, Any] = {"k": rule.k, "normalizer": rule.normalizer}
    if rule.ties != "index":
        return average_precision_from_histograms(
            histograms.counts, histograms.relevant, ties=rule.ties, **how
        )
    if histograms.ranked is not None:
        return average_precision_from_histograms(
            np.ones_like(histograms.ranked), histograms.ranked, ties="expected", **how
        )
    labels = subject.query_labels[histograms.part], subject.database_labels
    codes = subject.query[histograms.part], subject.database
    return average_precision(*codes, *labels, bits=subject.bits, ties="index", **how)
