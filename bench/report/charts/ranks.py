"""A critical-difference diagram: mean ranks over data sets, bars over those that no test tells apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D

from bench.report.charts.plots import encode, look
from bench.report.charts.sheet import BELOW_AXES, EDGE, Sheet
from bench.report.charts.text import INK, SMALL, WIDTH, height
from bench.results.ranks import LEVEL, Ranks

# Inches: names at both sides of the axis, the numbers above it, and the scale of the difference above those.
_ASIDE, _NUMBERS, _SCALE, _ABOVE = 2.6, 0.16, 0.36, 0.62
#: From bar to bar, from the last one to the names, from name to name, and below the last one.
_STEP, _BEFORE_NAMES, _LINE, _UNDER = 0.13, 0.2, 1.3 * height(SMALL), 0.15
#: From a line to a name, and numbers that have room along the axis.
_GAP, _MOST_NUMBERS = 0.05, 12
_BAR: dict[str, Any] = {"color": "#0072B2", "linewidth": 4.0, "solid_capstyle": "round"}
_AXIS: dict[str, Any] = {"color": INK, "linewidth": 1.2}
_LEADER: dict[str, Any] = {"color": INK, "linewidth": 0.8}


def rank_chart(report: str, ranks: Ranks, formats: Sequence[str]) -> dict[str, bytes]:
    """Draw it as in figure 1 of Demšar (2006), the best on the left.

    Args:
        report: name of the grid, for the subtitle.
        ranks: what to draw.
        formats: of ``files.FORMATS``.

    Returns:
        File extension -> content.
    """
    with look():
        subtitle = " · ".join(filter(None, [f"Grid {report}", ranks.shared, ", ".join(ranks.blocks)]))
        sheet = Sheet(f"Mean rank by mAP over {len(ranks.blocks)} data sets", [subtitle])
        lines = (len(ranks.names) + 1) // 2
        tall = _ABOVE + len(ranks.alike) * _STEP + _BEFORE_NAMES + lines * _LINE
        total = sheet.top + tall + sheet.below(_UNDER - BELOW_AXES)
        sheet.cut_to(total)
        diagram = _Diagram(sheet, ranks, total - sheet.top - _ABOVE)
        diagram.draw_axis()
        diagram.draw_bars()
        diagram.draw_names(lines)
        sheet.write_notes(_notes(ranks))
        sheet.set_letter_by_letter()
        return {form: encode(sheet.figure, form) for form in formats}


class _Diagram:
    """What is drawn on a sheet, from an axis at a ``level``; places are inches."""

    def __init__(self, sheet: Sheet, ranks: Ranks, level: float) -> None:
        self._sheet, self._ranks, self._level = sheet, ranks, level
        self._worst = len(ranks.names)

    def draw_axis(self) -> None:
        """Ranks, and how much of them is a difference."""
        first, level = self._at(1), self._level
        self._line([first, self._at(self._worst)], [level] * 2, _AXIS)
        for rank in range(1, self._worst + 1, -(-self._worst // _MOST_NUMBERS)):
            self._line([self._at(rank)] * 2, [level, level + _NUMBERS / 3], _AXIS)
            self._sheet.pen.write(self._at(rank), level + _NUMBERS, str(rank), ha="center")
        end = self._at(1 + min(self._ranks.critical, self._worst - 1))
        self._line([first, end], [level + _SCALE] * 2, {**_BAR, "color": INK, "linewidth": 2.0})
        said = f"critical difference {self._ranks.critical:.2f}"
        self._sheet.pen.write(first, level + _SCALE + height(SMALL) / 2, said, color=INK)

    def draw_bars(self) -> None:
        """Over what is not told apart."""
        for number, ends in enumerate(self._ranks.alike):
            xs = [self._at(self._ranks.means[i]) for i in ends]
            self._line(xs, [self._level - (number + 0.8) * _STEP] * 2, _BAR)

    def draw_names(self, left: int) -> None:
        """The better half on the left, the best above; the others on the right, the worst above."""
        pen, top = self._sheet.pen, self._level - len(self._ranks.alike) * _STEP - _BEFORE_NAMES
        room = _ASIDE - 4 * _GAP - EDGE - pen.width(" 00.00")
        for i, (name, mean) in enumerate(zip(self._ranks.names, self._ranks.means, strict=True)):
            on_left = i < left
            y = top - ((i if on_left else self._worst - 1 - i) + 0.5) * _LINE
            edge = _ASIDE - 2 * _GAP if on_left else WIDTH - _ASIDE + 2 * _GAP
            self._line([self._at(mean)] * 2 + [edge], [self._level, y, y], _LEADER)
            place, side = (edge - _GAP, "right") if on_left else (edge + _GAP, "left")
            pen.write(place, y, f"{pen.fit(name, room)} {mean:.2f}", ha=side)

    def _at(self, rank: float) -> float:
        return _ASIDE + (rank - 1) / (self._worst - 1) * (WIDTH - 2 * _ASIDE)

    def _line(self, xs: list[float], ys: list[float], looks: dict[str, Any]) -> None:
        figure = self._sheet.figure
        figure.add_artist(Line2D(xs, ys, transform=figure.dpi_scale_trans, **looks))


def _notes(ranks: Ranks) -> list[str]:
    p = "p < 0.001" if ranks.p < 0.001 else f"p = {ranks.p:.3f}"
    alike = "Bars join what Nemenyi's test does not tell apart at 5 %."
    nothing = "No difference is shown at 5 %, so that one bar joins all."
    return [
        f"1 is the best. Friedman's test that all are equally good: {p}.",
        alike if ranks.p < LEVEL else nothing,
        "Ranked are means over seeds; data sets are what varies.",
    ]
