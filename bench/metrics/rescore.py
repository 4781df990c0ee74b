"""Mean average precision where codes find and features decide: the first ``r`` are ordered by their cosine.

That is how codes are mostly used: a scan of all codes leaves a few images, whose features are read and
compared. It costs the bytes of a feature an image, and says what codes have lost. Features are those of a
frozen trunk, so cells have them whose trunk step 2 has left as it was.

measure: {rescore: {r: [10, 100]}}
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.hamming import average_precision_from_histograms, hamming_search, scan
from bench.hamming.relevance import relevance
from bench.interfaces import Metric
from bench.metrics._histograms import counted
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject

#: A length that no feature is below, so that one of nothing but zeros can be divided by it.
_TINY = 1e-12


@METRICS.register
class Rescore(Metric):
    """Mean over all queries under the protocol's rule; behind the first ``r``, codes decide as before."""

    version = 1
    subject: ClassVar[Subject] = "codes"
    noise: ClassVar[Noise] = "seeded"
    needs_features = True
    by_side = True

    class Params(Parameters):
        """How many images are compared by their features."""

        r: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(
            (100,), min_length=1, max_length=16, description="first images to order by features"
        )

    def compute(self, subject: Retrieval) -> Measurement:
        """``map_rescored@<r>``; of equally near images, those that the database has first are rescored.

        Where the protocol has them in that order, too, those behind ``r`` are in random order.
        """
        rule, per_query = subject.protocol, {}
        counts, relevant = counted(subject)
        for r in self.params.r:
            hits, behind, behind_relevant = _rescored(
                subject, min(r, len(subject.database)), counts, relevant
            )
            per_query[f"map_rescored@{r}"] = average_precision_from_histograms(
                np.hstack([np.ones_like(hits), behind]),
                np.hstack([hits, behind_relevant]),
                k=rule.k,
                ties="expected" if rule.ties == "index" else rule.ties,
                normalizer=rule.normalizer,
            )
        assert subject.features is not None
        detail = {
            "feature_bytes": subject.features(subject.query_index[:1]).nbytes,
            "k": min(rule.k or len(subject.database), len(subject.database)),
        }
        values = {name: mean_over_queries(scores, **detail) for name, scores in per_query.items()}
        return Measurement(values, per_query)


def _rescored(
    subject: Retrieval, r: int, counts: NDArray[np.int64], relevant: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Relevance of the first ``r`` by cosine, int64 (q, r) 0/1; ``counts`` and ``relevant`` without them."""
    assert subject.features is not None
    queries, items = len(subject.query), len(subject.database)
    distances, found = hamming_search(subject.query, subject.database, r, bits=subject.bits)
    judged = relevance(subject.query_labels, subject.database_labels, queries, items).block(slice(0, items))
    asked = _unit(subject.features(subject.query_index))
    hits = np.empty((queries, r), np.int64)
    counts, relevant = counts.copy(), relevant.copy()
    for part in scan.chunks(queries, 3 * r * asked.itemsize * asked.shape[1], scan.MEMORY_MB):
        candidates = subject.features(subject.database_index[found[part]].ravel())
        unit = _unit(candidates).reshape(*found[part].shape, -1)
        order = np.argsort(-np.einsum("qd,qrd->qr", asked[part], unit), axis=1, kind="stable")
        for query in range(part.start, part.stop):
            there = judged.relevant(query)[found[query]].astype(np.int64)
            hits[query] = there[order[query - part.start]]
            np.subtract.at(counts[query], distances[query], 1)
            np.subtract.at(relevant[query], distances[query], there)
    return hits, counts, relevant


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """``features`` (n, width) of length 1."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _TINY))
