"""The nearest codes by exhaustive search, and a second opinion on FAISS."""

from __future__ import annotations

from functools import partial

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError
from bench.hamming import scan
from bench.hamming.codes import bins, packed_pair, popcount_distances
from bench.hamming.counts import histograms_of
from bench.hamming.relevance import Nothing
from bench.hamming.scan import MEMORY_MB, Codes, Ints


def cross_check(
    query: ArrayLike, database: ArrayLike, *, bits: int | None = None, sample: int = 8, k: int = 100
) -> None:
    """Compare the distances of some queries with numpy's popcount, before anything is made of them.

    FAISS has returned wrong distances without a word before (facebookresearch/faiss#5546). Held against
    each other are the counts at each distance and the ``k`` nearest of FAISS's own exact index, which
    needs a copy of the database.

    Args:
        query, database: codes, packed or not.
        bits: their length.
        sample: number of queries, spread evenly.
        k: length of the lists.

    Raises:
        BenchError: they differ; names the query and the FAISS release.
    """
    query, database = packed_pair(query, database, bits)
    if not len(query) or not len(database):
        return
    length = 8 * database.shape[1]
    rows = np.unique(np.linspace(0, len(query) - 1, sample).astype(int))
    some, k = np.ascontiguousarray(query[rows]), min(k, len(database))
    counts = histograms_of(some, database, Nothing(len(some)), np.arange(len(some)), MEMORY_MB)[:, 0]
    exact = np.zeros_like(counts)
    for part in scan.blocks(len(database), 16 + 2 * database.shape[1], MEMORY_MB):
        for row, distances in enumerate(popcount_distances(some, database[part], bits=length)):
            exact[row] += np.bincount(distances, minlength=exact.shape[1])
    index = faiss.IndexBinaryFlat(length)
    index.add(np.ascontiguousarray(database))
    nearest, items = index.search(some, k)
    for row, number in enumerate(rows):
        closest = np.repeat(np.arange(exact.shape[1]), exact[row])[:k]
        own = popcount_distances(some[row : row + 1], database[items[row]], bits=length)[0]
        agree = np.array_equal(counts[row], exact[row]) and np.array_equal(nearest[row], closest)
        if not (agree and np.array_equal(own, closest)):
            raise BenchError(
                f"FAISS {faiss.__version__} and numpy's popcount disagree on the distances of query {number} "
                f"from {len(database)} codes of {database.shape[1]} bytes; install another faiss-cpu"
            )


def hamming_search(
    query: ArrayLike, database: ArrayLike, k: int, *, bits: int | None = None, memory_mb: float = MEMORY_MB
) -> tuple[NDArray[np.int32], Ints]:
    """The k nearest codes by exhaustive search, ordered by (distance, database index).

    FAISS's own indexes promise neither the order of ties nor which of the items at the k-th distance
    they return; this function does.

    Args:
        query, database: codes, packed uint8 (q, bytes) and (n, bytes) or unpacked (q, bits) and (n, bits).
        k: number of neighbours, 1 to n.
        bits: length of the codes; needed where they are 0 and 1 alone.
        memory_mb: working memory beside arguments and result.

    Returns:
        distances int32 (q, k) and indices int64 (q, k).

    Raises:
        BenchError: not codes, different lengths, or ``k`` out of range.
    """
    query, database = packed_pair(query, database, bits)
    if not (isinstance(k, int | np.integer) and 1 <= k <= len(database)):
        raise BenchError(f"k is {k!r}; it must be between 1 and the {len(database)} codes of the database")
    nearest = np.empty((len(query), k), np.int32)
    indices = np.empty((len(query), k), np.int64)
    for chunk in scan.chunks(len(query), 3 * 8 * bins(query), memory_mb / 2):
        rows = np.arange(chunk.start, chunk.stop)
        counts = histograms_of(query, database, Nothing(len(query)), rows, memory_mb / 2)[:, 0]
        _nearest(query[chunk], database, counts, nearest[chunk], indices[chunk], memory_mb / 2)
    return nearest, indices


def _nearest(
    query: Codes,
    database: Codes,
    counts: Ints,
    nearest: NDArray[np.int32],
    indices: Ints,
    memory_mb: float,
) -> None:
    """Fill ``nearest`` and ``indices``, both (q, k): with the counts, the place of every item is known."""
    places = counts.cumsum(axis=1) - counts  # where the next item at each distance goes
    queries, k = scan.words(query), nearest.shape[1]

    def collect(start: int, items: Codes, rows: Ints) -> None:
        distances = np.empty(len(items), np.int32)
        for row in rows.tolist():
            scan.distances(queries[row], items, distances)
            reach = np.searchsorted(places[row], k) - 1
            found = np.flatnonzero(distances <= reach)
            ordered = found[np.argsort(distances[found].astype(np.uint16), kind="stable")]
            sizes = np.bincount(distances[ordered], minlength=reach + 1)
            within = np.arange(len(ordered)) - np.repeat(sizes.cumsum() - sizes, sizes)
            goals = places[row, distances[ordered]] + within
            kept = goals < k
            nearest[row, goals[kept]] = distances[ordered[kept]]
            indices[row, goals[kept]] = ordered[kept] + start
            places[row, : len(sizes)] += sizes

    with scan.threads() as run:
        for part in scan.blocks(len(database), 32 + database.shape[1], memory_mb):
            run(partial(collect, part.start, scan.words(database[part])), len(query))
