"""Scores of a ranking that is cut after k items: what precision@k and recall@k have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bench.hamming import hits_within
from bench.hamming.ties import Floats, Ints, Ties
from bench.metrics._histograms import by_query
from bench.metrics._means import mean_over_queries
from bench.types import Measurement, Retrieval

TIES: tuple[Ties, ...] = ("expected", "best", "worst")


def at_cuts(
    name: str, subject: Retrieval, ks: Iterable[int], share: Callable[[Floats, Ints, int], Floats]
) -> Measurement:
    """``<name>@<k>`` for every k that the database can fill: the mean over queries, ties in random order.

    ``detail`` holds the means under the best and the worst order of the ties.

    Args:
        share: score of each query from its hits within k, float64 (q,), all its relevant items, int64
            (q,), and k.
    """
    queries, items = len(subject.query), len(subject.database)
    cuts = [k for k in ks if k <= items]
    found = {(k, ties): np.empty(queries) for k in cuts for ties in TIES}
    hitless = 0
    for histograms in by_query(subject):
        total = histograms.relevant.sum(axis=1)
        hitless += int(np.count_nonzero(total == 0))
        for (k, ties), shares in found.items():
            hits = hits_within(histograms.counts, histograms.relevant, k, ties=ties)
            shares[histograms.part] = share(hits, total, k)
    sizes = {"queries": queries, "database": items, "hitless": hitless}
    values = {}
    for k in cuts:
        bounds = {f"{ties}_ties": float(found[k, ties].mean()) for ties in ("best", "worst")}
        values[f"{name}@{k}"] = mean_over_queries(found[k, "expected"], **sizes, **bounds)
    return Measurement(values, {f"{name}@{k}": found[k, "expected"] for k in cuts})
