"""Which points are worth having, and how much they cover: front and hypervolume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def front(points: Sequence[Sequence[float]], higher_is_better: Sequence[bool]) -> list[int]:
    """Return the indices of the points that no other point dominates, in the order given.

    A point dominates another if it is at least as good on every axis and better on one, so equal
    points stay on the front together.

    Args:
        points: one sequence of coordinates per point.
        higher_is_better: the good direction of each axis.
    """
    if not points:
        return []
    values = np.asarray(points, dtype=float) * np.where(higher_is_better, 1.0, -1.0)
    ours, theirs = values[:, None], values[None, :]
    dominates = np.all(theirs >= ours, axis=-1) & np.any(theirs > ours, axis=-1)
    return [int(index) for index in np.flatnonzero(~np.any(dominates, axis=1))]


#: The rectangle ends so much beyond the largest cost that the dearest point covers something, too.
MARGIN = 1.1


def last_cost(largest: float, higher_is_better: bool) -> float:
    """Right end of the rectangle of a hypervolume: ``MARGIN`` times the largest cost, or the largest rate."""
    return largest if higher_is_better else MARGIN * largest


def hypervolume(
    points: Sequence[Sequence[float]], higher_is_better: Sequence[bool], last: float
) -> float | None:
    """Return the share of costs and accuracies that some point is at least as good as, in [0, 1].

    This is the hypervolume of Zitzler and Thiele (1999), divided by the rectangle of costs from 0 to ``last``
    and accuracies from 0 to 1. The reference point is the rectangle's worst corner: accuracy 0 at the last
    cost, or at cost 0 where more of it is better. Costs count linearly: of two equally accurate points at
    half and at a hundredth of the last cost, the second covers twice as much.

    Args:
        points: (cost, accuracy) of each point.
        higher_is_better: the good direction of costs and of accuracies.
        last: right end of the rectangle, see ``last_cost``; shares compare only where it is the same.

    Returns:
        None if a point lies outside the rectangle, or the rectangle has no area. No points cover 0.
    """
    values = np.asarray(points, dtype=float).reshape(-1, 2) / [last or np.nan, 1.0]
    if not (last > 0 and np.all((values >= 0) & (values <= 1))):
        return None
    gains = np.where(higher_is_better, values, 1 - values)
    widths, heights = gains[np.argsort(-gains[:, 0])].T
    steps = -np.diff(widths, append=0.0)
    return float(steps @ np.maximum.accumulate(heights))
