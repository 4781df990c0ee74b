"""Charts of an accuracy along a number that differs between cells: a line for what differs in nothing else.

Up to eight lines share one pair of axes and are named at their ends. More of them become small multiples by
loss, code length or student, which share the vertical axis and one key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape

from matplotlib.figure import Figure

from bench.errors import escaped
from bench.report.charts import axes as chart_axes
from bench.report.charts import curve_words as words
from bench.report.charts.axes import POINTS_PER_INCH
from bench.report.charts.curve_axis import ValueAxis
from bench.report.charts.curve_facets import facets_of, panels_of, title, told
from bench.report.charts.curve_looks import RADIUS, looks_of, row_of
from bench.report.charts.curve_panel import Drawn, Panel, accuracy_limits
from bench.report.charts.key import Entry, Key
from bench.report.charts.plots import encode, look
from bench.report.charts.sheet import BELOW_AXES, EDGE, ROOM, Sheet
from bench.report.charts.styles import Styles
from bench.report.charts.text import TEXT, WIDTH
from bench.results import catalogue
from bench.results.curves import Curve
from bench.results.summary import Group

# Inches: of the axes of one panel, and of each of several; from one of these to the next.
_LEFT, _RIGHT = 0.82, 0.2
_TALL, _SHORT = 3.9, 2.5
_ACROSS, _DOWN = 0.28, 0.42
_TITLED = 0.26
#: The longest name at the end of a line.
_LONGEST = 2.4


def curve_chart(report: str, curve: Curve, styles: Styles, formats: Iterable[str]) -> dict[str, bytes]:
    """Draw one chart.

    Args:
        report: name of the grid, for the subtitle.
        curve: what to draw.
        styles: see ``styles_of``.
        formats: of ``files.FORMATS``.

    Returns:
        File extension -> content; the same records give the same bytes. In SVG, points have titles that
        browsers show.
    """
    with look():
        figure, tips = draw(report, curve, styles)
        drawn = {form: encode(figure, form) for form in formats}
    return {form: _told(content, tips) if form == "svg" else content for form, content in drawn.items()}


def styles_of(groups: Sequence[Group], curves: Sequence[Curve]) -> Styles:
    """Markers for all curves of a report: methods look as in other charts where they are called alike."""
    lines = [row_of(line) for curve in curves for line in curve.lines]
    # Others take part by their methods alone, which have the colours that they would have without curves.
    others = [
        replace(row, configuration=replace(lines[0].configuration, method=row.configuration.method))
        for group in groups
        for row in group.rows
    ]
    return Styles([Group("", {}, "", "", [*lines, *others])])


def _told(svg: bytes, tips: dict[str, str]) -> bytes:
    """Points with titles in place of the names that they went by."""

    def titled(found: re.Match[str]) -> str:
        return f"<g><title>{escape(escaped(tips[found[1]]), quote=False)}</title>"

    return re.sub(r'<g id="(tip-\d+)">', titled, svg.decode()).encode()


def draw(report: str, curve: Curve, styles: Styles) -> tuple[Figure, dict[str, str]]:
    """Lay the chart out from the top down, see ``look``; also what points tell, by their names in it."""
    facets = facets_of(curve)
    lines, tips = _lines(curve, styles, facets)
    panels = panels_of(curve, facets)
    drawn = [lines[i] for i in sorted({i for some in panels.values() for i in some})]
    sheet = Sheet(words.title(curve), words.subtitle(report, curve))
    single = len(panels) == 1
    key = None if single else Key([_entries(drawn)], sheet.pen, width=ROOM)
    room = min(max(sheet.pen.width(line.name) for line in drawn), _LONGEST)
    right = room + 0.25 if single else _RIGHT
    across = 1 if single else 2 if len(panels) in (2, 4) else 3
    rows = -(-len(panels) // across)
    tall, titled = (_TALL, 0.0) if single else (_SHORT, _TITLED)
    bottom = sheet.below(key.height if key else 0.0)
    total = sheet.top + rows * (tall + titled) + (rows - 1) * _DOWN + bottom
    sheet.cut_to(total)

    width = (WIDTH - _LEFT - right - (across - 1) * _ACROSS) / across
    metric = next(iter(curve.lines[0].rows.values())).metrics[curve.accuracy]
    bounds = catalogue.bounds(curve.accuracy, metric.unit)
    low, high, cut = accuracy_limits(curve.estimates, bounds)
    most = max(map(len, panels.values()))
    axis = ValueAxis(curve.values, width * POINTS_PER_INCH, most, RADIUS)
    for number, (values, some) in enumerate(panels.items()):
        row, column = divmod(number, across)
        x = _LEFT + column * (width + _ACROSS)
        y = total - sheet.top - (row + 1) * (tall + titled) - row * _DOWN
        axes = sheet.figure.add_axes((x / WIDTH, y / total, width / WIDTH, tall / total))
        axes.set_ylim(low, high)
        chart_axes.limit_ticks(axes.yaxis, [one.value for one in curve.estimates], bounds)
        axis.limit(axes, sheet.pen)
        axes.grid(visible=False, axis="x")
        if not single:
            said = sheet.pen.fit(title(values, facets), width, TEXT, "bold")
            sheet.pen.write(x, y + tall + titled / 2, said, fontsize=TEXT, fontweight="bold")
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(sheet.pen.fit_one(words.up(curve, metric), tall, TEXT))
        panel = Panel(axes, [lines[i] for i in some], axis.step(len(some)))
        panel.draw()
        if single:
            panel.name_ends(sheet.pen, room)
    middle, room = (_LEFT + WIDTH - right) / 2, WIDTH - _LEFT - right
    said = sheet.pen.fit(words.across(curve, axis.scale), room, TEXT)
    sheet.pen.write(middle, bottom - BELOW_AXES + 0.17, said, fontsize=TEXT, ha="center")
    if key:
        key.draw(sheet.figure, EDGE, bottom - BELOW_AXES)
    sheet.write_notes(words.notes(curve, cut=cut))
    sheet.set_letter_by_letter()
    return sheet.figure, tips


# -- Lines ----------------------------------------------------------------------------------------


def _lines(curve: Curve, styles: Styles, facets: Sequence[str]) -> tuple[list[Drawn], dict[str, str]]:
    """All lines, and what is told of their points: name of the element -> words."""
    parts = words.parts(curve, told(curve, facets, panels_of(curve, facets)))
    looks = looks_of(curve.lines, parts, styles, facets)
    tips: dict[str, str] = {}
    lines = []
    for line, some, how in zip(curve.lines, parts, looks, strict=True):
        name = words.name(line, some)
        tell = {
            f"tip-{len(tips) + n}": words.tip(curve, line, name, value) for n, value in enumerate(line.rows)
        }
        lines.append(Drawn(name, line.estimates(curve.accuracy), list(tell), how))
        tips |= tell
    return lines, tips


def _entries(lines: Sequence[Drawn]) -> list[Entry]:
    """A line of the key for all that look and are called alike."""
    alike = {(line.name, str(line.look)): line for line in lines}
    return [Entry(line.name, (line.look.marker,), line.look.line) for line in alike.values()]
