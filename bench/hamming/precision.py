"""Average precision of a ranking by Hamming distance, with every rule for ties.

Scores whose items at one distance are averaged, or put first or last, follow from histograms alone; the order
of the database needs a walk over it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.hamming import scan
from bench.hamming.codes import bins, packed_pair
from bench.hamming.counts import histograms_of
from bench.hamming.relevance import Block, Relevance, relevance
from bench.hamming.scan import MEMORY_MB, Codes, Ints
from bench.hamming.ties import (
    Floats,
    Normalizer,
    Ties,
    average_precision_from_histograms,
    check_rule,
    denominator,
)


def average_precision(
    query_codes: ArrayLike,
    database_codes: ArrayLike,
    query_labels: ArrayLike,
    database_labels: ArrayLike | None,
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
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes); or, with None
            for the database, int (q, m): the items that answer each query, -1 where there are fewer.
        bits: length of the codes; needed where they are 0 and 1 alone, see ``pack_codes``.
        k: rank cut-off; None ranks the whole database, and so does more than n, as no item lies beyond.
            (``evaluate``, whose numbers are called by ``k``, refuses that.)
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
    for chunk in scan.chunks(len(query), _SCORE_ARRAYS * 8 * bins(query), memory_mb / 2):
        histograms = histograms_of(query, database, judged, chunk, memory_mb / 2)
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


#: Numbers that the closed forms hold for each query and distance.
_SCORE_ARRAYS = 20


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
    small = np.min_scalar_type(bins(query))  # numpy's stable sort of small integers is a radix sort

    def walk(block: Block, items: Codes, rows: Ints) -> None:
        distances, counts = np.empty(len(items), np.int32), np.empty(bins(query), np.int32)
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
