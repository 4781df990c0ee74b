"""Pareto charts: accuracy against cost within one comparable group.

Every point carries a number; the key beside the axes spells it out, best accuracy first.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.report import wording
from bench.report.labels import place
from bench.report.pareto import front
from bench.report.rows import Estimate, Group, Row, interval_words
from bench.report.styles import Styles

_LOOK = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.fonttype": "none",  # text stays text, so it can be searched
    "svg.hashsalt": "hash-pareto",  # the same records give the same bytes
}
_INK = "#404040"
_LEADER = {"arrowstyle": "-", "linewidth": 0.5, "color": _INK, "shrinkA": 0, "shrinkB": 3}
_REFERENCES = (("teacher", "--", "best teacher"), ("undistilled", ":", "best without distillation"))
_POINTS_PER_INCH = 72
_KEY_LINES = 40

# Inches.
_LEFT, _AXES_WIDTH, _AXES_HEIGHT, _LINE = 0.85, 6.2, 4.2, 0.19


@dataclass(frozen=True)
class _Axis:
    """One metric in the unit of its axis."""

    name: str
    higher_is_better: bool
    divisor: float
    detail: str
    estimates: list[Estimate]

    @classmethod
    def of(cls, group: Group, name: str, rows: list[Row]) -> _Axis:
        metric, raw = group.metrics[name], [row.estimates[name] for row in rows]
        divisor, unit = wording.unit(name, metric, [one.value for one in raw])
        detail = ", ".join(filter(None, [unit, wording.conditions(metric)]))
        return cls(name, metric.higher_is_better, divisor, detail, [one.over(divisor) for one in raw])

    @property
    def values(self) -> list[float]:
        return [one.value for one in self.estimates]

    @property
    def label(self) -> str:
        better = "more" if self.higher_is_better else "less"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{wording.title(self.name)}{detail}, {better} is better"


@dataclass(frozen=True)
class _Points:
    """What a chart shows, best accuracy first; ``front`` holds positions in ``rows``."""

    rows: list[Row]
    x: _Axis
    y: _Axis
    front: frozenset[int]

    @classmethod
    def of(cls, group: Group, accuracy: str, cost: str) -> _Points | None:
        y_name, x_name = group.resolve(accuracy), group.resolve(cost)
        if x_name is None or y_name is None:
            return None
        sign = -1 if group.metrics[y_name].higher_is_better else 1
        rows = sorted(group.rows_with(x_name, y_name), key=lambda row: sign * row.estimates[y_name].value)
        if not rows:
            return None
        x, y = _Axis.of(group, x_name, rows), _Axis.of(group, y_name, rows)
        points = list(zip(x.values, y.values, strict=True))
        on_front = [] if group.limited else front(points, [x.higher_is_better, y.higher_is_better])
        return cls(rows, x, y, frozenset(on_front))


def pareto_chart(report: str, group: Group, accuracy: str, cost: str, styles: Styles) -> dict[str, bytes]:
    """Draw one chart.

    Args:
        report: name of the grid, for the title.
        group: the rows to draw; there is no front through limited runs.
        accuracy: base or full name of the metric on the vertical axis.
        cost: the same for the horizontal axis.
        styles: the markers of this report.

    Returns:
        File extension -> content; empty where no row has both metrics.
    """
    points = _Points.of(group, accuracy, cost)
    if points is None:
        return {}
    with matplotlib.style.context(["default", _LOOK]), warnings.catch_warnings():
        # A name may hold characters that the font lacks; they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = _draw(report, group, points, styles)
        return {
            "png": _encode(figure, "png", {"Software": None}),
            "svg": _encode(figure, "svg", {"Date": None, "Creator": None}),
        }


def _draw(report: str, group: Group, points: _Points, styles: Styles) -> Figure:
    """Lay the chart out in inches: title, context and notes to the left, key and legend to the right."""
    title, context, notes = _words(report, group, points)
    top = 0.3 + 0.22 * _lines(title) + 0.16 * _lines(context)
    bottom = 0.65 + 0.15 * _lines(notes)
    key_lines = min(len(points.rows), _KEY_LINES) + len(styles.legend(points.rows)) / 2
    key_columns = math.ceil(len(points.rows) / _KEY_LINES)
    longest = max(len(str(row.configuration)) for row in points.rows)
    key_left, key_width = _LEFT + _AXES_WIDTH + 0.3, 1.85 + 0.066 * min(longest, 120)
    width = key_left + key_columns * key_width
    height = max(top + _AXES_HEIGHT + bottom, _LINE * (key_lines + 8))

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (_LEFT / width, bottom / height, _AXES_WIDTH / width, (height - top - bottom) / height)
    )
    _text(figure, 0.15, height - 0.12, title, fontsize=12, fontweight="bold")
    _text(figure, _LEFT, height - 0.2 - 0.22 * _lines(title), context, fontsize=8, color=_INK)
    _text(figure, 0.15, bottom - 0.5, notes, fontsize=7.5, color=_INK)
    _set_axes(axes, points)
    _draw_front(axes, points)
    _draw_references(axes, points)
    _draw_points(axes, points, styles)
    _draw_numbers(axes, points, styles)
    _draw_key(figure, points, styles, key_left, key_width)
    lines, _ = axes.get_legend_handles_labels()
    figure.legend(
        handles=[*styles.legend(points.rows), *lines],
        loc="lower left",
        bbox_to_anchor=(key_left / width, 0),
        ncols=2,
        title="Colour and shape: method; filling: loss; size: bits",
        title_fontsize=8,
        alignment="left",
    )
    return figure


def _words(report: str, group: Group, points: _Points) -> tuple[str, str, str]:
    """Title, context and notes of a chart, wrapped."""
    x, y = points.x, points.y
    title = f"{report} · {group.dataset}: {wording.title(y.name)} against {wording.title(x.name)}"
    context = [group.conditions, group.protocol_words]
    if group.limited:
        context.insert(0, "LIMITED RUN, NOT COMPARABLE: no front is drawn")
    notes = [note for axis in (y, x) if (note := wording.definition(axis.name))]
    if spread := interval_words(y.estimates):
        notes.append(f"Bars and ±: {spread}. A bar that meets the frame goes on behind it.")
    if any(row.unsteady(x.name) for row in points.rows):
        notes.append("Some timings were unsteady (marked in the table); measure again on a quiet machine.")
    if absent := len(group.rows) - len(points.rows):
        notes.append(f"{absent} rows lack one of the two metrics and are in the table only.")
    return _wrap([title], 66), _wrap(context, 100), _wrap(notes, 118)


def _wrap(lines: list[str], width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in lines)


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _text(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Write ``text`` with its upper left corner at a place given in inches."""
    figure.text(x, y, text, transform=figure.dpi_scale_trans, va="top", linespacing=1.35, **look)


def _set_axes(axes: Axes, points: _Points) -> None:
    x, y = np.array(points.x.values), np.array(points.y.values)
    if x.min() > 0 and x.max() / x.min() > 10:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        margin = (x.max() / x.min()) ** 0.08
        axes.set_xlim(x.min() / margin, x.max() * margin)
    else:
        # Code length moves costs by a per mille; do not blow that up to the width of the chart.
        half = 0.58 * max(np.ptp(x), 0.2 * abs(x.max()), 1e-9)
        middle = (x.max() + x.min()) / 2
        axes.set_xlim(middle - half, middle + half)
    axes.set_xlabel(f"{points.x.label} →" if points.x.higher_is_better else f"← {points.x.label}")
    axes.set_ylabel(f"{points.y.label} →" if points.y.higher_is_better else f"← {points.y.label}")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    # Two seeds can give intervals of any length; bars may be cut, points must stay apart.
    reach = max(np.ptp(y), 0.05 * abs(y.max()), 1e-9)
    bars = [bound for one in points.y.estimates for bound in one.interval or (one.value,)]
    low, high = max(min(bars), y.min() - reach / 2), min(max(bars), y.max() + reach / 2)
    margin = 0.06 * (high - low or reach)
    axes.set_ylim(low - margin, high + margin)


def _draw_front(axes: Axes, points: _Points) -> None:
    """The staircase of what each budget buys, up to the frame, and the dominated side shaded."""
    if not points.front:
        return
    steps = sorted((points.x.values[i], points.y.values[i]) for i in points.front)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    if points.x.higher_is_better:
        steps.insert(0, (left, steps[0][1]))
    else:
        steps.append((right, steps[-1][1]))
    x, y = zip(*steps, strict=True)
    where: Literal["pre", "post"] = "pre" if points.x.higher_is_better else "post"
    worst = bottom if points.y.higher_is_better else top
    axes.fill_between(x, y, worst, step=where, color="#000000", alpha=0.04, linewidth=0)
    axes.step(
        x, y, where=where, color=_INK, linewidth=1.4, zorder=1.5, label="Pareto front; shaded: dominated"
    )


def _draw_references(axes: Axes, points: _Points) -> None:
    """Lines at the best teacher and at the best student without distillation."""
    for role, dash, words in _REFERENCES:
        best = next((i for i, row in enumerate(points.rows) if row.role == role), None)
        if best is not None:
            label = f"{words} (no. {best + 1})"
            axes.axhline(
                points.y.values[best], color=_INK, linewidth=1.0, linestyle=dash, zorder=1.2, label=label
            )


def _draw_points(axes: Axes, points: _Points, styles: Styles) -> None:
    largest_first = sorted(
        zip(points.rows, points.x.estimates, points.y.estimates, strict=True),
        key=lambda point: -styles.marker(point[0])["markersize"],
    )
    for row, x, y in largest_first:
        axes.errorbar(
            x.value,
            y.value,
            xerr=_bar(x),
            yerr=_bar(y),
            fmt="none",
            ecolor=styles.colour(row),
            elinewidth=0.9,
            alpha=0.45,
            zorder=2,
        )
        axes.plot(x.value, y.value, zorder=3, **styles.marker(row))


def _bar(one: Estimate) -> list[list[float]] | None:
    if one.interval is None:
        return None
    low, high = one.interval
    return [[max(0.0, one.value - low)], [max(0.0, high - one.value)]]


def _draw_key(figure: Figure, points: _Points, styles: Styles, left: float, width: float) -> None:
    """Spell out every number, best accuracy first, ``left`` and column ``width`` in inches."""
    inches = figure.dpi_scale_trans
    top = figure.get_figheight() - 0.14
    marked = " (bold: on the front)" if points.front else ""
    title = f"No., {wording.title(points.y.name)}, student · method · loss · bits{marked}"
    _text(figure, left + 0.08, top, title, fontsize=8)
    for i, (row, one) in enumerate(zip(points.rows, points.y.estimates, strict=True)):
        column, line = divmod(i, _KEY_LINES)
        x, y = left + column * width, top - _LINE * (line + 1.4)
        weight = "bold" if i in points.front else "normal"
        figure.add_artist(Line2D([x + 0.15], [y], transform=inches, **styles.marker(row)))
        for indent, text, side in (
            (0.52, str(i + 1), "right"),
            (0.62, _number(one), "left"),
            (1.6, str(row.configuration), "left"),
        ):
            figure.text(
                x + indent,
                y,
                text,
                transform=inches,
                ha=side,
                va="center_baseline",
                fontsize=8,
                fontweight=weight,
            )


def _number(one: Estimate) -> str:
    return f"{one.value:.3f}" + ("" if one.half_width is None else f" ± {one.half_width:.3f}")


def _draw_numbers(axes: Axes, points: _Points, styles: Styles) -> None:
    """Number the points where nothing is covered, with a leader line where that is some way off."""
    scale = _POINTS_PER_INCH / axes.figure.dpi
    values = np.column_stack([points.x.values, points.y.values])
    anchors = axes.transData.transform(values) * scale
    radii = np.array([[styles.marker(row)["markersize"] / 2 + 1] for row in points.rows])
    names = [str(number) for number in range(1, len(anchors) + 1)]
    offsets = place(
        anchors,
        sizes=np.array([(4.6 * len(name) + 2, 8.0) for name in names]),
        radii=radii,
        frame=np.array(axes.get_window_extent().extents) * scale,
    )
    for position, (name, point, offset) in enumerate(zip(names, values, offsets, strict=True)):
        leader = _LEADER if np.hypot(*offset) > radii[position, 0] + 12 else None
        axes.annotate(
            name,
            tuple(point),
            xytext=tuple(offset),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7.5,
            fontweight="bold" if position in points.front else "normal",
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.7},
            arrowprops=leader,
            zorder=4,
        )


def _encode(figure: Figure, form: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=160, metadata=metadata)
    return buffer.getvalue()
