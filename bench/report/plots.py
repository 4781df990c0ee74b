"""Pareto charts: accuracy against cost within one comparable group.

Points carry numbers; the key beside the axes spells them out, best accuracy first. Of many rows only those
that matter are numbered: the front, what is not distinguishable from it, and the references.
"""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.report import chart_key
from bench.report import chart_points as words
from bench.report.chart_files import FORMATS
from bench.report.chart_key import INK
from bench.report.chart_points import Axis, Points
from bench.report.fronts import Front
from bench.report.labels import place
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
    "text.hinting": "none",  # finer at this resolution, and quicker
    "svg.fonttype": "none",  # text stays text, so it can be searched
    "svg.hashsalt": "hash-pareto",  # the same records give the same bytes
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
}
#: Extension -> what ``savefig`` is told, so that neither dates nor versions get into the files.
_OPTIONS: dict[str, dict[str, Any]] = {
    # Twice as quick as the default of 6, for files that are a tenth larger.
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}
_DASHES = {"teacher": "--", "undistilled": ":"}
_POINTS_PER_INCH = 72
#: A number further from its point than this, in printer's points, gets a line to it.
_FAR = 12

# Inches.
_LEFT, _AXES_WIDTH, _AXES_HEIGHT = 0.85, 6.2, 4.2


def pareto_chart(
    report: str, front: Front, styles: Styles, formats: Iterable[str] = FORMATS
) -> dict[str, bytes]:
    """Draw one chart.

    Args:
        report: name of the grid, for the title.
        front: the rows to draw; nothing is ranked in limited groups.
        styles: the markers of this report.
        formats: of ``chart_files.FORMATS``.

    Returns:
        File extension -> content.
    """
    with matplotlib.style.context(["default", _LOOK]), warnings.catch_warnings():
        # A name may hold characters that the font lacks; they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = _draw(report, front, Points.of(front), styles)
        return {form: _encode(figure, form) for form in formats}


def _encode(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=160, **_OPTIONS[form])
    return buffer.getvalue()


def _draw(report: str, front: Front, points: Points, styles: Styles) -> Figure:
    """Lay the chart out in inches: title, context and notes to the left, key and legend to the right."""
    title, context, notes = words.title(report, front), words.context(front), words.notes(front, points)
    top = 0.3 + 0.22 * words.lines(title) + 0.16 * words.lines(context)
    bottom = 0.65 + 0.15 * words.lines(notes)
    key_left = _LEFT + _AXES_WIDTH + 0.3
    key_width, key_height = chart_key.size(points, styles)
    width, height = key_left + key_width, max(top + _AXES_HEIGHT + bottom, key_height)

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (_LEFT / width, bottom / height, _AXES_WIDTH / width, (height - top - bottom) / height)
    )
    _text(figure, 0.15, height - 0.12, title, fontsize=12, fontweight="bold")
    _text(figure, _LEFT, height - 0.2 - 0.22 * words.lines(title), context, fontsize=8, color=INK)
    _text(figure, 0.15, bottom - 0.5, notes, fontsize=7.5, color=INK)
    _set_axes(axes, points)
    _draw_front(axes, points)
    _draw_references(axes, points)
    _draw_bars(axes, points, styles)
    _draw_points(axes, points, styles)
    _draw_numbers(axes, points, styles)
    chart_key.draw(figure, front, points, styles, key_left)
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    chart_key.legend(figure, front, points, styles, key_left, named)
    _set_letter_by_letter(figure)
    return figure


def _set_letter_by_letter(figure: Figure) -> None:
    """Take out the ligatures that matplotlib 3.11 brought: they embed every font of a PDF twice."""
    for axes in figure.axes:
        for text in (*figure.texts, *axes.texts, axes.xaxis.label, axes.yaxis.label):
            if hasattr(text, "set_fontfeatures"):
                text.set_fontfeatures(["-liga"])


def _text(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Write ``text`` with its upper left corner at a place given in inches."""
    figure.text(x, y, text, transform=figure.dpi_scale_trans, va="top", linespacing=1.35, **look)


def _set_axes(axes: Axes, points: Points) -> None:
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
    axes.set_xlabel(points.x.label)
    axes.set_ylabel(points.y.label)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    # Two seeds can give intervals of any length; bars may be cut, points must stay apart.
    reach = max(np.ptp(y), 0.05 * abs(y.max()), 1e-9)
    bars = [bound for i in points.listed for bound in points.y.estimates[i].interval or ()]
    low, high = max(min([*bars, *y]), y.min() - reach / 2), min(max([*bars, *y]), y.max() + reach / 2)
    margin = 0.06 * (high - low or reach)
    axes.set_ylim(low - margin, high + margin)


def _draw_front(axes: Axes, points: Points) -> None:
    """The staircase of what each budget buys, up to the frame, and the dominated side shaded."""
    if not points.on_front:
        return
    steps = sorted((points.x.values[i], points.y.values[i]) for i in points.on_front)
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
        x, y, where=where, color=INK, linewidth=1.4, zorder=1.5, label="Pareto front; shaded: dominated"
    )


def _draw_references(axes: Axes, points: Points) -> None:
    """Lines at the best teacher and at the best student without distillation."""
    for role, best in points.references.items():
        label = f"{words.REFERENCES[role]} (no. {best + 1})"
        axes.axhline(
            points.y.values[best], color=INK, linewidth=1.0, linestyle=_DASHES[role], zorder=1.2, label=label
        )


def _draw_bars(axes: Axes, points: Points, styles: Styles) -> None:
    """Intervals of the numbered points on both axes."""
    for along, axis in enumerate((points.x, points.y)):
        with_bar = [i for i in points.listed if axis.estimates[i].interval is not None]
        segments = [_bar(points, i, axis, along) for i in with_bar]
        colours = [styles.colour(points.rows[i]) for i in with_bar]
        axes.add_collection(
            LineCollection(segments, colors=colours, linewidths=0.9, alpha=0.45, zorder=2), autolim=False
        )


def _bar(points: Points, position: int, axis: Axis, along: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    ends = np.array([[points.x.values[position], points.y.values[position]]] * 2)
    ends[:, along] = axis.estimates[position].interval
    return ends


def _draw_points(axes: Axes, points: Points, styles: Styles) -> None:
    x, y = np.array(points.x.values), np.array(points.y.values)
    pale: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in points.unlisted:
        marker = styles.marker(points.rows[i])
        pale[marker["marker"], marker["markeredgecolor"]].append(i)
    for (shape, colour), some in pale.items():
        axes.plot(x[some], y[some], shape, color=colour, markersize=3, alpha=0.4, linewidth=0, zorder=2.5)
    largest_first = sorted(points.listed, key=lambda i: -styles.marker(points.rows[i])["markersize"])
    for i in largest_first:
        for mark in chart_key.marks(points, i, styles):
            axes.plot(x[i], y[i], zorder=3, **mark)


def _draw_numbers(axes: Axes, points: Points, styles: Styles) -> None:
    """Number the points where nothing is covered, with a leader line where that is some way off."""
    scale = _POINTS_PER_INCH / axes.figure.dpi
    values = np.column_stack([points.x.values, points.y.values])
    anchors = axes.transData.transform(values) * scale
    listed, unlisted = points.listed, points.unlisted
    radii = np.array([[_radius(points, i, styles)] for i in listed])
    names = [str(i + 1) for i in listed]
    sizes = np.array([(4.6 * len(name) + 2, 8.0) for name in names])
    offsets = place(
        anchors[listed],
        sizes=sizes,
        radii=radii,
        frame=np.array(axes.get_window_extent().extents) * scale,
        obstacles=np.hstack([anchors[unlisted] - 1.5, anchors[unlisted] + 1.5]),
    )
    to_data = axes.transData.inverted()
    centres = anchors[listed] + offsets
    corners = centres[:, None] + sizes[:, None] / 2 * [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    boxes = to_data.transform(corners.reshape(-1, 2) / scale).reshape(-1, 4, 2)
    places = to_data.transform(centres / scale)
    far = np.hypot(*offsets.T) > radii[:, 0] + _FAR
    leaders = np.stack([places[far], values[listed][far]], axis=1)
    axes.add_collection(LineCollection(list(leaders), colors=INK, linewidths=0.5, zorder=2.8), autolim=False)
    axes.add_collection(
        PolyCollection(list(boxes), facecolors="white", edgecolors="none", alpha=0.7, zorder=3.9),
        autolim=False,
    )
    for name, i, (x, y) in zip(names, listed, places, strict=True):
        axes.text(
            x,
            y,
            name,
            ha="center",
            va="center",
            fontsize=7.5,
            fontweight="bold" if i in points.on_front else "normal",
            zorder=4,
        )


def _radius(points: Points, position: int, styles: Styles) -> float:
    """Half the width of what stands at a point, in printer's points."""
    return float(max(mark["markersize"] for mark in chart_key.marks(points, position, styles)) / 2 + 1)
