"""Precision-recall curves, by Hamming radius and by rank, and the area below them.

A point is the mean precision and the mean recall over all queries. An empty ball has precision 0. By
rank, ties are in random order (exact expectation); ``detail`` also holds the best and the worst order.
All counts behind the curves are kept per query.

measure: {pr_curve: {points: 50}}
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bench.hamming import distance_histograms, hits_within
from bench.hamming.ties import Floats, Ints
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Noise, Parameters, Retrieval, Subject


@METRICS.register
class PrecisionRecallCurve(Metric):
    """Macro averages: every query weighs the same."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"

    class Params(Parameters):
        """How fine the curve by rank is."""

        points: int = Field(50, ge=2, description="ranks, from 1 to the size of the database, log-spaced")

    def compute(self, subject: Retrieval) -> Measurement:
        """``pr_curve:radius`` and ``pr_curve:rank``: areas; the curves are lists in ``detail``."""
        arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
        counts, relevant = distance_histograms(*arrays, bits=subject.bits)
        by_radius = self._by_radius(counts, relevant, subject.bits)
        values = {"pr_curve:radius": by_radius, "pr_curve:rank": self._by_rank(counts, relevant)}
        kept = {"distance_counts": counts, "distance_relevant": relevant}
        return Measurement(values, {name: part.astype(np.float64) for name, part in kept.items()})

    def _by_radius(self, counts: Ints, relevant: Ints, bits: int) -> MetricValue:
        returned, hits = (part[:, : bits + 1].cumsum(axis=1) for part in (counts, relevant))
        total = relevant.sum(axis=1, keepdims=True)
        precision = (hits / np.maximum(returned, 1)).mean(axis=0)
        recall = (hits / np.maximum(total, 1)).mean(axis=0)
        empty = (returned == 0).mean(axis=0).tolist()
        return _curve(precision, recall, radius=list(range(bits + 1)), empty_balls=empty)

    def _by_rank(self, counts: Ints, relevant: Ints) -> MetricValue:
        size = int(counts[0].sum())
        ranks = np.unique(np.geomspace(1, size, self.params.points).round().astype(int))
        total = np.maximum(relevant.sum(axis=1), 1)
        curves = {}
        for ties in ("expected", "best", "worst"):
            hits = np.array([hits_within(counts, relevant, int(k), ties=ties) for k in ranks])
            curves[ties] = (hits.mean(axis=1) / ranks, (hits / total).mean(axis=1))
        precision, recall = curves.pop("expected")
        bounds = {
            f"{name}_{ties}_ties": points.tolist()
            for ties, curve in curves.items()
            for name, points in zip(("precision", "recall"), curve, strict=True)
        }
        return _curve(precision, recall, rank=ranks.tolist(), **bounds)


def _curve(precision: Floats, recall: Floats, **detail: Any) -> MetricValue:
    """The area below straight lines through the points; recall 0 has the precision of the first point."""
    heights, places = np.concatenate([precision[:1], precision]), np.concatenate([[0.0], recall])
    area = float(np.trapezoid(heights, places))
    points = {"precision": precision.tolist(), "recall": recall.tolist()}
    return MetricValue(area, "", True, "seeded", detail={**points, **detail})
