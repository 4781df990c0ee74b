"""What is drawn inside the axes of a chart: bands, front, bars, markers."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
from matplotlib.axes import Axes

from bench.report.charts import attained, beside, strokes, words
from bench.report.charts import axes as chart_axes
from bench.report.charts import key as chart_key
from bench.report.charts.axes import POINTS_PER_INCH, Floats
from bench.report.charts.points import Axis, Points
from bench.report.charts.side_by_side import shifts, stacks
from bench.report.charts.styles import Styles
from bench.report.charts.text import INK, Pen

#: Printer's points: a band beyond its points; the line at its foot, which says what they cost.
_ASIDE, COST_LINE = 7.0, 14.0


class Drawing:
    """Everything inside the axes but names.

    Attributes:
        paper: (n, 2) where the points are drawn, see ``shifts``; printer's points from the figure's corner,
            published figures behind the rows.
        at: the same as data.
    """

    def __init__(self, axes: Axes, points: Points, styles: Styles, pen: Pen) -> None:
        self.axes, self.points, self._styles, self._pen = axes, points, styles, pen
        self.frame = chart_axes.frame(axes)
        true = chart_axes.on_paper(axes, np.column_stack([points.x.everything, points.y.everything]))
        left, _, right, _ = self.frame
        self.paper = true + np.outer(shifts(points, true[:, 0], (left, right)), [1, 0])
        self.at = chart_axes.from_paper(axes, self.paper)
        self._bands = self._find_bands(stacks(points, true[:, 0]))

    def draw(self) -> None:
        """From the back to the front."""
        self._draw_bands()
        attained.draw(self.axes, self.points, self.at[: len(self.points.rows), 0])
        self._draw_front()
        self._draw_gains()
        self._draw_bars()
        self._draw_points()
        self._draw_published()

    def bar(self, position: int, axis: Axis, along: int) -> Floats:
        """Both ends of an interval, (2, 2) data; a point that stands aside takes it along."""
        ends = np.array([self.at[position]] * 2)
        moved = self.at[position, along] - axis.values[position]
        ends[:, along] = np.array(axis.estimates[position].interval) + moved
        return ends

    def staircase(self) -> list[tuple[float, float]]:
        """The front up to the frame, with all its corners, as data."""
        left, right = self.axes.get_xlim()
        steps = sorted((float(self.at[i, 0]), float(self.at[i, 1])) for i in self.points.on_front)
        rising = self.points.x.higher_is_better
        steps = [(left, steps[0][1]), *steps] if rising else [*steps, (right, steps[-1][1])]
        corners = [
            (before[0], after[1]) if rising else (after[0], before[1])
            for before, after in itertools.pairwise(steps)
        ]
        return [steps[0], *(one for pair in zip(corners, steps[1:], strict=True) for one in pair)]

    def radius(self, position: int) -> float:
        """Half the width of what stands at a point, in printer's points."""
        marks = chart_key.marks(self.points, position, self._styles)
        return float(max(mark["markersize"] for mark in marks) / 2 + 1)

    def _find_bands(self, stacks: list[list[int]]) -> list[tuple[float, float, list[int]]]:
        """Left and right edge of what stands side by side, apart from its neighbours; printer's points."""
        ends = [(self.paper[some, 0].min(), self.paper[some, 0].max(), some) for some in stacks]
        ends.sort(key=lambda one: one[0])
        lefts = [-np.inf, *((one[1] + after[0]) / 2 + 1 for one, after in itertools.pairwise(ends))]
        rights = [*(left - 2 for left in lefts[1:]), np.inf]
        return [
            (max(first - _ASIDE, left), min(last + _ASIDE, right), some)
            for (first, last, some), left, right in zip(ends, lefts, rights, strict=True)
            if len(some) > 1
        ]

    def _draw_bands(self) -> None:
        """Behind what stands side by side, with the cost that all of it has where that has room."""
        free = left_end = self.frame[0]
        for left, right, some in self._bands:
            edges = chart_axes.from_paper(self.axes, np.array([[left, left_end], [right, left_end]]))
            self.axes.axvspan(*edges[:, 0], color=chart_key.BAND["color"], linewidth=0, zorder=0.5)
            said = words.costs(self.points, some)
            middle, half = (left + right) / 2, self._pen.width(said) * POINTS_PER_INCH / 2
            if free < middle - half and middle + half < self.frame[2]:
                place = np.array([middle, self.frame[1] + COST_LINE / 2])
                strokes.add_text(self.axes, place, said, "center", color=INK)
                free = middle + half + 4

    def _draw_front(self) -> None:
        """The staircase of what each budget buys."""
        if self.points.on_front:
            self.axes.plot(*np.array(self.staircase()).T, zorder=1.5, **chart_key.FRONT)

    def _draw_gains(self) -> None:
        """Thin lines from a student without distillation to the same with it."""
        segments = [self.at[list(pair)] for pair in self.points.gains]
        colours = [self._styles.colour(self.points.rows[i]) for _, i in self.points.gains]
        strokes.add_lines(self.axes, segments, colors=colours, linewidths=0.8, alpha=0.5, zorder=1.8)

    def _draw_bars(self) -> None:
        """Intervals of the listed points on both axes, and what their seeds had."""
        points = self.points
        for along, axis in enumerate((points.x, points.y)):
            with_bar = [i for i in points.listed if axis.estimates[i].interval is not None]
            segments = [self.bar(i, axis, along) for i in with_bar]
            colours = [self._styles.colour(points.rows[i]) for i in with_bar]
            strokes.add_lines(self.axes, segments, colors=colours, linewidths=1.1, alpha=0.55, zorder=2)
        for i in points.listed:
            if not (seeds := points.y.estimates[i].by_seed):
                continue
            marker = self._styles.marker(points.rows[i])
            look = chart_key.seed_tick(marker["markersize"] + 5, marker["markeredgecolor"])
            self.axes.plot([self.at[i, 0]] * len(seeds), seeds, zorder=2.1, **look)

    def _draw_points(self) -> None:
        points, axes = self.points, self.axes
        pale: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i in points.unlisted:
            marker = self._styles.marker(points.rows[i])
            pale[marker["marker"], marker["markeredgecolor"]].append(i)
        for (shape, colour), some in pale.items():
            axes.plot(*self.at[some].T, zorder=2.5, **{**chart_key.PALE, "marker": shape, "color": colour})
        for i in sorted(points.listed, key=self.radius, reverse=True):
            for mark in chart_key.marks(points, i, self._styles):
                axes.plot(*self.at[i], zorder=3, **mark)
            if signs := "".join(mark for mark in points.doubts(i) if not points.is_everywhere(mark)):
                strokes.add_sign(axes, self.paper[i], signs)

    def _draw_published(self) -> None:
        if self.points.published:
            self.axes.plot(*self.at[len(self.points.rows) :].T, zorder=2.9, **beside.MARK)
