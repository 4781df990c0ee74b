"""One pair of axes of a curve: lines that are near each other, and still to be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.report.charts import axes as chart_axes
from bench.report.charts.axes import POINTS_PER_INCH, Floats
from bench.report.charts.curve_looks import Look
from bench.report.charts.text import SMALL, Pen, height
from bench.results.summary import Estimate

#: Of the axes' height, left free.
_BELOW, _ABOVE = 0.06, 0.08
#: Printer's points from the frame to a name.
_TO_NAME = 9.0


@dataclass(frozen=True)
class Drawn:
    """A line with its looks.

    Attributes:
        points: by value, ascending.
        tips: as many: where hovering over a point tells more, the name that its element goes by.
    """

    name: str
    points: dict[float, Estimate]
    tips: list[str]
    look: Look


def accuracy_limits(
    estimates: Sequence[Estimate], bounds: tuple[float, float] | None
) -> tuple[float, float, bool]:
    """Where the vertical axis begins and ends, and whether bars go on behind that.

    Args:
        bounds: least and greatest value of the accuracy; None where there are none.
    """
    y = np.array([one.value for one in estimates])
    bars = [bound for one in estimates for bound in one.interval or ()]
    # Few seeds give intervals of any length; bars may be cut, points must stay apart.
    reach = max(float(np.ptp(y)), 0.05 * float(abs(y).max())) or 1.0
    low, high = max(min([*bars, *y]), y.min() - reach / 3), min(max([*bars, *y]), y.max() + reach / 3)
    size = high - low or reach
    bottom, top = low - _BELOW * size, high + _ABOVE * size
    least, most = bounds or (-np.inf, np.inf)
    if least <= y.min() and y.max() <= most:
        margin = 0.02 * size  # of markers at a bound
        bottom, top = max(bottom, least - margin), min(top, most + margin)
    return bottom, top, any(not bottom <= bound <= top for bound in bars)


class Panel:
    """Draws lines into axes whose limits are set.

    Args:
        step: from one line's points to the next one's, printer's points.
    """

    def __init__(self, axes: Axes, lines: Sequence[Drawn], step: float) -> None:
        self._axes, self._lines = axes, lines
        self._moved = [step * (i - (len(lines) - 1) / 2) for i in range(len(lines))]

    def draw(self) -> None:
        """Bars behind lines behind points; each line moved a little to its side, with all that is its own."""
        for i, line in enumerate(self._lines):
            at = self._at(i, [one.value for one in line.points.values()])
            self._axes.plot(*at.T, zorder=2.2, **line.look.line)
            for (x, y), one, tip in zip(at, line.points.values(), line.tips, strict=True):
                if one.interval is not None:
                    bar: dict[str, Any] = {"color": line.look.colour, "linewidth": 1.1, "alpha": 0.55}
                    self._axes.plot([x, x], one.interval, zorder=2, solid_capstyle="butt", **bar)
                self._axes.plot([x], [y], zorder=3, gid=tip, **line.look.marker)

    def name_ends(self, pen: Pen, room: float) -> None:
        """Write the name of each line to the right of its end, apart from each other.

        Args:
            room: for names, inches.
        """
        _, bottom, right, top = chart_axes.frame(self._axes)
        ends = np.array([self._end(i) for i in range(len(self._lines))])
        order = np.argsort(ends[:, 1], kind="stable")
        step = 0.95 * height(SMALL) * POINTS_PER_INCH
        places = spread(ends[order, 1], step, bottom, top)
        for i, y in zip(order, places, strict=True):
            line, colour = self._lines[i], self._lines[i].look.colour
            leader = np.array([ends[i], (right, ends[i, 1]), (right + _TO_NAME - 2, y)])
            path = chart_axes.from_paper(self._axes, leader)
            self._axes.plot(*path.T, color=colour, linewidth=0.7, alpha=0.6, zorder=1.9, clip_on=False)
            x = (right + _TO_NAME) / POINTS_PER_INCH
            pen.write(x, y / POINTS_PER_INCH, pen.fit(line.name, room), color=colour)

    def _at(self, i: int, heights: Sequence[float]) -> Floats:
        """Where points of a line with these accuracies are drawn, (n, 2) data."""
        paper = chart_axes.on_paper(self._axes, np.column_stack([list(self._lines[i].points), heights]))
        return chart_axes.from_paper(self._axes, paper + np.array([self._moved[i], 0.0]))

    def _end(self, i: int) -> Floats:
        """The last point of a line, printer's points."""
        last = [one.value for one in self._lines[i].points.values()]
        return np.asarray(chart_axes.on_paper(self._axes, self._at(i, last))[-1])


def spread(wanted: Floats, step: float, low: float, high: float) -> Floats:
    """Ascending places at least ``step`` apart and as near as can be to those wanted, by least squares.

    Args:
        wanted: (n,), ascending.
        step: lessened where that many do not fit.
        low: no place is below.
        high: no place is above.
    """
    count = len(wanted)
    step = min(step, (high - low) / max(1, count - 1))
    # Places less what the steps before them take may be equal, but must not fall: an isotonic regression.
    pools: list[tuple[float, int]] = []
    for value in wanted - step * np.arange(count):
        mean, size = float(value), 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, size = (before * many + mean * size) / (many + size), many + size
        pools.append((mean, size))
    level = np.repeat([mean for mean, _ in pools], [size for _, size in pools])
    return np.asarray(np.clip(level, low, high - step * (count - 1)) + step * np.arange(count))
