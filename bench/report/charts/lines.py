"""What is drawn in a panel: a line per method from network to network, with bars, before the front of all."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.report.charts import attained, strokes, words
from bench.report.charts import axes as chart_axes
from bench.report.charts import key as chart_key
from bench.report.charts.axes import Floats
from bench.report.charts.forms import Facet
from bench.report.charts.names import HALF_LINE, Label, around, put
from bench.report.charts.networks import Column, columns_of, crowds
from bench.report.charts.points import Points
from bench.report.charts.styles import Styles
from bench.report.charts.text import INK, Pen

#: Printer's points from one line's markers to the next line's, and what all of them may take.
_STEP, _MOST_STEPS = 4.2, 18.0
#: Between the last of a network and the first of the next; a band beyond its points.
_APART, _ASIDE = 9.5, 5.0
#: Room for networks that move on makes the axis shorter, which moves on more of them.
_ROUNDS = 4
#: A last column that is so much beyond the end of its axis, printer's points, is at its end.
_NOTHING = 0.5
#: By how many networks' width one may move on: of three that cost the same, the last one moves by two.
_MOST_MOVED = 2
#: Room above the points for the numbers of networks.
NUMBERS = 14.0
#: Of the diameters in other charts, which have one pair of axes.
_SCALE = 0.8
#: To cover a marker is as bad as to cover so many lines of its size.
_HEAVY = 4
#: The longest name, as a share of the axes; there is one, which may go far to find room.
_LONGEST = 0.85
_GAPS = (2.0, 8.0, *np.arange(16.0, 140.0, 8.0))
#: Methods that have no colour of their own.
_PALE_POINT: dict[str, Any] = {"markersize": 4.0, "markeredgewidth": 0, "alpha": 0.8}
_PALE_LINE: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.6}

#: The front of all panels, and a panel's own part of it.
ALL_FRONT: dict[str, Any] = {"color": "#B4B4B4", "linewidth": 1.4}
OWN_FRONT: dict[str, Any] = {"color": INK, "linewidth": 1.8}

#: What has a line of its own: a method, and a loss and code length that no panel tells.
Series = tuple[str, str, int]


@dataclass(frozen=True)
class Lines:
    """The lines of a chart and where everything stands, the same in all of its panels.

    Attributes:
        columns: of the networks, the least cost first.
        centres: (columns,) where their numbers go, as data.
        bands: both ends of what is closer in cost than it is drawn, as data.
        at: (n, 2) where rows are drawn, as data.
        series: positions of the students' rows in order of their networks, the best method first.
        networks: (n,) where the rows' networks stand on the axis of cost, as data.
        steps: position of a row on the front -> its riser and its tread, (corners, 2) data.
        fit: whether there is room for all networks, none of them far from what it costs.
    """

    points: Points
    columns: list[Column]
    centres: Floats
    bands: list[Floats]
    at: Floats
    series: dict[Series, list[int]]
    networks: Floats
    steps: dict[int, Floats]
    fit: bool

    @classmethod
    def of(cls, axes: Axes, points: Points, styles: Styles, told: Sequence[Facet]) -> Lines:
        """Place the rows of a chart on axes that have their width; limits the costs of the axes for that."""
        series = _series(points, told)
        lanes = [key for key, some in series.items() if styles.stands_out(points.rows[some[0]])]
        step = min(_STEP, _MOST_STEPS / max(len(lanes) - 1, 1))
        lane = {i: lanes.index(key) for key, some in series.items() if key in lanes for i in some}
        # What has no lane follows those that have one; teachers stand alone.
        lane = {i: len(lanes) for some in series.values() for i in some} | lane
        widest = step * max(lane.values(), default=0)
        needed = _APART + step * np.array([lane.get(i, 0) for i in range(len(points.rows))])
        columns, inside = _placed(axes, points, needed, widest + _APART)
        sign = -1.0 if points.x.higher_is_better else 1.0
        places = np.array([one.place for i in range(len(points.rows)) for one in columns if i in one.rows])
        offsets = sign * (needed - _APART)
        centres = [one.place + (offsets[one.rows].max() + offsets[one.rows].min()) / 2 for one in columns]
        xs = _as_data(axes, places + offsets)
        return cls(
            points=points,
            columns=columns,
            centres=_as_data(axes, np.array(centres)),
            bands=[_as_data(axes, _ends(some, needed, sign)) for some in crowds(columns)],
            at=np.column_stack([xs, points.y.values]),
            series={key: sorted(some, key=lambda i: sign * xs[i]) for key, some in series.items()},
            networks=_as_data(axes, places),
            steps=_steps(axes, points, _as_data(axes, places), sign),
            fit=inside and max(one.moved for one in columns) <= _MOST_MOVED * (widest + _APART),
        )


def _ends(some: list[Column], needed: Floats, sign: float) -> Floats:
    """Both ends of a band behind some networks, (2,)."""
    first, last = some[0], some[-1]
    return np.array([first.place - sign * _ASIDE, last.place + sign * (max(needed[last.rows]) - _ASIDE)])


def _placed(axes: Axes, points: Points, needed: Floats, last: float) -> tuple[list[Column], bool]:
    """The columns of all networks, with room on the axis for those that have to move on.

    Args:
        needed: as of ``columns_of``.
        last: room that the last column has to the end of the axis.

    Returns:
        The columns, and whether the last one has that room.
    """
    sign = -1.0 if points.x.higher_is_better else 1.0
    true = np.column_stack([points.x.values, points.y.values])
    aside = last
    for _ in range(_ROUNDS):
        chart_axes.limit_costs(axes, points, aside=aside)
        left, _, right, _ = chart_axes.frame(axes)
        end = (right if sign > 0 else left) - sign * last
        columns = columns_of(points, chart_axes.on_paper(axes, true)[:, 0], needed)
        beyond = sign * (columns[-1].place - end)
        if beyond < _NOTHING:
            break
        aside += beyond
    return columns, beyond < _NOTHING


def _as_data(axes: Axes, places: Floats) -> Floats:
    """From places along the axis of cost in printer's points to costs."""
    return chart_axes.from_paper(axes, np.column_stack([places, np.zeros(len(places))]))[:, 0]


def _series(points: Points, told: Sequence[Facet]) -> dict[Series, list[int]]:
    found: dict[Series, list[int]] = defaultdict(list)
    for i, row in enumerate(points.rows):
        if row.role in {"undistilled", "distilled"}:
            one = row.configuration
            found[one.method, "" if "loss" in told else one.loss, 0 if "bits" in told else one.bits].append(i)
    methods = points.methods
    # Without distillation last: what is better is nearer to what it costs.
    rank = {method: number for number, method in enumerate(methods)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0][0], len(rank)), item[0])))


def _steps(axes: Axes, points: Points, places: Floats, sign: float) -> dict[int, Floats]:
    """The front through the places of networks, step by step, on to the frame.

    Args:
        places: (n,) of the rows' networks, as data.
    """
    order = sorted(points.on_front, key=lambda i: (sign * points.x.values[i], sign * places[i], i))
    # Rows that share a column may have a cheaper one of another network between them.
    moved = sign * np.maximum.accumulate(sign * places[order]) if order else places[:0]
    xs = [*moved, axes.get_xlim()[1 if sign > 0 else 0]]
    ys = [points.y.values[i] for i in order]
    before = [*ys[:1], *ys]
    return {
        i: np.array([(xs[n], before[n]), (xs[n], ys[n]), (xs[n + 1], ys[n])]) for n, i in enumerate(order)
    }


class Panel:
    """One panel of a chart.

    Args:
        axes: in their place, with limits.
        rows: positions of what stands in it.
    """

    def __init__(self, axes: Axes, lines: Lines, rows: Sequence[int], styles: Styles, pen: Pen) -> None:
        self.axes, self._lines, self._points = axes, lines, lines.points
        self._rows, self._styles, self._pen = rows, styles, pen
        self._paper = chart_axes.on_paper(axes, lines.at)
        inside = set(rows)
        self._series = [[i for i in some if i in inside] for some in lines.series.values()]

    def draw(self) -> None:
        """From the back to the front."""
        for start, end in self._lines.bands:
            self.axes.axvspan(start, end, color=chart_key.BAND["color"], linewidth=0, zorder=0.5)
        attained.draw(self.axes, self._points, self._lines.networks)
        self._number_networks()
        self._draw_front()
        self._draw_lines()
        self._draw_bars()
        self._draw_points()
        self._name_recommended()

    def _number_networks(self) -> None:
        _, _, _, top = chart_axes.frame(self.axes)
        places = chart_axes.on_paper(
            self.axes, np.column_stack([self._lines.centres, self._lines.centres * 0])
        )
        for column, (x, _) in zip(self._lines.columns, places, strict=True):
            if not set(column.rows).isdisjoint(self._rows):
                place = np.array([x, top - NUMBERS / 2])
                strokes.add_text(self.axes, place, str(column.number), "center", color=INK, fontweight="bold")

    def _draw_front(self) -> None:
        steps = self._lines.steps
        if steps:
            self.axes.plot(*np.concatenate(list(steps.values())).T, zorder=1.4, **ALL_FRONT)
        for own in (steps[i] for i in self._rows if i in steps):
            self.axes.plot(*own.T, zorder=1.5, **OWN_FRONT)

    def _look(self, i: int) -> dict[str, Any]:
        marker = chart_key.marker(self._points, i, self._styles)
        return {**marker, "markersize": _SCALE * marker["markersize"]}

    def _draw_lines(self) -> None:
        for some in filter(None, self._series):
            row = self._points.rows[some[0]]
            look = {"linewidth": 1.3} if self._styles.stands_out(row) else _PALE_LINE
            self.axes.plot(*self._lines.at[some].T, color=self._styles.colour(row), zorder=2.2, **look)

    def _draw_bars(self) -> None:
        for i in self._full:
            if (interval := self._points.y.estimates[i].interval) is not None:
                ends = np.array([(self._lines.at[i, 0], bound) for bound in interval])
                colour = self._styles.colour(self._points.rows[i])
                strokes.add_lines(self.axes, [ends], colors=colour, linewidths=1.1, alpha=0.55, zorder=2)

    @property
    def _full(self) -> list[int]:
        """Rows with a bar and a full marker."""
        return [i for i in self._rows if self._styles.stands_out(self._points.rows[i])]

    def _draw_points(self) -> None:
        points = self._points
        for i in self._rows:
            if i not in self._full:
                self.axes.plot(*self._lines.at[i], zorder=2.3, **{**self._look(i), **_PALE_POINT})
                continue
            for mark in self._marks(i):
                self.axes.plot(*self._lines.at[i], zorder=3, **mark)
            if signs := "".join(mark for mark in points.doubts(i) if not points.is_everywhere(mark)):
                strokes.add_sign(self.axes, self._paper[i], signs)

    def _marks(self, i: int) -> list[dict[str, Any]]:
        marker = self._look(i)
        if i == self._points.recommended:
            return [chart_key.chosen(marker["markersize"]), marker]
        return [chart_key.ring(marker["markersize"]), marker] if i in self._points.close else [marker]

    def _name_recommended(self) -> None:
        i = self._points.recommended
        if i is None or i not in self._rows:
            return
        (column,) = (one for one in self._lines.columns if i in one.rows)
        number = f"recommended, {words.number(self._points, i)}"
        radius = max(mark["markersize"] for mark in self._marks(i)) / 2 + 1
        label = Label(column.name, number, "bold", self._paper[i], radius)
        inside = chart_axes.frame(self.axes) + np.array([2, 2, -2, -NUMBERS])
        put(self.axes, [label], inside, self._obstacles(), self._pen, longest=_LONGEST, gaps=_GAPS)

    def _obstacles(self) -> Floats:
        """Boxes of what a name had better not cover, (m, 4) printer's points."""
        markers = [around(self._paper[[i]], self._look(i)["markersize"] / 2 + 2) for i in self._full]
        lines = [np.array(pair) for some in self._lines.steps.values() for pair in itertools.pairwise(some)]
        for i in self._full:
            if (interval := self._points.y.estimates[i].interval) is not None:
                lines.append(np.array([(self._lines.at[i, 0], bound) for bound in interval]))
        for some in self._series:
            for start, end in itertools.pairwise(self._lines.at[some]):  # which is oblique
                steps = start + (end - start) * np.linspace(0, 1, 9)[:, None]
                lines += [np.array(pair) for pair in itertools.pairwise(steps)]
        boxes = [around(chart_axes.on_paper(self.axes, line), HALF_LINE) for line in lines]
        return np.array([*boxes, *_HEAVY * markers])
