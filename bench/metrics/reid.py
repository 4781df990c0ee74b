"""Re-identification of persons and vehicles: mean average precision, and the first match by rank (CMC).

A database image of the query's identity by the query's own camera is neither right nor wrong: it is taken
out of the ranking. Queries without any other match are not in the means. No re-ranking.

measure: {reid: {ks: [1, 5, 10]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from bench.errors import BenchError
from bench.hamming.ties import Floats, Ints
from bench.interfaces import Metric
from bench.metrics._instance import distance_rows, mean_over_ties, reid_scores, tie_orders
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import CameraTruth, Judge, Measurement, Noise, Parameters, Retrieval, Subject


@METRICS.register
class ReIdentification(Metric):
    """Scores from image to image; codes are ranked in several orders of their ties."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    judges: ClassVar[Judge | None] = "cameras"
    embeddings: ClassVar[bool] = True

    class Params(Parameters):
        """Where the ranking is cut for the CMC."""

        ks: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 5, 10), description="ranks")

    def compute(self, subject: Retrieval) -> Measurement:
        """``map_reid`` and ``cmc@<k>``, the share of queries with a match among the first k.

        The scores by query are NaN where no match remains; ``detail`` counts the others as valid.

        Raises:
            BenchError: no query has a match by another camera in the database.
        """
        truth = subject.truth
        assert isinstance(truth, CameraTruth)
        query_cameras = truth.cameras[subject.query_index]
        cameras, identities = truth.cameras[subject.database_index], np.asarray(subject.database_labels)
        ks = self.params.ks

        def score(number: int, ranked: Ints) -> Floats:
            query = subject.query_labels[number], query_cameras[number]
            return reid_scores(identities[ranked], cameras[ranked], *query, ks)

        orders = tie_orders(len(subject.database), subject.bits)
        scores = mean_over_ties(distance_rows(subject.query, subject.database, subject.bits), orders, score)
        valid = ~np.isnan(scores[:, 0])
        if not valid.any():
            raise BenchError(
                f"none of the {len(scores)} queries has a match by another camera among the "
                f"{len(subject.database)} database images; raise --limit or leave it out"
            )
        detail = {"queries": len(scores), "valid": int(valid.sum()), "database": len(subject.database)}
        names = ["map_reid", *(f"cmc@{k}" for k in ks)]
        per_query = dict(zip(names, map(np.ascontiguousarray, scores.T), strict=True))
        return Measurement(
            {
                name: mean_over_queries(one[valid], tie_orders=len(orders), **detail)
                for name, one in per_query.items()
            },
            per_query,
        )
