"""The axis along which curves are drawn: its scale, its ends, ticks, and how far lines move aside on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.report.charts import axes as chart_axes
from bench.report.charts.axes import POINTS_PER_INCH, Floats
from bench.report.charts.text import TEXT, Pen
from bench.report.charts.ticks import is_log
from bench.results import along

#: Printer's points from a line's points to the next one's, and the share of the way to the next value that
#: all of them may take.
_STEP, _SHARE = 5.0, 0.45
#: Of the way from the first value to the last one, left free at both sides.
_SIDE = 0.06
#: Printer's points: values that are nearer to each other cannot be told apart.
_NEAREST = 8.0


@dataclass(frozen=True)
class ValueAxis:
    """The same in all panels of a chart.

    Attributes:
        values: that were run, ascending; two or more.
        width: of the axes, printer's points.
        lines: of the panel that has most.
        radius: of the largest marker, printer's points.
    """

    values: Sequence[float]
    width: float
    lines: int
    radius: float

    @functools.cached_property
    def scale(self) -> Literal["linear", "log", "even"]:
        """``even``, at equal distances, where values such as 0, 0.001 and 10 would stand on each other."""
        usual: Literal["linear", "log"] = "log" if is_log(self.values) else "linear"
        room = self.width / (1 + 2 * _SIDE)
        even = room / (len(self.values) - 1)
        return "even" if room * self._least_gap(usual) < min(_NEAREST, even / 2) else usual

    def step(self, lines: int) -> float:
        """From each of so many lines to the next one, printer's points."""
        return min(_STEP, _SHARE * self._least_gap(self.scale) * self._room / max(1, lines - 1))

    def limit(self, axes: Axes, pen: Pen) -> None:
        """Give axes of that width their scale, ends that no marker reaches, and ticks at the values."""
        at = _places(self.values, self.scale)
        side = self._side * float(np.ptp(at))
        ends = at.min() - side, at.max() + side
        if self.scale == "log":
            axes.set_xscale("log")
            axes.set_xlim(10 ** ends[0], 10 ** ends[1])
        elif self.scale == "even":
            axes.set_xscale("function", functions=(self._forward, self._back))
            axes.set_xlim(*self._back(np.array(ends)))
        else:
            axes.set_xlim(*ends)
        axes.xaxis.set_major_locator(FixedLocator(list(self.values)))
        axes.xaxis.set_minor_locator(NullLocator())
        said = _with_room(axes, self.values, pen)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: said.get(value, "")))

    def _forward(self, values: Floats) -> Floats:
        """Places at equal distances."""
        places, known = self._knots
        return np.asarray(np.interp(values, known, places))

    def _back(self, at: Floats) -> Floats:
        """The values at these places."""
        places, known = self._knots
        return np.asarray(np.interp(at, places, known))

    @property
    def _knots(self) -> tuple[Floats, Floats]:
        """Places at equal distances and the values there, which go on at both ends for as long."""
        values, many = np.array(self.values, dtype=float), len(self.values)
        first = values[0] - many * (values[1] - values[0])
        last = values[-1] + many * (values[-1] - values[-2])
        places = np.array([-many, *range(many), 2 * many - 1], dtype=float)
        return places, np.array([first, *values, last])

    def _least_gap(self, scale: str) -> float:
        """From one value to the next, as a share of the way from the first to the last."""
        at = _places(self.values, scale)
        return float(np.diff(at).min() / np.ptp(at))

    @property
    def _room(self) -> float:
        """From the first value to the last one, printer's points."""
        return self.width / (1 + 2 * self._side)

    @functools.cached_property
    def _side(self) -> float:
        """Left free at both sides for half of the lines and a marker, as a share of the way between."""
        # What lines take is a fixed length, or else a share of what the sides leave.
        free = self.width - 2 * self.radius
        room = max(free - _STEP * (self.lines - 1), free / (1 + _SHARE * self._least_gap(self.scale)))
        return max(_SIDE, (self.width / room - 1) / 2)


def _places(values: Sequence[float], scale: str) -> Floats:
    """Where values stand on an axis of this scale."""
    if scale == "even":
        return np.arange(len(values), dtype=float)
    return np.log10(values) if scale == "log" else np.array(values, dtype=float)


def _with_room(axes: Axes, values: Sequence[float], pen: Pen) -> dict[float, str]:
    """The labels of ticks; none where it would run into the one before. The last one always has its own."""
    places = chart_axes.on_paper(axes, np.column_stack([values, np.full(len(values), axes.get_ylim()[0])]))
    kept: dict[float, str] = {}
    free = np.inf
    for value, place in sorted(zip(values, places[:, 0], strict=True), reverse=True):
        half = pen.width(along.in_words(value), TEXT) * POINTS_PER_INCH / 2
        if place + half < free:
            kept[value] = along.in_words(value)
            free = place - half - 3
    return kept
