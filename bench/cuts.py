"""Scores of a ranking that is cut after k items: what precision@k and recall@k have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bench.bootstrap import mean_over_queries
from bench.hamming import distance_histograms, hits_within
from bench.ties import Floats, Ints
from bench.types import Measurement, Retrieval


def at_cuts(
    name: str, subject: Retrieval, ks: Iterable[int], share: Callable[[Floats, Ints, int], Floats]
) -> Measurement:
    """``<name>@<k>`` for every k that the database can fill: the mean over queries, ties in random order.

    ``detail`` holds the means under the best and the worst order of the ties.

    Args:
        share: score of each query from its hits within k, float64 (q,), all its relevant items, int64
            (q,), and k.
    """
    arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
    counts, relevant = distance_histograms(*arrays)
    total = relevant.sum(axis=1)
    sizes = {"queries": len(subject.query), "database": len(subject.database)}
    sizes["hitless"] = int(np.count_nonzero(total == 0))
    values, per_query = {}, {}
    for k in ks:
        if k > len(subject.database):
            continue
        expected, best, worst = (
            share(hits_within(counts, relevant, k, ties=ties), total, k)
            for ties in ("expected", "best", "worst")
        )
        per_query[f"{name}@{k}"] = expected
        bounds = {"best_ties": float(best.mean()), "worst_ties": float(worst.mean())}
        values[f"{name}@{k}"] = mean_over_queries(expected, **sizes, **bounds)
    return Measurement(values, per_query)
