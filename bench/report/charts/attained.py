"""What each budget buys in draws of other seeds and queries: a band behind the front, and their median."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.report.charts.axes import Floats
from bench.report.charts.points import Points

BAND: dict[str, Any] = {"color": "#F4EBD9", "linewidth": 10.0, "solid_capstyle": "butt"}
HALF: dict[str, Any] = {"color": "#A8803A", "linewidth": 1.1, "linestyle": (0, (1.2, 1.6))}


def draw(axes: Axes, points: Points, xs: Floats) -> None:
    """Draw band and line; nothing where nobody knows.

    Args:
        axes: with their limits.
        points: what is drawn.
        xs: where the rows stand on the axis of cost, (rows,) data.
    """
    if points.attained is None:
        return
    band, rising, costs = points.attained, points.x.higher_is_better, np.array(points.x.values)
    nearest = np.max if rising else np.min
    aside = np.array([nearest(xs[costs == costs[i]]) - costs[i] for i in band.rows])
    at = np.array(band.budgets) + aside
    # Points that stand aside may have a cheaper one beyond them.
    at = np.minimum.accumulate(at) if rising else np.maximum.accumulate(at)
    end = axes.get_xlim()[0 if rising else 1]
    (x, lower), (_, upper) = _steps(at, band.low, end), _steps(at, band.high, end)
    # Where timings stray, the cheapest rows may cost more than that budget, and it buys nothing.
    axes.fill_between(x, lower, upper, color=BAND["color"], linewidth=0, zorder=0.6)
    axes.plot(*_steps(at, band.middle, end), zorder=1.3, **HALF)


def _steps(at: Floats, heights: Sequence[float | None], end: float) -> tuple[Floats, Floats]:
    """The corners of a staircase that keeps each height up to the next place, and the last to the end."""
    return np.repeat([*at, end], 2)[1:-1], np.repeat(np.array(heights, np.float64), 2)
