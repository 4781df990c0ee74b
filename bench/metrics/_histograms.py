"""How many items, and how many relevant ones, lie at each distance from a query: all that scores need.

Codes have a Hamming distance for a bin. For embeddings every distinct similarity is a bin of its own, so that
the same closed forms rank them, ties included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance

from bench.hamming import distance_histograms, scan
from bench.hamming.copies import Copies, as_words, copies, every
from bench.hamming.relevance import relevance
from bench.hamming.ties import Ints
from bench.types import Retrieval, Similarity

#: Bytes per query and item that ranking embeddings and scoring the ranks takes.
_RANK_BYTES = 160
#: Bytes per query and distance that scoring counts takes.
_SCORE_BYTES = 160


@dataclass(frozen=True)
class Histograms:
    """Of some queries.

    Attributes:
        part: which queries.
        counts, relevant: int64 (q, bins), nearest first; all items and the relevant ones.
        ranked: int64 (q, n) 0/1, relevance by rank with ties in the order of the database; None for codes,
            whose ranking ``bench.hamming`` makes where it is asked for.
    """

    part: slice
    counts: Ints
    relevant: Ints
    ranked: Ints | None = None


def counted(subject: Retrieval) -> tuple[Ints, Ints]:
    """Items and relevant ones at each distance from each query, as somebody has counted them or by a scan."""
    if subject.histograms is not None:
        return subject.histograms()
    arrays = subject.query, subject.database, subject.query_labels, subject.database_labels
    return distance_histograms(*arrays, bits=subject.bits)


def by_query(subject: Retrieval) -> Iterator[Histograms]:
    """All queries of a retrieval, so many at a time that memory stays bounded."""
    queries, items = len(subject.query), len(subject.database)
    labels = subject.query_labels, subject.database_labels
    if subject.bits:
        counts, relevant = counted(subject)
        for part in scan.chunks(queries, _SCORE_BYTES * counts.shape[1], scan.MEMORY_MB):
            yield Histograms(part, counts[part], relevant[part])
        return
    judged = relevance(*labels, queries, items).block(slice(0, items))
    kinds = _kinds(subject.database)
    different = subject.database[kinds.first]
    for part in scan.chunks(queries, _RANK_BYTES * items, scan.MEMORY_MB):
        similarity = similarities(subject.query[part], different, subject.similarity)[:, kinds.number]
        order = np.argsort(-similarity, axis=1, kind="stable")
        ordered = np.take_along_axis(similarity, order, axis=1)
        relevant = np.stack([judged.relevant(query) for query in range(part.start, part.stop)])
        ranked = np.take_along_axis(relevant, order, axis=1).astype(np.int64)
        bins = np.zeros(order.shape, np.int64)
        bins[:, 1:] = (np.diff(ordered, axis=1) != 0).cumsum(axis=1)
        cells = (bins + items * np.arange(len(bins))[:, None]).ravel()
        counts = np.bincount(cells, minlength=bins.size).reshape(bins.shape)
        hits = np.bincount(cells, ranked.ravel(), bins.size).astype(np.int64).reshape(bins.shape)
        yield Histograms(part, counts, hits, ranked)


def _kinds(database: NDArray[np.float32]) -> Copies:
    """Which rows are the same; where none are, all of them in their order.

    Each kind is compared once: a product of matrices rounds equal rows differently by where they stand, and
    what is read back from short codes has few kinds.
    """
    return copies(as_words(database), len(database) - 1) or every(len(database))


def similarities(
    query: NDArray[np.float32], database: NDArray[np.float32], kind: Similarity = "cosine"
) -> NDArray[np.floating[Any]]:
    """How alike vectors are, (q, d) and (n, d) -> (q, n): cosines of unit vectors, or -L2^2 in float64.

    L2 is summed from differences: from products, as is quicker, vectors far from the origin would lose all
    digits that tell them apart.
    """
    if kind == "l2":
        return np.asarray(-distance.cdist(query, database, "sqeuclidean"))
    vectors = np.ascontiguousarray(query), np.ascontiguousarray(database)
    return np.asarray(faiss.pairwise_distances(*vectors, faiss.METRIC_INNER_PRODUCT))
