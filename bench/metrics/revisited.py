"""Mean average precision and precision at k of landmark retrieval: the Easy, Medium and Hard protocols.

Easy looks for the easy positives and ignores hard ones, Hard the other way round, Medium looks for both;
junk is always ignored. Queries that a protocol leaves without positives are not in its means.

measure: {revisited: {ks: [1, 5, 10]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from bench.errors import BenchError
from bench.hamming.ties import Floats, Ints
from bench.interfaces import Metric
from bench.metrics._instance import (
    distance_rows,
    junk_free_ranks,
    mean_over_ties,
    revisited_average_precision,
    revisited_precision_at,
    revisited_protocols,
    rows_of,
    tie_orders,
)
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Judge, Measurement, Noise, Parameters, Retrieval, RevisitedTruth, Subject

_NONE = np.empty(0, np.int64)


@METRICS.register
class Revisited(Metric):
    """Scores as Revisited Oxford and Paris define them; codes are ranked in several orders of their ties.

    Source: Radenovic et al., Revisiting Oxford and Paris, CVPR 2018.
    """

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    judges: ClassVar[Judge | None] = "revisited"
    embeddings: ClassVar[bool] = True

    class Params(Parameters):
        """Where the ranking is cut for the mean precision."""

        ks: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 5, 10), description="ranks")

    def compute(self, subject: Retrieval) -> Measurement:
        """``map_revisited:<protocol>`` and ``mp_at_k:<protocol>@<k>``; a protocol without queries has none.

        The scores by query are NaN where there are no positives; ``detail`` counts the others as valid.

        Raises:
            BenchError: no query has a positive in the database.
        """
        truth = subject.truth
        assert isinstance(truth, RevisitedTruth)
        judged = []
        for query in subject.query_index.tolist():
            lists = [images.get(query, _NONE) for images in (truth.easy, truth.hard, truth.junk)]
            judged.append(revisited_protocols(*(rows_of(one, subject.database_index) for one in lists)))

        def score(number: int, ranked: Ints) -> Floats:
            scores = []
            for positives, junk in judged[number].values():
                ranks = junk_free_ranks(ranked, positives, junk)
                scores.append(revisited_average_precision(ranks, len(positives)))
                scores += [revisited_precision_at(ranks, k) for k in self.params.ks]
            return np.array(scores)

        orders = tie_orders(len(subject.database), subject.bits)
        distances = distance_rows(subject.query, subject.database, subject.bits)
        names = [
            name
            for protocol in ("easy", "medium", "hard")
            for name in (f"map_revisited:{protocol}", *(f"mp_at_k:{protocol}@{k}" for k in self.params.ks))
        ]
        columns = mean_over_ties(distances, orders, score).T
        per_query = dict(zip(names, map(np.ascontiguousarray, columns), strict=True))
        sizes = {"queries": len(judged), "database": len(subject.database), "tie_orders": len(orders)}
        values = {
            name: mean_over_queries(scores[valid], valid=int(valid.sum()), **sizes)
            for name, scores in per_query.items()
            if (valid := ~np.isnan(scores)).any()
        }
        if not values:
            raise BenchError(
                f"none of the {len(judged)} queries has a positive among the {len(subject.database)} "
                "database images; raise --limit or leave it out"
            )
        return Measurement(values, per_query)
