"""How often a row is on the front, dominates another, or is the one to take, in many draws of all rows.

Draws are joint: line ``i`` of accuracies and of costs is one world, in which other seeds and other queries
were drawn for all rows together. Accuracies are written so that more is better, costs so that less is. A row
that is not a number in a draw is neither on its front nor dominates anything there.

Sources: Efron, Bootstrap methods, Annals of Statistics 1979, for shares of draws; Fonseca, Fonseca and Hall,
Inferential performance assessment of stochastic optimisers and the attainment function, EMO 2001, for what a
budget attains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Differences that binary fractions make, as where a student is recommended: 0.65 - 0.63 is more than 0.02.
_ROUNDING = 1e-9


def on_front(accuracy: Floats, cost: Floats) -> NDArray[np.bool_]:
    """Which rows no other row dominates, bool (draws, rows); equal rows stay on the front together.

    A row dominates another if it is at least as accurate and costs no more, and is better in one of them.

    Args:
        accuracy: float64 (draws, rows), more is better.
        cost: float64 (draws, rows), less is better.
    """
    known = ~(np.isnan(accuracy) | np.isnan(cost))
    accuracy, cost = np.where(known, accuracy, -np.inf), np.where(known, cost, np.inf)
    order = np.lexsort((-accuracy, cost), axis=1)
    a, c = np.take_along_axis(accuracy, order, 1), np.take_along_axis(cost, order, 1)
    before = np.full_like(a, -np.inf)
    np.maximum.accumulate(a[:, :-1], axis=1, out=before[:, 1:])
    risen = a > before
    # Who was the first, and so the cheapest, to be as accurate as anybody so far.
    holder = np.maximum.accumulate(np.where(risen, np.arange(a.shape[1]), 0), axis=1)
    level = (a == before) & (c == np.take_along_axis(c, holder, 1))
    found = np.empty_like(known)
    np.put_along_axis(found, order, risen | level, 1)
    return found & known


def dominance(accuracy: Floats, cost: Floats) -> Floats:
    """P(row dominates column), float64 (rows, rows), with arguments as of ``on_front``; the diagonal is 0."""
    rows = accuracy.shape[1]
    found = np.zeros((rows, rows))
    for i in range(rows):
        a, c = accuracy[:, i, None], cost[:, i, None]
        at_least = (a >= accuracy) & (c <= cost)
        found[i] = (at_least & ((a > accuracy) | (c < cost))).mean(axis=0)
    return found


def attained(accuracy: Floats, cost: Floats, budgets: Floats) -> Floats:
    """The best accuracy that each of ``budgets`` buys, float64 (draws, budgets); -inf where it buys none.

    Args:
        accuracy: as of ``on_front``.
        cost: as of ``on_front``.
        budgets: float64 (budgets,), of which a row may cost as much.
    """
    known = ~np.isnan(accuracy)
    return np.stack(
        [np.max(accuracy, axis=1, where=known & (cost <= one), initial=-np.inf) for one in budgets], axis=1
    )


def reached(values: Floats, shares: Sequence[float]) -> Floats:
    """What at least that share of draws reaches, float64 (shares, columns), a value that was drawn.

    Args:
        values: float64 (draws, columns), -inf allowed.
        shares: above 0, at most 1.
    """
    draws = len(values)
    return np.asarray(np.sort(values, axis=0)[[draws - math.ceil(round(one * draws, 6)) for one in shares]])


def chosen(accuracy: Floats, cost: Floats, within: float) -> Floats:
    """How often each row is the cheapest of those ``within`` that much of the best, float64 (rows,).

    Of rows that cost the same the more accurate one is chosen, and the first of equals. What is not a number
    is never chosen.

    Args:
        accuracy: as of ``on_front``.
        cost: as of ``on_front``.
        within: difference to the most accurate row of a draw, at least 0.
    """
    known = ~(np.isnan(accuracy) | np.isnan(cost))
    accuracy = np.where(known, accuracy, -np.inf)
    best = accuracy.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):  # a draw in which nothing is a number chooses nothing
        enough = known & (best - accuracy <= within + _ROUNDING)
    price = np.where(enough, cost, np.inf)
    least = enough & (price == price.min(axis=1, keepdims=True, initial=np.inf))
    pick = np.where(least, accuracy, -np.inf).argmax(axis=1)
    counts = np.bincount(pick[enough.any(axis=1)], minlength=accuracy.shape[1])
    return np.asarray(counts / max(1, len(accuracy)), np.float64)
