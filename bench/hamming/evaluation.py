"""Everything that codes are judged by, in one call: accuracies with their intervals, and what to doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.errors import BenchError
from bench.hamming.bootstrap import mean_intervals
from bench.hamming.codes import packed_with_length
from bench.hamming.counts import distance_histograms
from bench.hamming.measures import (
    area_under,
    average_precision_in_ball,
    curve_by_radius,
    curve_by_rank,
    in_ball,
    map_name,
    map_rules,
    spaced_ranks,
    tied_pairs,
)
from bench.hamming.precision import average_precision
from bench.hamming.scan import MEMORY_MB
from bench.hamming.search import cross_check
from bench.hamming.ties import (
    Floats,
    Normalizer,
    Ties,
    average_precision_from_histograms,
    check_rule,
    hits_within,
)
from bench.hamming.variety import code_counts, constant_bits

ORDERS: tuple[Ties, ...] = ("expected", "best", "worst")
#: Points of a precision-recall curve by rank.
POINTS = 50


@dataclass(frozen=True)
class Score:
    """A mean over queries.

    Attributes:
        value: a fraction; more is better, of ``tied_pairs`` less.
        interval: its 95 % interval, had other queries been drawn; None for the area under a curve of means.
        by_query: float64 (q,), what it is the mean of; None where ``interval`` is.
    """

    value: float
    interval: tuple[float, float] | None = None
    by_query: Floats | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Evaluation:
    """What codes are worth.

    Attributes:
        queries, items: how many of them.
        bits: length of the codes.
        hitless: queries to which nothing is relevant; they score 0.
        scores: by the names that records have, ``map@all:expected:relevant`` first (``results/README.md``).
        distinct_codes: how many different ones the database has.
        commonest_code: share of the database that has the commonest one.
        constant_bits: those that are the same in the whole database, by their places.
    """

    queries: int
    items: int
    bits: int
    hitless: int
    scores: dict[str, Score]
    distinct_codes: int
    commonest_code: float
    constant_bits: tuple[int, ...]

    @property
    def map(self) -> Score:
        """Mean average precision under the rule that was asked for."""
        return next(iter(self.scores.values()))


def evaluate(
    query_codes: ArrayLike,
    database_codes: ArrayLike,
    query_labels: ArrayLike,
    database_labels: ArrayLike | None,
    *,
    bits: int | None = None,
    k: int | None = None,
    ties: Ties = "expected",
    normalizer: Normalizer = "relevant",
    precision_ks: Sequence[int] = (1, 10, 100),
    recall_ks: Sequence[int] = (100, 1000),
    memory_mb: float = MEMORY_MB,
) -> Evaluation:
    """Judge codes as a record of the suite does, to the bit.

    Args:
        query_codes, database_codes: packed uint8 (q, bytes) and (n, bytes), or unpacked (q, bits) and
            (n, bits): floats by their sign, -1 and +1, bools.
        query_labels, database_labels: int (q,) and (n,), or 0/1 (q, classes) and (n, classes); or, with None
            for the database, int (q, m): the items that answer each query, -1 where there are fewer.
        bits: length of the codes; needed where they are 0 and 1 alone, see ``pack_codes``. Packed ones have
            eight bits a byte unless it says less.
        k: rank cut-off of mAP, at most n, as its name says it; None ranks the whole database.
        ties, normalizer: of mAP, see ``average_precision``.
        precision_ks, recall_ks: ranks at which precision and recall are taken; those beyond n are left out.
        memory_mb: working memory of a scan, beside arguments and counts.

    Raises:
        BenchError: arguments that do not fit together, ``k`` beyond n, or nothing relevant to any query.
    """
    check_rule(k, ties, normalizer)
    query, database, length = packed_with_length(query_codes, database_codes, bits)
    check_cut(k, len(database))
    cross_check(query, database, bits=length)
    arrays = query, database, query_labels, database_labels
    counts, relevant = distance_histograms(*arrays, bits=length, memory_mb=memory_mb)
    total = relevant.sum(axis=1)
    check_relevant(int(np.count_nonzero(total)), len(total))
    by_query: dict[str, Floats] = {}
    for order, divisor in map_rules(ties, normalizer):
        rule: dict[str, Any] = {"k": k, "ties": order, "normalizer": divisor}
        by_query[map_name(k, order, divisor)] = (
            average_precision(*arrays, bits=length, memory_mb=memory_mb, **rule)
            if order == "index"
            else average_precision_from_histograms(counts, relevant, **rule)
        )
    for rank in (rank for rank in precision_ks if rank <= len(database)):
        by_query[f"precision_at_k@{rank}"] = hits_within(counts, relevant, rank) / rank
    for rank in (rank for rank in recall_ks if rank <= len(database)):
        by_query[f"recall_at_k@{rank}"] = hits_within(counts, relevant, rank) / np.maximum(total, 1)
    by_query["precision_hamming2"], by_query["recall_hamming2"] = in_ball(counts, relevant)
    for order in ORDERS:
        by_query[f"map_hamming2:{order}"] = average_precision_in_ball(counts, relevant, order)
    tied = tied_pairs(counts, relevant)  # of some queries alone
    curves = {
        "pr_curve:radius": curve_by_radius(counts, relevant, length),
        "pr_curve:rank": curve_by_rank(counts, relevant, spaced_ranks(len(database), POINTS)),
    }
    copies = code_counts(database)
    return Evaluation(
        queries=len(query),
        items=len(database),
        bits=length,
        hitless=int(np.count_nonzero(total == 0)),
        scores={
            **_means(by_query),
            **(_means({"tied_pairs": tied}) if len(tied) else {}),
            **{name: Score(area_under(curve)) for name, curve in curves.items()},
        },
        distinct_codes=len(copies),
        commonest_code=float(copies.max() / copies.sum()),
        constant_bits=tuple(constant_bits(database, length).tolist()),
    )


def check_cut(k: int | None, items: int) -> None:
    """Raise BenchError where ``k`` goes beyond a database of ``items``."""
    if k is not None and k > items:
        raise BenchError(f"k is {k}, but the database has {items} items; give at most that, or leave it out")


def check_relevant(answered: int, queries: int) -> None:
    """Raise BenchError where none of the queries has anything to find."""
    if not answered:
        raise BenchError(
            f"nothing in the database is relevant to any of the {queries} queries; do both sides number "
            "their classes alike?"
        )


def _means(by_query: dict[str, Floats]) -> dict[str, Score]:
    intervals = mean_intervals([*by_query.values()])
    return {
        name: Score(float(scores.mean()), interval, scores)
        for (name, scores), interval in zip(by_query.items(), intervals, strict=True)
    }
