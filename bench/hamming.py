"""Exact Hamming ranking of binary codes, and the average precision of it.

Importable by itself: it needs numpy and FAISS only. Codes are packed, eight bits to a byte; two items
are relevant to each other if they share a label. Work is spread over as many threads as FAISS uses
(``faiss.omp_set_num_threads``, ``OMP_NUM_THREADS``); results do not depend on their number.

    >>> codes = pack_codes(np.array([[0.3, -1.2], [0.1, 0.0], [-2.0, -0.7]]))
    >>> hamming_search(codes[:1], codes, k=2)
    (array([[0, 1]], dtype=int32), array([[0, 1]]))
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError
from bench.ties import (
    Floats,
    Ints,
    Normalizer,
    Ties,
    average_precision_from_histograms,
    check_rule,
    denominator,
    expected_hits,
)

__all__ = [
    "Normalizer",
    "Ties",
    "average_precision",
    "average_precision_from_histograms",
    "distance_histograms",
    "expected_hits",
    "hamming_search",
    "pack_codes",
    "popcount_distances",
]

Codes = NDArray[np.uint8]

#: FAISS under a name without types: its stubs leave the low-level routines out.
_faiss: Any = faiss

#: Database items per step of a scan: their codes, distances and labels stay in a core's L2 cache.
_BLOCK = 1 << 16


def pack_codes(u: ArrayLike) -> Codes:
    """Binary codes of real-valued outputs: bit = (u >= 0), so that sign(0) = +1.

    Args:
        u: float (n, bits).

    Returns:
        uint8 (n, ceil(bits / 8)), first bit highest; the last byte is filled up with 0 bits.

    Raises:
        BenchError: not a float matrix, or a NaN in it.
    """
    values = np.asarray(u)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise BenchError(f"pack_codes takes floats of shape (n, bits), not {_describe(values)}")
    bad = np.isnan(values).any(axis=1)
    if bad.any():
        raise BenchError(f"{bad.sum()} of {len(bad)} rows to pack hold NaN, the first is row {bad.argmax()}")
    return np.packbits(values >= 0, axis=1)


def popcount_distances(query: Codes, database: Codes) -> NDArray[np.int32]:
    """All Hamming distances in plain numpy, int32 (q, n): slow, a second opinion on FAISS.

    Args:
        query, database: packed uint8 (q, bytes) and (n, bytes).
    """
    _check_codes(query, database)
    rows = [np.unpackbits(row ^ database, axis=1).sum(axis=1, dtype=np.int32) for row in query]
    return np.array(rows, dtype=np.int32).reshape(len(query), len(database))


def hamming_search(query: Codes, database: Codes, k: int) -> tuple[NDArray[np.int32], Ints]:
    """The k nearest codes by exhaustive search, ordered by (distance, database index).

    Args:
        query, database: packed uint8 (q, bytes) and (n, bytes).
        k: number of neighbours, 1 to n.

    Returns:
        distances int32 (q, k) and indices int64 (q, k).

    Raises:
        BenchError: not packed codes, different lengths, or ``k`` out of range.
    """
    _check_codes(query, database)
    if not 1 <= k <= len(database):
        raise BenchError(f"k is {k}; it must be between 1 and the {len(database)} codes of the database")
    index = faiss.IndexBinaryFlat(8 * database.shape[1])
    index.add(np.ascontiguousarray(database))
    nearest = index.search(np.ascontiguousarray(query), k)[0]
    # The k smallest distances are unique, the items are not: FAISS promises neither the order of ties
    # nor which of the items at the k-th distance it returns. So they are looked up in database order.
    indices = np.empty(nearest.shape, np.int64)
    queries, items = _words(query), _words(database)

    def scan(rows: Ints) -> None:
        distances = np.empty(len(items), np.int32)
        for row in rows:
            _hammings(queries[row], items, distances)
            candidates = np.flatnonzero(distances <= nearest[row, -1])
            indices[row] = candidates[_stable_order(distances[candidates], items)[:k]]

    _in_threads(scan, np.arange(len(query)))
    return nearest, indices


def average_precision(
    query_codes: Codes,
    database_codes: Codes,
    query_labels: ArrayLike,
    database_labels: ArrayLike,
    *,
    k: int | None = None,
    ties: Ties = "expected",
    normalizer: Normalizer = "relevant",
) -> Floats:
    """AP@k of each query: (1 / norm) * sum over ranks r <= k of rel(r) * hits(r) / r.

    ``rel(r)`` is 1 if the item at rank r is relevant and ``hits(r)`` counts those up to r. The mean over
    queries is mAP@k. ``ties="index", normalizer="hits"`` is what DeepHash and its descendants print.

    Args:
        query_codes, database_codes: packed uint8 (q, bytes) and (n, bytes).
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes).
        k: rank cut-off; None, or more than n, ranks the whole database.
        ties: order of items at the same distance: ``expected`` is the exact mean over all orders,
            ``index`` the order of the database, ``best`` and ``worst`` relevant items first and last.
        normalizer: ``relevant`` divides by all R relevant items, ``min`` by min(R, k), ``hits`` by the
            relevant items among the first k.

    Returns:
        float64 (q,); 0 for a query with nothing to find.

    Raises:
        BenchError: arguments that do not fit together, in one line.
    """
    check_rule(k, ties, normalizer)
    if ties == "index":
        inputs = _Inputs(query_codes, database_codes, query_labels, database_labels)
        gain, hits, total = _scores_by_index(inputs, k)
        return gain / denominator(total, hits, k, normalizer)
    counts, relevant = distance_histograms(query_codes, database_codes, query_labels, database_labels)
    return average_precision_from_histograms(counts, relevant, k=k, ties=ties, normalizer=normalizer)


def distance_histograms(
    query_codes: Codes, database_codes: Codes, query_labels: ArrayLike, database_labels: ArrayLike
) -> tuple[Ints, Ints]:
    """Count the items, and the relevant ones, at each distance from each query.

    All tie-aware scores follow from these counts (``average_precision_from_histograms``,
    ``expected_hits``), so that several of them cost one scan. Besides the result and copies of codes and
    labels, memory is about 1 MB a thread, whatever the number of queries and items.

    Args:
        query_codes, database_codes: packed uint8 (q, bytes) and (n, bytes).
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes).

    Returns:
        counts and relevant, both int64 (q, 8 * bytes + 1), column = distance.

    Raises:
        BenchError: arguments that do not fit together, in one line.
    """
    inputs = _Inputs(query_codes, database_codes, query_labels, database_labels)
    bins = 8 * query_codes.shape[1] + 1
    histograms = np.zeros((len(query_codes), 2 * bins), np.int64)

    def scan(rows: Ints) -> None:
        buffer, histogram = np.empty(_BLOCK, np.int32), np.empty(2 * bins, np.int32)
        for start in range(0, len(inputs.items), _BLOCK):
            block = slice(start, start + _BLOCK)
            items = inputs.items[block]
            distances = buffer[: len(items)]
            for label, members in groupby(rows, inputs.query_labels.__getitem__):
                # Relevant items are counted in the second half of the bins.
                offsets = inputs.shared(int(label)) * np.int32(bins)
                offset = offsets[inputs.item_labels[block]]
                for row in members:
                    _hammings(inputs.queries[row], items, distances)
                    distances += offset
                    _histogram(distances, histogram)
                    histograms[row] += histogram

    _in_threads(scan, inputs.query_order)
    irrelevant, relevant = histograms[:, :bins], histograms[:, bins:]
    return irrelevant + relevant, relevant


def _scores_by_index(inputs: _Inputs, k: int | None) -> tuple[Floats, Ints, Ints]:
    """Per query in database order: sum of precisions at the hits, hits up to rank k, all relevant items."""
    gain = np.zeros(len(inputs.queries))
    hits, total = np.zeros((2, len(inputs.queries)), np.int64)

    def scan(rows: Ints) -> None:
        distances = np.empty(len(inputs.items), np.int32)
        for label, members in groupby(rows, inputs.query_labels.__getitem__):
            relevant = inputs.shared(int(label))[inputs.item_labels]
            for row in members:
                _hammings(inputs.queries[row], inputs.items, distances)
                ranks = np.flatnonzero(relevant[_stable_order(distances, inputs.items)[:k]]) + 1
                gain[row] = (np.arange(1, len(ranks) + 1) / ranks).sum()
                hits[row], total[row] = len(ranks), np.count_nonzero(relevant)

    _in_threads(scan, inputs.query_order)
    return gain, hits, total


class _Inputs:
    """Codes and labels, checked and in the form that a scan wants.

    Which items are relevant is decided once for all queries and items with equal labels; queries are
    scanned in the order of their labels.

    Attributes:
        queries, items: uint8 (q, words * 8) and (n, words * 8), see ``_words``.
        query_labels, item_labels: int64 (q,) and (n,), the same number for the same labels.
        query_order: int64 (q,), the queries sorted by ``query_labels``.
    """

    def __init__(
        self, query_codes: Codes, database_codes: Codes, query_labels: ArrayLike, database_labels: ArrayLike
    ) -> None:
        _check_codes(query_codes, database_codes)
        query, database = np.asarray(query_labels), np.asarray(database_labels)
        _check_labels("query", query, query_codes)
        _check_labels("database", database, database_codes)
        if query.shape[1:] != database.shape[1:]:
            raise BenchError(
                f"query labels {_describe(query)} and database labels {_describe(database)} do not match"
            )
        self.queries, self.items = _words(query_codes), _words(database_codes)
        self._relation: np.ufunc = np.equal if query.ndim == 1 else np.bitwise_and
        self._of_queries, self.query_labels = _distinct(query)
        self._of_items, self.item_labels = _distinct(database)
        self.query_order = np.argsort(self.query_labels, kind="stable")

    def shared(self, label: int) -> NDArray[np.bool_]:
        """Whether items are relevant to queries with ``label``, by item label."""
        return np.asarray(self._relation(self._of_items, self._of_queries[:, label, None]).any(axis=0))


def _distinct(labels: NDArray[Any]) -> tuple[NDArray[np.uint64], Ints]:
    """The distinct labels, uint64 (words, distinct), multi-hot ones as bits; and which one each item has."""
    if labels.ndim == 1:
        keys = labels.astype(np.int64)
    else:
        # Rows sort ten times faster as byte strings than with np.unique(axis=0).
        rows = _words(np.packbits(labels != 0, axis=1))
        keys = rows.view(f"S{rows.shape[1]}")[:, 0]
    distinct, numbers = np.unique(keys, return_inverse=True)
    return distinct.view(np.uint64).reshape(len(distinct), keys.itemsize // 8).T, numbers


def _words(packed: Codes) -> Codes:
    """Fill up with zero bytes to whole 64-bit words, which FAISS's low-level routines ask for."""
    missing = -packed.shape[1] % 8
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, missing))))


def _hammings(query: Codes, items: Codes, distances: NDArray[np.int32]) -> None:
    """Write the distances of one code from each of ``items`` into ``distances``; all contiguous."""
    pointers = [faiss.swig_ptr(array) for array in (query, items, distances)]
    _faiss.hammings(pointers[0], pointers[1], 1, len(items), items.shape[1], pointers[2])


def _histogram(values: NDArray[np.int32], counts: NDArray[np.int32]) -> None:
    """Overwrite ``counts`` with how often 0, 1, ... occur in ``values``; both contiguous."""
    _faiss.ivec_hist(len(values), faiss.swig_ptr(values), len(counts), faiss.swig_ptr(counts))


def _stable_order(distances: NDArray[np.int32], items: Codes) -> Ints:
    """Order by (distance, position); in the smallest dtype, for which numpy's stable sort is radix."""
    return np.argsort(distances.astype(np.min_scalar_type(8 * items.shape[1])), kind="stable")


def _in_threads(scan: Callable[[Ints], None], rows: Ints) -> None:
    """Call ``scan`` on equal shares of ``rows``, in order; FAISS and numpy release the interpreter lock."""
    threads = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(scan, np.array_split(rows, threads)))


def _check_codes(query: Codes, database: Codes) -> None:
    for name, codes in (("query", query), ("database", database)):
        if (
            not isinstance(codes, np.ndarray)
            or codes.dtype != np.uint8
            or codes.ndim != 2
            or not codes.shape[1]
        ):
            raise BenchError(
                f"{name} codes must be uint8 (n, bytes) as pack_codes returns, not {_describe(codes)}"
            )
    if query.shape[1] != database.shape[1]:
        raise BenchError(f"query codes have {query.shape[1]} bytes, database codes {database.shape[1]}")


def _check_labels(name: str, labels: NDArray[Any], codes: Codes) -> None:
    single = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)
    multi = labels.ndim == 2 and labels.shape[1] > 0 and bool(((labels == 0) | (labels == 1)).all())
    if not (single or multi):
        raise BenchError(f"{name} labels must be int (n,) or 0/1 (n, classes), not {_describe(labels)}")
    if len(labels) != len(codes):
        raise BenchError(f"{len(codes)} {name} codes have {len(labels)} labels")


def _describe(value: Any) -> str:
    array = np.asarray(value)
    return f"{array.dtype} {array.shape}"
