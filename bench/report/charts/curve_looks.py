"""How the lines of a curve look: colour and shape tell the method, dashes what else lines differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.charts.curve_facets import MOST_KINDS
from bench.report.charts.styles import FILLS, Styles, filled
from bench.results.curves import Line
from bench.results.summary import Row

_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 4)))
#: Diameter of markers, printer's points; stars are drawn so much larger, to look as large.
_SIZE, _STAR = 5.5, 1.6
#: Half of the largest marker's, with its edge.
RADIUS = _STAR * _SIZE / 2 + 1


@dataclass(frozen=True)
class Look:
    """How a line and its points are drawn.

    Attributes:
        marker: keywords of ``plot``.
        dash: of its line, as matplotlib has it.
    """

    marker: dict[str, Any]
    dash: Any

    @property
    def colour(self) -> str:
        """Of everything that belongs to it."""
        return str(self.marker["markeredgecolor"])

    @property
    def line(self) -> dict[str, Any]:
        """Its line, as keywords of ``plot``."""
        return {"color": self.colour, "linestyle": self.dash, "linewidth": 1.5}


def looks_of(
    lines: Sequence[Line], parts: Sequence[tuple[str, ...]], styles: Styles, facets: Sequence[str]
) -> list[Look]:
    """One for each line; no two of one method that differ in their parts look alike, nor of two methods.

    Args:
        lines: of a curve.
        parts: what tells each of them from others, beside the method.
        styles: markers of methods, filled by loss.
        facets: what panels tell.
    """
    kinds = [(line.role == "teacher", *some) for line, some in zip(lines, parts, strict=True)]
    found = []
    for line, kind in zip(lines, kinds, strict=True):
        alike = list(dict.fromkeys(one for one in kinds if one[0] == kind[0]))
        again, number = divmod(alike.index(kind), len(_DASHES))
        marker = styles.marker(row_of(line))
        # Where dashes repeat, fillings tell lines apart, and no longer losses.
        if len(alike) > MOST_KINDS or "loss" in facets:
            marker |= filled(marker["markeredgecolor"], FILLS[again % len(FILLS)])
        star = _STAR if line.role == "teacher" else 1.0
        found.append(Look({**marker, "markersize": _SIZE * star}, _DASHES[number]))
    return found


def row_of(line: Line) -> Row:
    """A row that is marked like a line."""
    return Row(line.configuration, line.role, [], {}, {})
