"""Pareto charts: accuracy against cost within one comparable group.

Every point carries a number; the key beside the axes spells it out, best accuracy first.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from dataclasses import dataclass
from typing import Literal

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
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.1,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.fonttype": "none",  # text stays text, so it can be searched
    "svg.hashsalt": "hash-pareto",  # the same records give the same bytes
}
_INK = "#404040"
_POINTS_PER_INCH = 72
_KEY_LINES = 40


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
    columns = math.ceil(len(points.rows) / _KEY_LINES)
    longest = max(len(str(row.configuration)) for row in points.rows)
    lines = min(len(points.rows), _KEY_LINES) + len(styles.legend(points.rows)) / 2
    figure = Figure(
        figsize=(7.0 + columns * (1.9 + 0.062 * longest), max(5.8, 2.4 + 0.185 * lines)), layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _set_limits(axes, points)
    _draw_front(axes, points)
    _draw_references(axes, points)
    _draw_points(axes, points, styles)
    _draw_words(figure, axes, report, group, points)
    _draw_legends(figure, axes, points, styles)
    # The layout must be final before labels can avoid anything.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    _draw_numbers(axes, points, styles)
    return figure


def _set_limits(axes: Axes, points: _Points) -> None:
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    # Two seeds can give intervals of any length; bars may be cut, points must stay apart.
    reach = max(np.ptp(y), 0.02 * abs(y.max()), 1e-9)
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
    axes.fill_between(
        x,
        y,
        bottom if points.y.higher_is_better else top,
        step=where,
        color="#000000",
        alpha=0.04,
        linewidth=0,
    )
    axes.step(x, y, where=where, color=_INK, linewidth=1.4, zorder=1.5, label="Pareto front")


def _draw_references(axes: Axes, points: _Points) -> None:
    """Lines at the best teacher and at the best student without distillation."""
    for role, dash, words in (
        ("teacher", "--", "best teacher"),
        ("undistilled", ":", "best without distillation"),
    ):
        best = next((i for i, row in enumerate(points.rows) if row.role == role), None)
        if best is not None:
            value = points.y.values[best]
            axes.axhline(
                value,
                color=_INK,
                linewidth=1.0,
                linestyle=dash,
                zorder=1.2,
                label=f"{words} (no. {best + 1})",
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


def _draw_words(figure: Figure, axes: Axes, report: str, group: Group, points: _Points) -> None:
    x, y = points.x, points.y
    figure.suptitle(
        _wrap([f"{report} · {group.dataset}: {wording.title(y.name)} against {wording.title(x.name)}"], 80),
        x=0.012,
        ha="left",
        fontsize=12,
        fontweight="bold",
    )
    context = [group.conditions, group.protocol_words]
    if group.limited:
        context.insert(0, "LIMITED RUN, NOT COMPARABLE: no front is drawn")
    axes.set_title(_wrap(context, 105), loc="left", fontsize=8, color=_INK)
    axes.set_xlabel(f"{x.label} →" if x.higher_is_better else f"← {x.label}")
    axes.set_ylabel(f"{y.label} →" if y.higher_is_better else f"← {y.label}")
    notes = [wording.definition(y.name)] if y.name.startswith("map@") else []
    if spread := interval_words(y.estimates):
        notes.append(f"Bars and ±: {spread}.")
    if absent := len(group.rows) - len(points.rows):
        notes.append(f"{absent} rows lack one of the two metrics and are in the table only.")
    figure.supxlabel(_wrap(notes, 112), x=0.012, ha="left", fontsize=7.5, color=_INK)


def _wrap(lines: list[str], width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in lines)


def _draw_legends(figure: Figure, axes: Axes, points: _Points, styles: Styles) -> None:
    width = len(str(len(points.rows)))
    entries = [
        # Figure spaces are as wide as digits.
        Line2D(
            [],
            [],
            label=f"{number:\u2007>{width}}  {_number(one)}  {row.configuration}",
            **styles.marker(row),
        )
        for number, (row, one) in enumerate(zip(points.rows, points.y.estimates, strict=True), 1)
    ]
    key = figure.legend(
        handles=entries,
        loc="outside right upper",
        ncols=math.ceil(len(entries) / _KEY_LINES),
        title=f"No., {wording.title(points.y.name)}, student · method · loss · bits (bold: on the front)",
        title_fontsize=8,
        alignment="left",
    )
    for position in points.front:
        key.get_texts()[position].set_fontweight("bold")
    lines, _ = axes.get_legend_handles_labels()
    figure.legend(
        handles=[*styles.legend(points.rows), *lines],
        loc="outside right lower",
        ncols=2,
        title="Colour and shape: method; filling: loss; size: bits",
        title_fontsize=8,
        alignment="left",
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
        far = np.hypot(*offset) > radii[position, 0] + 12
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
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": _INK, "shrinkA": 0, "shrinkB": 3}
            if far
            else None,
            zorder=4,
        )


def _encode(figure: Figure, form: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=160, metadata=metadata)
    return buffer.getvalue()
