"""Small multiples: a panel per loss and code length, all on the same axes and before the same front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.charts import axes as chart_axes
from bench.report.charts import key as chart_key
from bench.report.charts import words
from bench.report.charts.forms import Facet, panels_of
from bench.report.charts.key import Entry, Key
from bench.report.charts.lines import ALL_FRONT, OWN_FRONT, Lines, Panel
from bench.report.charts.networks import NetworkKey
from bench.report.charts.points import Points
from bench.report.charts.sheet import BELOW_AXES, EDGE, ROOM, Sheet
from bench.report.charts.styles import Styles
from bench.report.charts.text import TEXT, WIDTH, Pen
from bench.results.fronts import Front

# Inches.
_LEFT, _RIGHT, _ACROSS = 0.82, 0.18, 0.22
#: Height of the axes by how many rows of panels there are.
_HEIGHTS = {1: 3.4, 2: 2.15, 3: 1.75}
_TITLE, _KEYS_APART = 0.24, 0.08
#: From the lower axes down to the title of the costs, and from the left edge to that of the accuracies.
_AXIS_TITLE, _BESIDE = 0.42, 0.22
#: Panels beside each other; networks without room in narrow ones may have it in those as wide as the page.
_COLUMNS = (2, 1)


def draw(report: str, front: Front, points: Points, styles: Styles, facets: Sequence[Facet]) -> Figure | None:
    """Lay the chart out; see ``plots.look``.

    Args:
        points: with all rows listed.
        facets: what the panels differ in; nothing of one panel.

    Returns:
        None where so many networks cost about the same that they would stand far from what they cost.
    """
    panels = panels_of(points.rows, facets)
    styles = styles.focused(points.methods, told=facets)
    sheet = Sheet(words.title(front), words.subtitle(report, front, points, often=True))
    figure, pen = sheet.figure, sheet.pen
    first = figure.add_axes((0, 0, 1, 0.5))
    for columns in (some for some in _COLUMNS if _is_possible(some, len(panels))):
        width = (WIDTH - _LEFT - _RIGHT - (columns - 1) * _ACROSS) / columns
        first.set_position((0, 0, width / WIDTH, 0.5))
        lines = Lines.of(first, points, styles, facets)
        if lines.fit:
            break
    else:
        return None
    deep = _deep(columns, len(panels))
    networks = NetworkKey(points, lines.columns, pen, width=ROOM)
    key = Key(_entries(front, lines, styles, pen, several=len(panels) > 1), pen, width=ROOM)

    title, tall = _TITLE * bool(facets), _HEIGHTS[deep]
    bottom = sheet.below(networks.height + _KEYS_APART + key.height)
    total = sheet.top + deep * (title + tall) + (deep - 1) * _ACROSS + bottom
    sheet.cut_to(total)
    cut = False
    for number, (values, rows) in enumerate(panels.items()):
        down, across = divmod(number, columns)
        left = _LEFT + across * (width + _ACROSS)
        upper = total - sheet.top - down * (title + tall + _ACROSS) - title
        place = (left / WIDTH, (upper - tall) / total, width / WIDTH, tall / total)
        if number == 0:
            axes = first
            axes.set_position(place)
            cut = chart_axes.limit_accuracies(axes, points)
            chart_axes.thin_out(axes, pen)
        else:
            axes = figure.add_axes(place, sharex=first, sharey=first, label=str(number))
        # Numbers stand at the outermost panels alone.
        axes.tick_params(labelleft=across == 0, labelbottom=number + columns >= len(panels))
        if facets:
            pen.write(left, upper + title / 2, words.panel(facets, values), fontweight="bold")
        Panel(axes, lines, rows, styles, pen).draw()
    _title_axes(first, pen, bottom, total - sheet.top)
    networks.draw(EDGE, bottom - BELOW_AXES)
    key.draw(figure, EDGE, bottom - BELOW_AXES - networks.height - _KEYS_APART)
    where = words.panel_notes(points, panels, facets, banded=bool(lines.bands))
    sheet.write_notes([*where, *words.notes(front, points, cut=cut)])
    sheet.set_letter_by_letter()
    return figure


def _deep(columns: int, panels: int) -> int:
    """How many panels stand below each other."""
    return -(-panels // columns)


def _is_possible(columns: int, panels: int) -> bool:
    return columns <= panels and _deep(columns, panels) in _HEIGHTS


def _title_axes(first: Axes, pen: Pen, bottom: float, top: float) -> None:
    """One title for the axes of all panels, which lie between two heights given in inches."""
    look = {"fontsize": TEXT, "ha": "center"}
    across = pen.fit(first.get_xlabel(), WIDTH - 2 * _LEFT, TEXT)
    up = pen.fit(first.get_ylabel(), top - bottom, TEXT)
    pen.write((WIDTH + _LEFT - _RIGHT) / 2, bottom - _AXIS_TITLE, across, **look)
    pen.write(_BESIDE, (top + bottom) / 2, up, rotation=90, va="center", **look)
    first.set_xlabel("")
    first.set_ylabel("")


def _entries(front: Front, lines: Lines, styles: Styles, pen: Pen, *, several: bool) -> Iterator[list[Entry]]:
    points = lines.points
    yield from chart_key.looks(points, styles, pen)
    standing = []
    if points.on_front and several:
        standing.append(Entry("Pareto front of all panels", line=ALL_FRONT))
    if points.on_front:
        standing.append(Entry("this panel's part of it" if several else "Pareto front", line=OWN_FRONT))
    standing += chart_key.sureness(points)
    if points.close:
        standing.append(chart_key.close())
    if points.recommended is not None:
        standing.append(chart_key.recommended(front))
    if lines.bands:
        standing.append(Entry("closer in cost than they are drawn", line=chart_key.BAND))
    yield standing
    yield chart_key.doubts(points)
