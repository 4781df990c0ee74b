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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report.charts import axes as chart_axes
from bench.report.charts import words
from bench.report.charts.axes import POINTS_PER_INCH
from bench.report.charts.drawing import Drawing
from bench.report.charts.key import Key
from bench.report.charts.names import draw_names
from bench.report.charts.points import REFERENCES, Points
from bench.report.charts.side_by_side import stacks
from bench.report.charts.styles import Styles
from bench.report.charts.text import INK, SMALL, TEXT, TITLE, WIDTH, Pen, height
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
_DASHES = {"teacher": (0, (6, 3)), "undistilled": (0, (1.5, 2))}

# Inches.
_LEFT, _AXES_HEIGHT, _EDGE = 0.82, 3.9, 0.12
_BELOW_AXES = 0.62


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
        return {form: _encode(figure, form) for form in formats}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """The settings that a chart is drawn and saved with."""
    with matplotlib.style.context(["default", _LOOK]), warnings.catch_warnings():
        # A name may hold characters that the font lacks; they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def _encode(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=_RESOLUTION, **_OPTIONS[form])
    return buffer.getvalue()


def draw(report: str, front: Front, styles: Styles, published: Sequence[Point] = ()) -> Figure:
    """Lay the chart out in inches, from the top down: title, subtitle, axes, key, notes; see ``look``."""
    points = Points.of(front, published)
    figure = Figure(figsize=(WIDTH, WIDTH))  # its height is known last
    FigureCanvasAgg(figure)
    pen = Pen(figure)
    room = WIDTH - 2 * _EDGE
    # Lines are not filled to their end, so a little less than two of them.
    title = pen.fit(words.title(front), 1.7 * room, TITLE, "bold")
    titles = pen.fill([title], room, 3, TITLE, "bold")
    subtitle = [pen.fit(line, room) for line in words.subtitle(report, front, points)]
    left, width = _LEFT / WIDTH, (WIDTH - _LEFT - _margin(pen, points)) / WIDTH
    axes = figure.add_axes((left, 0.5, width, 0.5))
    chart_axes.limit_costs(axes, points)
    at = chart_axes.on_paper(axes, np.column_stack([points.x.everything, points.y.everything]))
    banded = any(len(some) > 1 for some in stacks(points, at[:, 0]))
    key = Key(front, points, styles, pen, width=room, banded=banded)

    top = 0.1 + len(titles) * height(TITLE) + len(subtitle) * height(SMALL) + 0.1
    bottom = _BELOW_AXES + key.height + 0.08 + 2 * height(SMALL) + 0.06
    total = top + _AXES_HEIGHT + bottom
    figure.set_size_inches(WIDTH, total)
    axes.set_position((left, bottom / total, width, _AXES_HEIGHT / total))
    y = total - 0.1
    for line in titles:
        pen.write(_EDGE, y - height(TITLE) / 2, line, fontsize=TITLE, fontweight="bold")
        y -= height(TITLE)
    for line in subtitle:
        pen.write(_EDGE, y - height(SMALL) / 2, line, color=INK)
        y -= height(SMALL)
    cut = chart_axes.limit_accuracies(axes, points)
    chart_axes.thin_out(axes, pen)
    for label, length in ((axes.xaxis.label, WIDTH - 2 * _LEFT), (axes.yaxis.label, _AXES_HEIGHT)):
        label.set_text(pen.fit(label.get_text(), length, TEXT))
    drawing = Drawing(axes, points, styles, pen)
    drawing.draw()
    draw_names(drawing, pen)
    _name_references(axes, points, pen)
    key.draw(figure, _EDGE, bottom - _BELOW_AXES)
    y = bottom - _BELOW_AXES - key.height - 0.08
    for line in pen.fill(words.notes(front, points, cut=cut), room, 2):
        pen.write(_EDGE, y - height(SMALL) / 2, line, color=INK)
        y -= height(SMALL)
    _set_letter_by_letter(figure)
    return figure


def _set_letter_by_letter(figure: Figure) -> None:
    """Take out the ligatures that matplotlib 3.11 brought: they embed every font of a PDF twice."""
    for axes in figure.axes:
        for text in (*figure.texts, *axes.texts, axes.xaxis.label, axes.yaxis.label):
            if hasattr(text, "set_fontfeatures"):
                text.set_fontfeatures(["-liga"])


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
        axes.axhline(level, color=INK, linewidth=1.0, linestyle=_DASHES[role], zorder=1.2)
        y = chart_axes.on_paper(axes, np.array([points.x.values[best], level]))[1] / POINTS_PER_INCH
        lines = _BROKEN[role]
        # Names of lines that lie close together make room for each other.
        y = max(y, lowest + step * len(lines) / 2)
        for number, line in enumerate(lines):
            pen.write(
                right / POINTS_PER_INCH + 0.08, y + step * ((len(lines) - 1) / 2 - number), line, color=INK
            )
        lowest = y + step * (len(lines) / 2 + 0.4)
