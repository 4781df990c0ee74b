"""Pareto charts: accuracy against cost within one comparable group.

A chart is as wide as a README shows it. Only the rows that matter are named in it; what the others are is
told by colour and shape, and by the table of the report.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.charts import axes as chart_axes
from bench.report.charts import dots, panels, words
from bench.report.charts import key as chart_key
from bench.report.charts.axes import POINTS_PER_INCH
from bench.report.charts.drawing import Drawing
from bench.report.charts.forms import form_of
from bench.report.charts.key import Key
from bench.report.charts.names import draw_names
from bench.report.charts.points import DASHES, REFERENCES, Points
from bench.report.charts.sheet import BELOW_AXES, EDGE, ROOM, Sheet
from bench.report.charts.side_by_side import stacks
from bench.report.charts.styles import Styles
from bench.report.charts.text import INK, SMALL, TEXT, WIDTH, Pen, height
from bench.results.fronts import Front
from bench.results.published import Point
from bench.results.summary import Role

_LOOK = {
    "font.size": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#EBEBEB",
    "grid.linewidth": 0.6,
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
#: Pixels per inch: two for each of a README's.
_RESOLUTION = 200

# Inches.
_LEFT, _AXES_HEIGHT = 0.82, 3.9


def pareto_chart(
    report: str, front: Front, styles: Styles, formats: Iterable[str], published: Sequence[Point] = ()
) -> dict[str, bytes]:
    """Draw one chart.

    Args:
        report: name of the grid, for the subtitle.
        front: the rows to draw; nothing is ranked in limited groups.
        styles: the markers of this report.
        formats: of ``files.FORMATS``.
        published: figures to set beside the rows.

    Returns:
        File extension -> content.
    """
    with look():
        figure = draw(report, front, styles, published)
        return {form: encode(figure, form) for form in formats}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """The settings that a chart is drawn and saved with."""
    with matplotlib.style.context(["default", _LOOK]), warnings.catch_warnings():
        # A name may hold characters that the font lacks; they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def encode(figure: Figure, form: str) -> bytes:
    """The file of a figure, the same bytes for the same figure; see ``look``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=_RESOLUTION, **_OPTIONS[form])
    return buffer.getvalue()


def draw(report: str, front: Front, styles: Styles, published: Sequence[Point] = ()) -> Figure:
    """Lay the chart out in the form that its rows can be read in; see ``look``."""
    points = Points.of(front, published)
    form = form_of(points)
    if form.kind == "lines":
        figure = panels.draw(report, front, points.in_full(), styles, form.facets)
        if figure is not None:
            return figure
    if form.kind == "dots":
        return dots.draw(report, front, points.in_full(), styles)
    return _scatter(report, front, points, styles)


def _scatter(report: str, front: Front, points: Points, styles: Styles) -> Figure:
    """All points in one pair of axes, those that matter named."""
    sheet = Sheet(words.title(front), words.subtitle(report, front, points))
    figure, pen = sheet.figure, sheet.pen
    left, width = _LEFT / WIDTH, (WIDTH - _LEFT - _margin(pen, points)) / WIDTH
    axes = figure.add_axes((left, 0.5, width, 0.5))
    chart_axes.limit_costs(axes, points)
    at = chart_axes.on_paper(axes, np.column_stack([points.x.everything, points.y.everything]))
    banded = any(len(some) > 1 for some in stacks(points, at[:, 0]))
    if points.unlisted:
        styles = styles.focused(points.methods)
    key = Key(chart_key.entries(front, points, styles, pen, banded=banded), pen, width=ROOM)

    bottom = sheet.below(key.height)
    total = sheet.top + _AXES_HEIGHT + bottom
    sheet.cut_to(total)
    axes.set_position((left, bottom / total, width, _AXES_HEIGHT / total))
    cut = chart_axes.limit_accuracies(axes, points)
    chart_axes.thin_out(axes, pen)
    for label, length in ((axes.xaxis.label, WIDTH - 2 * _LEFT), (axes.yaxis.label, _AXES_HEIGHT)):
        label.set_text(pen.fit(label.get_text(), length, TEXT))
    drawing = Drawing(axes, points, styles, pen)
    drawing.draw()
    draw_names(drawing, pen)
    _name_references(axes, points, pen)
    key.draw(figure, EDGE, bottom - BELOW_AXES)
    sheet.write_notes(words.notes(front, points, cut=cut))
    sheet.set_letter_by_letter()
    return figure


# -- Beside the axes -----------------------------------------------------------------------------


#: In the margin, where there is no room for long lines.
_BROKEN: dict[Role, list[str]] = {
    role: said.rsplit(" ", 1) if len(said) > 15 else [said] for role, said in REFERENCES.items()
}


def _margin(pen: Pen, points: Points) -> float:
    """Room to the right of the axes, inches."""
    return max([0.25, *(pen.width("\n".join(_BROKEN[role])) + 0.2 for role in points.references)])


def _name_references(axes: Axes, points: Points, pen: Pen) -> None:
    """Lines at the best teacher and at the best student without distillation, named in the margin."""
    _, _, right, _ = chart_axes.frame(axes)
    step = 0.9 * height(SMALL)
    lowest = -np.inf
    for role, best in sorted(points.references.items(), key=lambda item: points.y.values[item[1]]):
        level = points.y.values[best]
        axes.axhline(level, color=INK, linewidth=1.0, linestyle=DASHES[role], zorder=1.2)
        y = chart_axes.on_paper(axes, np.array([points.x.values[best], level]))[1] / POINTS_PER_INCH
        lines = _BROKEN[role]
        # Names of lines that lie close together make room for each other.
        y = max(y, lowest + step * len(lines) / 2)
        for number, line in enumerate(lines):
            pen.write(
                right / POINTS_PER_INCH + 0.08, y + step * ((len(lines) - 1) / 2 - number), line, color=INK
            )
        lowest = y + step * (len(lines) / 2 + 0.4)
