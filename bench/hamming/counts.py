"""How many items, and how many relevant ones, lie at each distance from each query: one scan, every score."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from bench.hamming import scan
from bench.hamming.codes import bins, packed_pair
from bench.hamming.copies import Copies, as_words, copies, every, identical
from bench.hamming.gathered import FEWER, Gathered
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
    asked = alike(query, judged)
    histograms = histograms_of(query, database, judged, asked.first, memory_mb)
    if len(asked.first) == len(query):
        return histograms[:, 0], histograms[:, 1]
    return histograms[asked.number, 0], histograms[asked.number, 1]


#: Queries whose counts are kept before they are added up.
_ROWS = 256
#: With fewer queries than this, looking for copies takes longer than scanning them.
_FEW = 16
#: Bytes that looking for copies takes, per item.
_COPY_BYTES = 100


def alike(query: Codes, judged: Relevance) -> Copies:
    """Queries that get the same scores: they have the same code and the same relevant items.

    Those of one code are neighbours in ``first``.
    """
    words = as_words(query)
    found = identical(np.concatenate([words, judged.alike[:, None].view(np.uint64)], axis=1))
    if len(found.first) == len(query):
        return every(len(query))
    order = np.argsort(identical(words).number[found.first], kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Copies(found.first[order], place[found.number])


def histograms_of(query: Codes, database: Codes, judged: Relevance, rows: Ints, memory_mb: float) -> Ints:
    """Items at each distance from the queries numbered ``rows``, and relevant ones: int64 (rows, 2, bins)."""
    result = np.zeros((len(rows), 2, bins(query)), np.int64)
    queries = scan.words(query[rows])
    item_bytes = 32 + _COPY_BYTES + database.shape[1] + judged.item_bytes
    with scan.threads() as run:
        for part in scan.blocks(len(database), item_bytes, memory_mb):
            gathered = _gathered(database, judged, part) if len(rows) >= _FEW else None
            if gathered:
                run(partial(gathered.add, queries, rows, judged.alike[rows], result), len(rows))
                continue
            block = judged.block(part)
            items = database[part] if block.order is None else database[part].take(block.order, axis=0)
            run(partial(_count, queries, scan.words(items), block, rows, result), len(rows))
    return result


def _gathered(database: Codes, judged: Relevance, part: slice) -> Gathered | None:
    """The items of ``part`` by their codes; None where those are too many for that to pay."""
    items = database[part]
    found = copies(as_words(items), len(items) // FEWER)
    hits = judged.gathered(part, found) if found else None
    return Gathered(scan.words(items[found.first]), found.counts(), hits) if found and hits else None


def _count(queries: Codes, items: Codes, block: Block, rows: Ints, result: Ints, some: Ints) -> None:
    """Add the histograms of one block for ``some`` of ``rows``, the numbers of ``queries``."""
    distances, spare = np.empty((2, len(items)), np.int32)
    counted = np.empty((_ROWS, *result.shape[1:]), np.int32)
    for start in range(0, len(some), _ROWS):
        at = some[start : start + _ROWS]
        for place, out in zip(at.tolist(), counted, strict=False):
            scan.distances(queries[place], items, distances)
            block.count(rows[place], distances, spare, out)
        result[at] += counted[: len(at)]
