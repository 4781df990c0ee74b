"""Which points are worth having: the Pareto front."""

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
