"""Exact Hamming ranking of binary codes, and the average precision of it.

Importable by itself: it needs numpy and FAISS only. Codes are packed, eight bits to a byte, or of any form
that ``pack_codes`` takes; two items are relevant to each other if they share a label. The database is
walked in blocks: working memory stays below ``memory_mb`` (512 by default), whatever the number of queries
and items, but for a bit per query and class of multi-hot labels, and for packed copies of unpacked codes.
``bits``, the code length, is needed only where 0 and 1 alone leave open what they are. Work is spread over
as many threads as FAISS uses (``OMP_NUM_THREADS``, ``faiss.omp_set_num_threads``); results do not depend on
it.

    >>> codes = pack_codes(np.array([[0.3, -1.2], [0.1, 0.0], [-2.0, -0.7]]))
    >>> hamming_search(codes[:1], codes, k=2)
    (array([[0, 1]], dtype=int32), array([[0, 1]]))
"""

from __future__ import annotations

from functools import partial
from typing import Any

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench import scan
from bench.codes import pack_codes, pack_signs, packed_pair
from bench.errors import BenchError
from bench.relevance import Block, Nothing, Relevance, relevance
from bench.scan import MEMORY_MB, Codes, Ints
from bench.ties import (
    Floats,
    Normalizer,
    Ties,
    average_precision_from_histograms,
    check_rule,
    denominator,
    hits_within,
)

__all__ = [
    "MEMORY_MB",
    "Codes",
    "Normalizer",
    "Ties",
    "average_precision",
    "average_precision_from_histograms",
    "cross_check",
    "distance_histograms",
    "hamming_search",
    "hits_within",
    "pack_codes",
    "pack_signs",
    "popcount_distances",
]


def popcount_distances(
    query: ArrayLike, database: ArrayLike, *, bits: int | None = None
) -> NDArray[np.int32]:
    """All Hamming distances in plain numpy, int32 (q, n): slow, a second opinion on FAISS.

    Args:
        query, database: codes, packed or not.
        bits: their length.
    """
    query, database = packed_pair(query, database, bits)
    rows = [np.bitwise_count(row ^ database).sum(axis=1, dtype=np.int32) for row in query]
    return np.array(rows, dtype=np.int32).reshape(len(query), len(database))


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
    counts = _histograms(some, database, Nothing(), slice(0, len(some)), MEMORY_MB)[:, 0]
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
    for chunk in scan.chunks(len(query), 3 * 8 * _bins(query), memory_mb / 2):
        counts = _histograms(query, database, Nothing(), chunk, memory_mb / 2)[:, 0]
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


def average_precision(
    query_codes: ArrayLike,
    database_codes: ArrayLike,
    query_labels: ArrayLike,
    database_labels: ArrayLike,
    *,
    bits: int | None = None,
    k: int | None = None,
    ties: Ties = "expected",
    normalizer: Normalizer = "relevant",
    memory_mb: float = MEMORY_MB,
) -> Floats:
    """AP@k of each query: (1 / norm) * sum over ranks r <= k of rel(r) * hits(r) / r.

    ``rel(r)`` is 1 if the item at rank r is relevant and ``hits(r)`` counts those up to r. The mean over
    queries is mAP@k. ``ties="index", normalizer="hits"`` is what DeepHash and its descendants print.

    Args:
        query_codes, database_codes: packed uint8 (q, bytes) and (n, bytes), or unpacked (q, bits) and
            (n, bits): floats by their sign, -1 and +1, bools.
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes).
        bits: length of the codes; needed where they are 0 and 1 alone, see ``pack_codes``.
        k: rank cut-off; None, or more than n, ranks the whole database.
        ties: order of items at the same distance: ``expected`` is the exact mean over all orders,
            ``index`` the order of the database, ``best`` and ``worst`` relevant items first and last.
        normalizer: ``relevant`` divides by all R relevant items, ``min`` by min(R, k), ``hits`` by the
            relevant items among the first k.
        memory_mb: working memory beside arguments and result.

    Returns:
        float64 (q,); 0 for a query with nothing to find.

    Raises:
        BenchError: arguments that do not fit together, in one line.
    """
    check_rule(k, ties, normalizer)
    query, database = packed_pair(query_codes, database_codes, bits)
    judged = relevance(query_labels, database_labels, len(query), len(database))
    scores = np.empty(len(query))
    for chunk in scan.chunks(len(query), _SCORE_ARRAYS * 8 * _bins(query), memory_mb / 2):
        histograms = _histograms(query, database, judged, chunk, memory_mb / 2)
        if ties == "index":
            arrays = query, database, judged
            gain, hits = _gain_by_index(*arrays, chunk, histograms, k, memory_mb / 2)
            scores[chunk] = gain / denominator(histograms[:, 1].sum(axis=1), hits, k, normalizer)
        else:
            rule = {"k": k, "ties": ties, "normalizer": normalizer}
            with scan.threads() as run:
                run(partial(_score, histograms, rule, scores[chunk]), len(histograms))
    return scores


def _score(histograms: Ints, rule: dict[str, Any], scores: Floats, rows: Ints) -> None:
    counts, relevant = histograms[rows].transpose(1, 0, 2)
    scores[rows] = average_precision_from_histograms(counts, relevant, **rule)


def distance_histograms(
    query_codes: ArrayLike,
    database_codes: ArrayLike,
    query_labels: ArrayLike,
    database_labels: ArrayLike,
    *,
    bits: int | None = None,
    memory_mb: float = MEMORY_MB,
) -> tuple[Ints, Ints]:
    """Count the items, and the relevant ones, at each distance from each query.

    All tie-aware scores follow from these counts (``average_precision_from_histograms``,
    ``hits_within``), so that several of them cost one scan.

    Args:
        query_codes, database_codes: packed uint8 (q, bytes) and (n, bytes), or unpacked (q, bits) and
            (n, bits): floats by their sign, -1 and +1, bools.
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes).
        bits: length of the codes; needed where they are 0 and 1 alone, see ``pack_codes``.
        memory_mb: working memory beside arguments and result.

    Returns:
        counts and relevant, both int64 (q, 8 * bytes + 1), column = distance.

    Raises:
        BenchError: arguments that do not fit together, in one line.
    """
    query, database = packed_pair(query_codes, database_codes, bits)
    judged = relevance(query_labels, database_labels, len(query), len(database))
    histograms = _histograms(query, database, judged, slice(0, len(query)), memory_mb)
    return histograms[:, 0], histograms[:, 1]


#: Numbers that the closed forms hold for each query and distance.
_SCORE_ARRAYS = 20

#: Queries whose counts are kept before they are added up.
_ROWS = 256


def _histograms(query: Codes, database: Codes, judged: Relevance, chunk: slice, memory_mb: float) -> Ints:
    """Items at each distance from each query of ``chunk``, and relevant ones: int64 (chunk, 2, bins)."""
    result = np.zeros((chunk.stop - chunk.start, 2, _bins(query)), np.int64)
    queries = scan.words(query[chunk])
    item_bytes = 32 + database.shape[1] + judged.item_bytes
    with scan.threads() as run:
        for part in scan.blocks(len(database), item_bytes, memory_mb):
            block = judged.block(part)
            items = scan.words(
                database[part] if block.order is None else database[part].take(block.order, axis=0)
            )
            run(partial(_count, queries, items, block, chunk.start, result), len(result))
    return result


def _count(queries: Codes, items: Codes, block: Block, first: int, result: Ints, rows: Ints) -> None:
    """Add the histograms of one block for the queries in ``rows``; row 0 is query number ``first``."""
    distances, spare = np.empty((2, len(items)), np.int32)
    counted = np.empty((_ROWS, *result.shape[1:]), np.int32)
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        for row, out in zip(some.tolist(), counted, strict=False):
            scan.distances(queries[row], items, distances)
            block.count(first + row, distances, spare, out)
        result[some] += counted[: len(some)]


def _gain_by_index(
    query: Codes,
    database: Codes,
    judged: Relevance,
    chunk: slice,
    histograms: Ints,
    k: int | None,
    memory_mb: float,
) -> tuple[Floats, Ints]:
    """Sum of the precisions at the hits up to rank k in database order, and how many hits these are.

    From the histograms it is known at which rank, and after how many hits, each distance begins.
    """
    gain, found = np.zeros(len(histograms)), np.zeros(len(histograms), np.int64)
    # Items and relevant items that come before the next one at each distance.
    before = histograms.cumsum(axis=2) - histograms
    queries = scan.words(query[chunk])
    small = np.min_scalar_type(_bins(query))  # numpy's stable sort of small integers is a radix sort

    def walk(block: Block, items: Codes, rows: Ints) -> None:
        distances, counts = np.empty(len(items), np.int32), np.empty(_bins(query), np.int32)
        for row in rows.tolist():
            scan.distances(queries[row], items, distances)
            scan.histogram(distances, counts)
            order = np.argsort(distances.astype(small), kind="stable")
            positions = np.flatnonzero(block.relevant(chunk.start + row)[order])
            at = distances[order[positions]]
            hits = np.bincount(at, minlength=len(counts))
            ranks = positions + 1 + (before[row, 0] - counts.cumsum() + counts)[at]
            numbers = np.arange(1, len(at) + 1) + (before[row, 1] - hits.cumsum() + hits)[at]
            kept = ranks <= (k or len(database))
            gain[row] += (numbers[kept] / ranks[kept]).sum()
            found[row] += np.count_nonzero(kept)
            before[row] += counts, hits

    with scan.threads() as run:
        for part in scan.blocks(len(database), 64 + database.shape[1] + judged.item_bytes, memory_mb):
            run(partial(walk, judged.block(part), scan.words(database[part])), len(histograms))
    return gain, found


def _bins(codes: Codes) -> int:
    """Number of different distances between codes of this length."""
    return 8 * int(codes.shape[1]) + 1
