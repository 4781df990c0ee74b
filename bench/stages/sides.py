"""The codes of a cell apart by seen and unseen classes, so that a metric is taken on each side, too."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.hamming import distance_histograms
from bench.results.sides import with_side
from bench.types import Measurement, Retrieval, Unseen


def counted_once(codes: Retrieval) -> Retrieval:
    """``codes`` whose distances are counted when the first metric asks for them, and kept for the others."""
    arrays = codes.query, codes.database, codes.query_labels, codes.database_labels
    return replace(codes, histograms=functools.cache(lambda: distance_histograms(*arrays, bits=codes.bits)))


def sides(whole: Retrieval, unseen: Unseen | None) -> dict[str, Retrieval]:
    """Side, see ``bench.results.sides`` -> its queries and its database, in the order that they had.

    What has no query or nothing to search, as in limited runs, is left out. Images whose class is in no
    training for being too small are no unseen ones: they stay with the seen ones, as pictures that answer
    no query.
    """
    if unseen is None:
        return {}
    asked, there = (np.isin(index, unseen.images) for index in (whole.query_index, whole.database_index))
    parts = {
        "seen": counted_once(_part(whole, ~asked, ~there)),
        "unseen": counted_once(_part(whole, asked, there)),
        "seen_in_all": _asking(whole, ~asked),
        "unseen_in_all": _asking(whole, asked),
    }
    return {side: part for side, part in parts.items() if len(part.query) and len(part.database)}


def on_each_side(
    compute: Callable[[Retrieval], Measurement], whole: Retrieval, parts: Mapping[str, Retrieval]
) -> Measurement:
    """What ``compute`` finds of ``whole``, then of each side under names that say so.

    Scores by query on a side are of its queries alone. Warnings are those of the whole.
    """
    found = compute(whole)
    values, per_query = dict(found.values), dict(found.per_query)
    for side, part in parts.items():
        one = compute(part)
        values |= {with_side(name, side): value for name, value in one.values.items()}
        per_query |= {with_side(name, side): scores for name, scores in one.per_query.items()}
    return replace(found, values=values, per_query=per_query)


def _part(whole: Retrieval, asked: NDArray[np.bool_], there: NDArray[np.bool_]) -> Retrieval:
    """Some queries in a part of the database."""
    assert whole.database_labels is not None
    return replace(
        whole,
        query=whole.query[asked],
        database=whole.database[there],
        query_labels=whole.query_labels[asked],
        database_labels=whole.database_labels[there],
        query_index=whole.query_index[asked],
        database_index=whole.database_index[there],
        histograms=None,
    )


def _asking(whole: Retrieval, asked: NDArray[np.bool_]) -> Retrieval:
    """Some queries in the whole database, whose distances are counted already, or will be for all queries."""
    histograms = whole.histograms
    part = _part(whole, asked, np.ones(len(whole.database), np.bool_))
    if histograms is None:
        return part
    return replace(part, histograms=lambda: (histograms()[0][asked], histograms()[1][asked]))
