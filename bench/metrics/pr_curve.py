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

from bench.hamming.measures import Curve, area_under, curve_by_radius, curve_by_rank, spaced_ranks
from bench.hamming.ties import Floats, Ints, Ties
from bench.interfaces import Metric
from bench.metrics._histograms import counted
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Noise, Parameters, Retrieval, Subject

BOUNDS: tuple[Ties, Ties] = ("best", "worst")


@METRICS.register
class PrecisionRecallCurve(Metric):
    """Macro averages: every query weighs the same."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"

    class Params(Parameters):
        """How fine the curve by rank is."""

        points: int = Field(50, ge=2, le=10_000, description="ranks, from 1 to all, log-spaced")

    def compute(self, subject: Retrieval) -> Measurement:
        """``pr_curve:radius`` and ``pr_curve:rank``: areas; the curves are lists in ``detail``."""
        counts, relevant = counted(subject)
        by_radius = self._by_radius(counts, relevant, subject.bits)
        values = {"pr_curve:radius": by_radius, "pr_curve:rank": self._by_rank(counts, relevant)}
        kept = {"distance_counts": counts, "distance_relevant": relevant}
        return Measurement(values, {name: part.astype(np.float64) for name, part in kept.items()})

    def _by_radius(self, counts: Ints, relevant: Ints, bits: int) -> MetricValue:
        empty = (counts[:, : bits + 1].cumsum(axis=1) == 0).mean(axis=0).tolist()
        curve = curve_by_radius(counts, relevant, bits)
        return _value(curve, radius=list(range(bits + 1)), empty_balls=empty)

    def _by_rank(self, counts: Ints, relevant: Ints) -> MetricValue:
        ranks = spaced_ranks(int(counts[0].sum()), self.params.points)
        bounds = {
            f"{name}_{ties}_ties": points.tolist()
            for ties in BOUNDS
            for name, points in _named(curve_by_rank(counts, relevant, ranks, ties)).items()
        }
        return _value(curve_by_rank(counts, relevant, ranks), rank=ranks.tolist(), **bounds)


def _named(curve: Curve) -> dict[str, Floats]:
    return dict(zip(("precision", "recall"), curve, strict=True))


def _value(curve: Curve, **detail: Any) -> MetricValue:
    points = {name: part.tolist() for name, part in _named(curve).items()}
    return MetricValue(area_under(curve), "", True, "seeded", detail={**points, **detail})
