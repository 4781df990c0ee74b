"""A dot plot: methods below each other, accuracy across, for many methods of one or two networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.charts import axes as chart_axes
from bench.report.charts import key as chart_key
from bench.report.charts import strokes, words
from bench.report.charts.key import Entry, Key
from bench.report.charts.points import DASHES, REFERENCES, Points
from bench.report.charts.sheet import BELOW_AXES, EDGE, ROOM, Sheet
from bench.report.charts.styles import FILLS, Styles
from bench.report.charts.text import INK, SMALL, TEXT, WIDTH, Pen, height
from bench.results import catalogue, wording
from bench.results.fronts import Front
from bench.results.summary import Row

# Inches: the longest name of a line, and from words to the axes.
_LONGEST, _GAP = 2.4, 0.12
#: From one point of a line to the next one, what else a line takes, and its least height.
_STEP, _LINE, _LEAST_LINE = 0.095, 0.1, 0.21
#: Lines that losses may have of their own.
_MOST_APART = 48
#: The line above the lines of a network, what is below all of them, and what names of references take above.
_HEAD, _UNDER, _ABOVE = 0.27, 0.08, 2 * height(SMALL)
#: Behind words that lie on the axes.
_GROUND: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
#: Behind what is on the front.
_HALO: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": "#B9C7D9", "markeredgewidth": 0}
_HALO_WIDER = 7.0
_GUIDE: dict[str, Any] = {"color": "#EBEBEB", "linewidth": 0.6, "zorder": 0.5}


@dataclass(frozen=True)
class _Line:
    """Rows that differ in loss and code length alone, in that order."""

    name: str
    rows: list[int]

    @property
    def height(self) -> float:
        """Inches."""
        return max(_LEAST_LINE, len(self.rows) * _STEP + _LINE)


def draw(report: str, front: Front, points: Points, styles: Styles) -> Figure:
    """Lay the chart out; see ``plots.look``.

    Args:
        points: with all rows listed.
    """
    sheet = Sheet(words.title_of_methods(front), words.subtitle(report, front, points, often=True))
    pen = sheet.pen
    apart = _apart(points.rows)
    styles = styles.without({"loss"} if apart else ())
    key = Key(_entries(front, points, styles, pen), pen, width=ROOM)
    blocks = _blocks(points, catalogue.long_title(front.cost), apart=apart)
    lines = [line for some in blocks.values() for line in some]
    left = EDGE + min(max(pen.width(line.name) for line in lines), _LONGEST) + _GAP
    tall = len(blocks) * _HEAD + sum(line.height for line in lines) + _UNDER
    bottom = sheet.below(key.height)
    total = sheet.top + _ABOVE + tall + bottom
    sheet.cut_to(total)
    place = (left / WIDTH, bottom / total, (WIDTH - left - 2 * EDGE) / WIDTH, tall / total)
    axes = sheet.figure.add_axes(place)
    cut = chart_axes.limit_accuracies(axes, points, across=True)
    axes.set_xlabel(pen.fit(axes.get_xlabel(), WIDTH - 2 * EDGE, TEXT))
    axes.set_ylim(0, tall)  # inches
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)

    y = tall
    for name, some in blocks.items():
        said = pen.fit(name, ROOM, SMALL, "bold")
        pen.write(EDGE, bottom + y - _HEAD / 2, said, fontweight="bold", bbox=_GROUND)
        y -= _HEAD
        for line in some:
            level = y - line.height / 2
            pen.write(left - _GAP, bottom + level, pen.fit(line.name, _LONGEST), ha="right")
            axes.axhline(level, **_GUIDE)
            _draw_line(axes, points, styles, line, level)
            y -= line.height
    _name_references(axes, points, pen, bottom + tall)
    key.draw(sheet.figure, EDGE, bottom - BELOW_AXES)
    sheet.write_notes(words.notes(front, points, cut=cut))
    sheet.set_letter_by_letter()
    return sheet.figure


def _apart(rows: Sequence[Row]) -> bool:
    """Whether every loss has a line of its own: where fillings would repeat, and lines stay few enough."""
    lines = {(one.student, one.method, one.loss) for one in (row.configuration for row in rows)}
    return len({loss for *_, loss in lines}) > len(FILLS) and len(lines) <= _MOST_APART


def _blocks(points: Points, cost: str, *, apart: bool) -> dict[str, list[_Line]]:
    """Lines below the name of their network, the best first; the cheapest network first, teachers last.

    Args:
        cost: what the networks cost, in words.
        apart: see ``_apart``.
    """
    usual = words.usual_size(points.rows)
    found: dict[tuple[int, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, row in enumerate(points.rows):
        name, method = words.network(row, usual), row.configuration.method
        loss = f" · {row.configuration.loss}" if apart else ""
        if row.role == "teacher" and apart:
            found[2, name][row.configuration.loss].append(i)
        elif row.role == "teacher":
            found[2, "teachers"][name.replace("(teacher, ", "(").replace(" (teacher)", "")].append(i)
        elif row.role == "external":
            found[1, wording.ELSEWHERE][name].append(i)
        else:
            found[0, name][("no distillation" if method == "none" else method) + loss].append(i)
    sign = -1.0 if points.x.higher_is_better else 1.0

    def rank(block: tuple[int, str]) -> tuple[int, float, str]:
        least = min(sign * points.x.values[i] for some in found[block].values() for i in some)
        return block[0], least, block[1]

    blocks = {}
    for block in sorted(found, key=rank):
        costs = {
            name: f"{words.costs(points, some)} {points.x.unit}".strip()
            for name, some in found[block].items()
        }
        same = len(set(costs.values())) == 1
        title = (
            f"{block[1]} · {next(iter(costs.values()))} {cost}"
            if same
            else f"{block[1]} · {cost} behind each"
        )
        blocks[title] = [
            _Line(
                name if same else f"{name} · {costs[name]}",
                sorted(some, key=lambda i: _order(points.rows[i])),
            )
            for name, some in found[block].items()
        ]
    return blocks


def _order(row: Row) -> tuple[str, int]:
    return row.configuration.loss, row.configuration.bits


def _draw_line(axes: Axes, points: Points, styles: Styles, line: _Line, level: float) -> None:
    """Bars and markers of a line around its level, from the top down."""
    for number, i in enumerate(line.rows):
        y = level + _STEP * ((len(line.rows) - 1) / 2 - number)
        x, interval = points.y.values[i], points.y.estimates[i].interval
        if interval is not None:
            bar = np.array([(bound, y) for bound in interval])
            strokes.add_lines(
                axes, [bar], colors=styles.colour(points.rows[i]), linewidths=1.1, alpha=0.55, zorder=2
            )
        marks = chart_key.marks(points, i, styles)
        if i in points.on_front:
            axes.plot(x, y, zorder=1.9, **_HALO, markersize=marks[-1]["markersize"] + _HALO_WIDER)
        for mark in marks:
            axes.plot(x, y, zorder=3, **mark)
        if signs := "".join(mark for mark in points.doubts(i) if not points.is_everywhere(mark)):
            strokes.add_sign(axes, chart_axes.on_paper(axes, np.array([x, y])), signs)


def _name_references(axes: Axes, points: Points, pen: Pen, top: float) -> None:
    """Lines at the best teacher and at the best student without distillation, each named above the axes."""
    taken: list[tuple[float, float]] = []
    for role, best in sorted(points.references.items()):
        level = points.y.values[best]
        axes.axvline(level, color=INK, linewidth=1.0, linestyle=DASHES[role], zorder=1.2)
        x = chart_axes.on_paper(axes, np.array([level, 0.0]))[0] / chart_axes.POINTS_PER_INCH
        half = pen.width(REFERENCES[role]) / 2
        x = min(max(x, EDGE + half), WIDTH - EDGE - half)
        # Names that would cover each other stand one above the other.
        line = any(x - half - _GAP < right and left < x + half + _GAP for left, right in taken)
        pen.write(x, top + (line + 0.5) * height(SMALL), REFERENCES[role], ha="center", color=INK)
        taken.append((x - half, x + half))


def _entries(front: Front, points: Points, styles: Styles, pen: Pen) -> Iterator[list[Entry]]:
    """Fillings, sizes and standings; methods have their names beside them."""
    yield from list(chart_key.looks(points, styles, pen))[1:]
    standing = []
    if points.on_front:
        halo = {**_HALO, "markersize": 5.0 + _HALO_WIDER}
        standing.append(Entry("on the Pareto front", (halo, chart_key.dot())))
    standing += chart_key.sureness(points, banded=False)
    if points.close:
        standing.append(chart_key.close())
    if points.recommended is not None:
        standing.append(chart_key.recommended(front))
    yield standing
    yield chart_key.doubts(points)
