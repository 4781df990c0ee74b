"""The axes of a chart: scales, limits, titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import NDArray

from bench.report.charts.points import Points
from bench.report.charts.side_by_side import last_width
from bench.report.charts.text import TEXT, Pen
from bench.report.charts.ticks import log_ticks, plain
from bench.results import catalogue

Floats = NDArray[np.float64]

POINTS_PER_INCH = 72
#: Of the axes' width, left free on both sides.
_SIDE = 0.07
#: Of the axes' height: costs stand below the points, names above them.
_BELOW, _ABOVE = 0.1, 0.13
#: Of accuracies that go across, left free at both ends.
_ASIDE = 0.05


def on_paper(axes: Axes, data: Floats) -> Floats:
    """From data to printer's points from the figure's corner, (n, 2)."""
    return np.asarray(axes.transData.transform(data), dtype=float) * _points_per_pixel(axes)


def from_paper(axes: Axes, paper: Floats) -> Floats:
    """The way back."""
    return np.asarray(axes.transData.inverted().transform(paper / _points_per_pixel(axes)), dtype=float)


def frame(axes: Axes) -> Floats:
    """Left, bottom, right, top in printer's points."""
    return np.array(axes.get_window_extent().extents) * _points_per_pixel(axes)


def _points_per_pixel(axes: Axes) -> float:
    figure: Any = axes.figure
    return float(POINTS_PER_INCH / figure.dpi)


def limit_costs(axes: Axes, points: Points, aside: float | None = None) -> None:
    """From the least cost to the largest, with room for what stands beside the latter.

    Args:
        aside: that room in printer's points; None: what ``side_by_side`` needs.
    """
    x = np.array(points.x.everything)
    if points.x.is_log:
        axes.set_xscale("log")
        x = np.log10(x)
    # Code length moves costs by a per mille; do not blow that up to the width of the chart.
    middle, span = (x.max() + x.min()) / 2, max(np.ptp(x), 0.2 * abs(x.max())) or 1.0
    left, _, right, _ = frame(axes)
    width, usual = right - left, _SIDE * (right - left)
    if aside is None:
        aside = last_width(points, (x - middle) / span * (width - 2 * usual))
    aside = min(max(aside, usual), 0.5 * width)
    before, after = (aside, usual) if points.x.higher_is_better else (usual, aside)
    scale = span / (width - before - after)
    low, high = middle - span / 2 - scale * before, middle + span / 2 + scale * after
    if points.x.is_log:
        low, high = 10**low, 10**high
        axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axes.set_xlim(low, high)
    marks = [mark for mark in points.doubted if points.is_everywhere(mark)]
    axes.set_xlabel(" ".join([points.x.label, *marks]))


def thin_out(axes: Axes, pen: Pen) -> None:
    """Leave out costs that have no room beside the one before."""
    left, right = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
    kept, free = [], -np.inf
    for tick in ticks:
        middle = on_paper(axes, np.array([tick, axes.get_ylim()[0]]))[0]
        half = pen.width(plain(tick), TEXT) * POINTS_PER_INCH / 2
        if middle - half > free:
            kept.append(tick)
            free = middle + half + TEXT
    axes.xaxis.set_major_locator(FixedLocator(kept))


def limit_accuracies(axes: Axes, points: Points, *, across: bool = False) -> bool:
    """From the least accuracy to the best; returns whether bars go on behind the frame.

    Args:
        across: whether accuracies go from left to right.
    """
    y = np.array(points.y.everything)
    # Two seeds can give intervals of any length; bars may be cut, points must stay apart.
    reach = max(np.ptp(y), 0.05 * abs(y.max())) or 1.0
    bars = [bound for i in points.listed for bound in points.y.estimates[i].interval or ()]
    low, high = max(min([*bars, *y]), y.min() - reach / 2), min(max([*bars, *y]), y.max() + reach / 2)
    size = high - low or reach
    before, after = (_ASIDE, _ASIDE) if across else (_BELOW, _ABOVE)
    bottom, top = low - before * size, high + after * size
    axis: Axis = axes.xaxis if across else axes.yaxis
    (axes.set_xlim if across else axes.set_ylim)(bottom, top)
    limit_ticks(axis, points.y.everything, catalogue.bounds(points.y.name, points.y.unit))
    axis.set_label_text(points.y.label)
    return any(not bottom <= bound <= top for bound in bars)


def limit_ticks(axis: Axis, values: Sequence[float], bounds: tuple[float, float] | None) -> None:
    """Leave out ticks that none of the values can have; limits stay.

    Args:
        values: on the axis.
        bounds: least and greatest one that there can be; None: nobody knows.
    """
    if bounds and bounds[0] <= min(values) and max(values) <= bounds[1]:
        low, high = axis.get_view_interval()
        ticks = axis.get_majorticklocs()
        axis.set_ticks([tick for tick in ticks if max(low, bounds[0]) <= tick <= min(high, bounds[1])])
