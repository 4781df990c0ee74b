"""Near-duplicate videos: mean average precision of the Chamfer similarity between sets of frames.

A query is compared with the videos judged for it and with all that nobody judged, which count as wrong;
videos judged for other queries only are left out.

measure: {videos: {ks: [100]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from bench.hamming.ties import Floats, Ints
from bench.interfaces import Metric
from bench.metrics._instance import (
    chamfer_rows,
    mean_over_ties,
    tie_orders,
    truncated_average_precision,
)
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import FrameTruth, Judge, Measurement, Noise, Parameters, Retrieval, Subject


@METRICS.register
class Videos(Metric):
    """Scores by query video; codes are ranked in several orders of their ties.

    Source: Jiang et al., SVD: A Large-Scale Short Video Dataset, ICCV 2019.
    """

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    judges: ClassVar[Judge | None] = "frames"
    embeddings: ClassVar[bool] = True

    class Params(Parameters):
        """Where the list is cut, beside the whole list."""

        ks: tuple[Annotated[int, Field(ge=1)], ...] = Field((100,), description="ranks")

    def compute(self, subject: Retrieval) -> Measurement:
        """``map_videos@<k>`` and ``map_videos@all``: AP is divided by the relevant videos within k.

        Scores by query are those of the query videos in ascending order. A query that finds nothing, or
        has nothing to find (counted as ``hitless``), scores 0.
        """
        truth = subject.truth
        assert isinstance(truth, FrameTruth)
        query_frames, frames = truth.videos[subject.query_index], truth.videos[subject.database_index]
        queries, videos = np.unique(query_frames), np.unique(frames)
        judged_by_anyone = np.fromiter({c for one in truth.judged.values() for c in one}, np.int64)
        unjudged = ~np.isin(videos, judged_by_anyone)
        candidates, relevant = [], []
        for query in queries.tolist():
            judged = truth.judged.get(query, {})
            candidates.append(unjudged | np.isin(videos, np.fromiter(judged, np.int64)))
            relevant.append(np.isin(videos, [video for video, duplicate in judged.items() if duplicate]))
        cuts = {f"map_videos@{k}": k for k in self.params.ks} | {"map_videos@all": None}

        def score(number: int, ranked: Ints) -> Floats:
            found = relevant[number][ranked[candidates[number][ranked]]]
            return np.array([truncated_average_precision(found, k) for k in cuts.values()])

        similar = chamfer_rows(subject.query, subject.database, query_frames, frames, subject.bits)
        orders = tie_orders(len(videos), subject.bits)
        scores = mean_over_ties(((rows, -block) for rows, block in similar), orders, score)
        detail = {
            "queries": len(queries),
            "valid": len(queries),
            "hitless": sum(not one.any() for one in relevant),
            "database": len(videos),
            "frames": len(frames),
            "tie_orders": len(orders),
        }
        per_query = dict(zip(cuts, map(np.ascontiguousarray, scores.T), strict=True))
        return Measurement(
            {name: mean_over_queries(one, **detail) for name, one in per_query.items()}, per_query
        )
