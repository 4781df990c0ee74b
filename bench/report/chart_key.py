"""The key beside a Pareto chart: what every number and every mark stands for."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench import metric_names
from bench.report import chart_points as words
from bench.report.chart_points import Points
from bench.report.fronts import Front
from bench.report.rows import Estimate
from bench.report.styles import Styles

INK = "#404040"

# Inches: height of a line; centre of marks, right end of numbers, left end of configurations; width of a
# sample of a line; distance of the two columns of methods, losses and bits.
_LINE, _MARK, _NUMBER, _TEXT, _SAMPLE, _COLUMN = 0.185, 0.2, 1.55, 1.68, 0.26, 1.75

#: Rings and diamonds of the key are no wider than its lines are high, in printer's points.
_WIDEST = 12.0


def size(points: Points, styles: Styles) -> tuple[float, float]:
    """Width and least height of the key with the legend below it, in inches."""
    longest = max(len(_configuration(points, i)) for i in points.listed)
    lines = len(points.listed) + len(styles.legend(points.rows)) / 2
    return _TEXT + 0.25 + 0.066 * min(max(longest, 46), 120), _LINE * (lines + 11)


def marks(points: Points, position: int, styles: Styles, most: float = math.inf) -> list[dict[str, Any]]:
    """The marker of a row and what is around it, as keywords of ``plot``; the latter ``most`` points wide."""
    marker = styles.marker(points.rows[position])
    size = marker["markersize"]
    around = []
    if position in points.close:
        around.append(_ring(min(size + 6, most)))
    if position == points.recommended:
        around.append(_diamond(min(size + 6, 0.85 * most)))
    return [*around, marker]


def _ring(size: float) -> dict[str, Any]:
    """Around what is not distinguishable from the front."""
    return {
        "linestyle": "none",
        "marker": "o",
        "markersize": size,
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "markeredgewidth": 0.7,
    }


def _diamond(size: float) -> dict[str, Any]:
    """Around the recommended row."""
    return {**_ring(size), "marker": "D", "markeredgewidth": 1.4}


def draw(figure: Figure, front: Front, points: Points, styles: Styles, left: float) -> None:
    """Spell out every number, best accuracy first, ``left`` inches from the left."""
    y = figure.get_figheight() - 0.22
    standing = (
        f"{'; bold: on the front' * bool(points.on_front)}{'; ringed: close to it' * bool(points.close)}"
    )
    head = f"No., {metric_names.title(front.accuracy)}, student · method · loss · bits{standing}"
    _text(figure, left + 0.08, y, head)
    y -= 1.3 * _LINE
    for i in points.listed:
        weight = "bold" if i in points.on_front else "normal"
        for mark in marks(points, i, styles, most=_WIDEST):
            _place(figure, Line2D([], [], **mark), left + _MARK, y)
        number = f"{i + 1}   {_number(points.y.estimates[i])}"
        _text(figure, left + _NUMBER, y, number, ha="right", fontweight=weight)
        _text(figure, left + _TEXT, y, _configuration(points, i), fontweight=weight)
        y -= _LINE
    if rest := words.others(points):
        _text(figure, left + 0.4, y, rest, color=INK)


def legend(
    figure: Figure, front: Front, points: Points, styles: Styles, left: float, lines: list[Line2D]
) -> None:
    """What markers, rings and ``lines`` mean, from the lower edge up.

    Drawn by hand: laying out matplotlib's own legend takes as long as all the rest of a chart.
    """
    single = [Line2D([0, _SAMPLE], [0, 0], **_dash(line)) for line in lines]
    if points.close:
        single.append(Line2D([], [], label="not distinguishable from the front", **_ring(0.8 * _WIDEST)))
    if points.recommended is not None:
        label = f"{words.recommended(front)} (no. {points.recommended + 1})"
        single.append(Line2D([], [], label=label, **_diamond(0.6 * _WIDEST)))
    y = 0.16
    for handle in reversed(single):
        _entry(figure, handle, left, y)
        y += _LINE
    y += 0.1
    entries = styles.legend(points.rows)
    half = (len(entries) + 1) // 2
    for line, pair in enumerate(zip_longest(entries[:half], entries[half:])):
        for column, handle in enumerate(pair):
            if handle is not None:
                _entry(figure, handle, left + column * _COLUMN, y + (half - 1 - line) * _LINE)
    _text(figure, left + 0.08, y + half * _LINE, "Colour and shape: method; filling: loss; size: bits")


def _dash(line: Line2D) -> dict[str, Any]:
    look = {"color": line.get_color(), "linewidth": line.get_linewidth(), "linestyle": line.get_linestyle()}
    return {**look, "label": line.get_label()}


def _entry(figure: Figure, handle: Line2D, left: float, y: float) -> None:
    start = left + (_MARK if handle.get_marker() != "None" else _MARK - _SAMPLE / 2)
    _place(figure, handle, start, y)
    _text(figure, left + 0.4, y, str(handle.get_label()))


def _place(figure: Figure, handle: Line2D, x: float, y: float) -> None:
    """Add a line or a marker to the figure at a place given in inches."""
    xs = np.asarray(handle.get_xdata(), dtype=float)
    xs = xs if len(xs) else np.zeros(1)
    handle.set_data(xs + x, np.full(len(xs), y))
    handle.set_transform(figure.dpi_scale_trans)
    figure.add_artist(handle)


def _text(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    figure.text(x, y, text, transform=figure.dpi_scale_trans, va="center_baseline", fontsize=8, **look)


def _configuration(points: Points, position: int) -> str:
    return " ".join([str(points.rows[position].configuration), *points.doubts(position)])


def _number(one: Estimate) -> str:
    return f"{one.value:.3f}{one.spread()}"
