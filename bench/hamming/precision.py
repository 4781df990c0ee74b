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
from bench.hamming.counts import alike, histograms_of
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
    asked = alike(query, judged)
    scores = np.empty(len(asked.first))
    for chunk in scan.chunks(len(scores), _SCORE_ARRAYS * 8 * bins(query), memory_mb / 2):
        rows = asked.first[chunk]
        histograms = histograms_of(query, database, judged, rows, memory_mb / 2)
        if ties == "index":
            gain, hits = _gain_by_index(query, database, judged, rows, histograms, k, memory_mb / 2)
            scores[chunk] = gain / denominator(histograms[:, 1].sum(axis=1), hits, k, normalizer)
        else:
            rule = {"k": k, "ties": ties, "normalizer": normalizer}
            with scan.threads() as run:
                run(partial(_score, histograms, rule, scores[chunk]), len(histograms))
    return scores[asked.number]


def _score(histograms: Ints, rule: dict[str, Any], scores: Floats, rows: Ints) -> None:
    counts, relevant = histograms[rows].transpose(1, 0, 2)
    scores[rows] = average_precision_from_histograms(counts, relevant, **rule)


#: Numbers that the closed forms hold for each query and distance.
_SCORE_ARRAYS = 20


def _gain_by_index(
    query: Codes,
    database: Codes,
    judged: Relevance,
    rows: Ints,
    histograms: Ints,
    k: int | None,
    memory_mb: float,
) -> tuple[Floats, Ints]:
    """Sum of the precisions at the hits up to rank k in database order, and how many hits these are.

    From the histograms, those of the queries numbered ``rows``, it is known at which rank, and after how many
    hits, each distance begins. Neighbours of one code share the order of the items.
    """
    gain, found = np.zeros(len(histograms)), np.zeros(len(histograms), np.int64)
    # Items and relevant items that come before the next one at each distance.
    before = histograms.cumsum(axis=2) - histograms
    queries = scan.words(query[rows])
    repeats = np.append(False, (queries[1:] == queries[:-1]).all(axis=1))
    small = np.min_scalar_type(bins(query))  # numpy's stable sort of small integers is a radix sort

    def walk(block: Block, items: Codes, some: Ints) -> None:
        distances, counts = np.empty(len(items), np.int32), np.empty(bins(query), np.int32)
        for place in some.tolist():
            if place == some[0] or not repeats[place]:
                scan.distances(queries[place], items, distances)
                scan.histogram(distances, counts)
                order = np.argsort(distances.astype(small), kind="stable")
            positions = np.flatnonzero(block.relevant(rows[place]).take(order))
            at = distances.take(order.take(positions))
            hits = np.bincount(at, minlength=len(counts))
            ranks = positions + 1 + (before[place, 0] - counts.cumsum() + counts).take(at)
            numbers = np.arange(1, len(at) + 1) + (before[place, 1] - hits.cumsum() + hits).take(at)
            if k:
                kept = ranks <= k
                numbers, ranks = numbers[kept], ranks[kept]
            gain[place] += (numbers / ranks).sum()
            found[place] += len(ranks)
            before[place] += counts, hits

    with scan.threads() as run:
        for part in scan.blocks(len(database), 64 + database.shape[1] + judged.item_bytes, memory_mb):
            run(partial(walk, judged.block(part), scan.words(database[part])), len(histograms))
    return gain, found
