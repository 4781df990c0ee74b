"""Which configurations differ over many data sets: Friedman's test, and Nemenyi's critical difference.

Source: Demšar, Statistical comparisons of classifiers over multiple data sets, Journal of Machine Learning
Research 7, 2006, sections 3.2.2 and 3.2.3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from bench.results.ranks import LEVEL, Ranks, table_of
from bench.results.summary import Summary


def ranks(summary: Summary) -> Ranks | None:
    """Mean ranks over the data sets of a report; None where ``table_of`` finds nothing to rank."""
    if (table := table_of(summary)) is None:
        return None
    ranked = within_blocks(table.values)
    means = ranked.mean(axis=0)
    order = sorted(range(len(table.names)), key=lambda i: (means[i], i))
    return Ranks(
        names=[table.names[i] for i in order],
        means=[float(means[i]) for i in order],
        blocks=table.blocks,
        p=friedman(ranked),
        critical=critical_difference(len(table.names), len(table.blocks)),
        shared=table.shared,
    )


def within_blocks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks within each line of ``values``, (blocks, k): 1 for the largest, their mean for equal ones."""
    every = np.asarray(values, np.float64)
    above = (every[:, None, :] > every[:, :, None]).sum(axis=2)
    equal = (every[:, None, :] == every[:, :, None]).sum(axis=2)
    return np.asarray(above + (equal + 1) / 2)


def friedman(ranked: NDArray[np.float64]) -> float:
    """P value, by chi-squared, of all columns of ranks, (blocks, k), being alike; ties are accounted for."""
    blocks, k = ranked.shape
    spread = float(((ranked - (k + 1) / 2) ** 2).sum())
    if not spread:
        return 1.0
    between = float(((ranked.sum(axis=0) - blocks * (k + 1) / 2) ** 2).sum())
    return float(chdtrc(k - 1, (k - 1) * between / spread))


def critical_difference(k: int, blocks: int) -> float:
    """By how much mean ranks of ``k`` over so many ``blocks`` must differ to be told apart (Nemenyi)."""
    from scipy.stats import studentized_range  # half a second, for the few who have as many data sets

    quantile = float(studentized_range.ppf(1 - LEVEL, k, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(k * (k + 1) / (6 * blocks))
