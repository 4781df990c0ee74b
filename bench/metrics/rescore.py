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
from bench.hamming.relevance import Block, relevance
from bench.hamming.ties import Ints
from bench.interfaces import Metric
from bench.metrics._histograms import counted
from bench.metrics._means import mean_over_queries
from bench.registry import METRICS
from bench.types import Measurement, Noise, Parameters, Retrieval, Subject

#: Bytes that finding and scoring take of each query, per item that is rescored and per distance.
_QUERY_BYTES = 240
#: How often a feature is held while cosines are made.
_COPIES = 4
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
        rule, queries, items = subject.protocol, len(subject.query), len(subject.database)
        counts, relevant = counted(subject)
        judged = relevance(subject.query_labels, subject.database_labels, queries, items)
        block = judged.block(slice(0, items))
        per_query = {}
        for r in self.params.r:
            first = min(r, items)
            scores = per_query[f"map_rescored@{r}"] = np.empty(queries)
            for part in scan.chunks(queries, _QUERY_BYTES * (first + counts.shape[1]), scan.MEMORY_MB / 2):
                hits, behind, behind_relevant = _rescored(
                    subject, part, first, block, counts[part], relevant[part]
                )
                scores[part] = average_precision_from_histograms(
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
    subject: Retrieval, part: slice, r: int, judged: Block, counts: Ints, relevant: Ints
) -> tuple[Ints, Ints, Ints]:
    """Relevance of the first ``r`` by cosine, int64 (q, r) 0/1; ``counts`` and ``relevant`` without them."""
    distances, found = hamming_search(
        subject.query[part], subject.database, r, bits=subject.bits, memory_mb=scan.MEMORY_MB / 2
    )
    order = np.argsort(-_cosines(subject, part, found), axis=1, kind="stable")
    hits, counts, relevant = np.empty_like(found), counts.copy(), relevant.copy()
    for row, query in enumerate(range(part.start, part.stop)):
        there = judged.relevant(query)[found[row]].astype(np.int64)
        hits[row] = there[order[row]]
        np.subtract.at(counts[row], distances[row], 1)
        np.subtract.at(relevant[row], distances[row], there)
    return hits, counts, relevant


def _cosines(subject: Retrieval, part: slice, found: Ints) -> NDArray[np.float32]:
    """Of the features of some queries with those of the images ``found`` for each: float32 (q, r)."""
    assert subject.features is not None
    asked = _unit(subject.features(subject.query_index[part]))
    places = subject.database_index[found.ravel()]
    cosines = np.empty(len(places), np.float32)
    for piece in scan.chunks(len(places), _COPIES * asked[0].nbytes, scan.MEMORY_MB / 2):
        own = asked[np.arange(piece.start, piece.stop) // found.shape[1]]
        cosines[piece] = np.einsum("nd,nd->n", own, _unit(subject.features(places[piece])))
    return cosines.reshape(found.shape)


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """``features`` (n, width) of length 1."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _TINY))
