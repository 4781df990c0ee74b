"""Share of relevant items among the first k: what a user sees on the first page.

measure: {precision_at_k: {ks: [1, 10, 100]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bench.bootstrap import mean_interval
from bench.hamming import distance_histograms, expected_hits
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Noise, Parameters, Retrieval


@METRICS.register
class PrecisionAtK:
    """Mean over queries of the expectation over all orders of items at the same distance."""

    version = 1
    subject: ClassVar[Literal["codes", "network"]] = "codes"
    noise: ClassVar[Noise] = "seeded"

    class Params(Parameters):
        """Where the ranking is cut."""

        ks: tuple[Annotated[int, Field(ge=1)], ...] = Field(
            (1, 10, 100),
            min_length=1,
            description="ranks; those beyond the size of the database are left out",
        )

    def __init__(self, params: Params) -> None:
        self.params = params

    def compute(self, subject: Retrieval) -> Measurement:
        """``precision_at_k@<k>`` for every k that the database can fill."""
        counts, relevant = distance_histograms(
            subject.query, subject.database, subject.query_labels, subject.database_labels
        )
        values, per_query = {}, {}
        for k in self.params.ks:
            if k > len(subject.database):
                continue
            scores = expected_hits(counts, relevant, k) / k
            name = f"precision_at_k@{k}"
            per_query[name] = scores
            values[name] = MetricValue(
                float(scores.mean()),
                "",
                True,
                "seeded",
                interval=mean_interval(scores),
                detail={"queries": len(subject.query), "database": len(subject.database)},
            )
        return Measurement(values, per_query)
