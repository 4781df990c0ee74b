"""How many items, and how many relevant ones, lie at each distance from each query: one scan, every score."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from bench.hamming import scan
from bench.hamming.codes import bins, packed_pair
from bench.hamming.relevance import Block, Relevance, relevance
from bench.hamming.scan import MEMORY_MB, Codes, Ints


def distance_histograms(
    query_codes: ArrayLike,
    database_codes: ArrayLike,
    query_labels: ArrayLike,
    database_labels: ArrayLike | None,
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
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes); or, with None
            for the database, int (q, m): the items that answer each query, -1 where there are fewer.
        bits: length of the codes; needed where they are 0 and 1 alone, see ``pack_codes``.
        memory_mb: working memory beside arguments and result.

    Returns:
        counts and relevant, both int64 (q, 8 * bytes + 1), column = distance.

    Raises:
        BenchError: arguments that do not fit together, in one line.
    """
    query, database = packed_pair(query_codes, database_codes, bits)
    judged = relevance(query_labels, database_labels, len(query), len(database))
    histograms = histograms_of(query, database, judged, slice(0, len(query)), memory_mb)
    return histograms[:, 0], histograms[:, 1]


#: Queries whose counts are kept before they are added up.
_ROWS = 256


def histograms_of(query: Codes, database: Codes, judged: Relevance, chunk: slice, memory_mb: float) -> Ints:
    """Items at each distance from each query of ``chunk``, and relevant ones: int64 (chunk, 2, bins)."""
    result = np.zeros((chunk.stop - chunk.start, 2, bins(query)), np.int64)
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
