"""What follows from how many items, and relevant ones, lie at each distance, beside average precision.

Everywhere ``counts`` and ``relevant`` are those of ``distance_histograms``: int64 (q, distances).
"""

from __future__ import annotations

import numpy as np

from bench.hamming.ties import Floats, Ints, Normalizer, Ties, average_precision_from_histograms, hits_within

#: Of a lookup in a hash table that flips up to so many bits of the query.
RADIUS = 2
#: Precision and recall, float64 (points,) each, means over queries.
Curve = tuple[Floats, Floats]


def map_rules(ties: Ties, normalizer: Normalizer) -> list[tuple[Ties, Normalizer]]:
    """A rule for ties and normaliser, what DeepHash's evaluator prints, and what bounds the rule's value."""
    return list(
        dict.fromkeys([(ties, normalizer), ("index", "hits"), ("best", normalizer), ("worst", normalizer)])
    )


def map_name(k: int | None, ties: Ties, normalizer: Normalizer) -> str:
    """Name of a mean average precision in records, for example ``map@all:expected:relevant``."""
    return f"map@{k or 'all'}:{ties}:{normalizer}"


def in_ball(counts: Ints, relevant: Ints, radius: int = RADIUS) -> tuple[Floats, Floats]:
    """Precision and recall of all items within ``radius``, float64 (q,) each; of an empty ball both are 0."""
    returned, hits = (part[:, : radius + 1].sum(axis=1) for part in (counts, relevant))
    return hits / np.maximum(returned, 1), hits / np.maximum(relevant.sum(axis=1), 1)


def average_precision_in_ball(
    counts: Ints, relevant: Ints, ties: Ties = "expected", radius: int = RADIUS
) -> Floats:
    """AP of the items within ``radius`` alone, divided by the relevant ones among them: float64 (q,)."""
    ball = (part[:, : radius + 1] for part in (counts, relevant))
    return average_precision_from_histograms(*ball, ties=ties)


def curve_by_radius(counts: Ints, relevant: Ints, bits: int) -> Curve:
    """Precision and recall of all items within each radius, 0 to ``bits``; an empty ball has precision 0."""
    returned, hits = (part[:, : bits + 1].cumsum(axis=1) for part in (counts, relevant))
    total = relevant.sum(axis=1, keepdims=True)
    precision = (hits / np.maximum(returned, 1)).mean(axis=0)
    return precision, (hits / np.maximum(total, 1)).mean(axis=0)


def curve_by_rank(counts: Ints, relevant: Ints, ranks: Ints, ties: Ties = "expected") -> Curve:
    """Precision and recall of the first items, as many as each of ``ranks`` says."""
    total = np.maximum(relevant.sum(axis=1), 1)
    hits = np.array([hits_within(counts, relevant, int(k), ties=ties) for k in ranks])
    return hits.mean(axis=1) / ranks, (hits / total).mean(axis=1)


def spaced_ranks(items: int, points: int) -> Ints:
    """About so many ranks from 1 to ``items``, log-spaced: int64."""
    return np.unique(np.geomspace(1, items, points).round().astype(int))


def area_under(curve: Curve) -> float:
    """The area below straight lines through the points; recall 0 has the precision of the first point."""
    precision, recall = curve
    heights, places = np.concatenate([precision[:1], precision]), np.concatenate([[0.0], recall])
    return float(np.trapezoid(heights, places))


def tied_pairs(counts: Ints, relevant: Ints) -> Floats:
    """Share of the pairs of a relevant and an irrelevant item that are at the same distance from a query.

    Returns:
        float64, of the queries that have both.
    """
    others = counts - relevant
    pairs = relevant.sum(axis=1) * others.sum(axis=1)
    tied = (relevant * others).sum(axis=1)
    return np.asarray(tied[pairs > 0] / pairs[pairs > 0], np.float64)
