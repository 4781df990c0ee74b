"""Published figures on a chart: hollow points beside the rows that cost as much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.charts.text import INK
from bench.results.published import Figure, Point, Selection, digits

MARK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "d",
    "markersize": 7.5,
    "markeredgecolor": INK,
    "markeredgewidth": 1.1,
    "markerfacecolor": "white",
}
#: As many are named.
_NAMED = 4
#: Further below the rows than twice their range, or than this, a figure would squeeze all else.
_REACH, _LEAST_REACH = 2.0, 0.1
_EPOCHS: dict[Selection, str] = {"last": "last epoch", "best_on_test": "best on test", "unknown": ""}


@dataclass(frozen=True)
class Quoted:
    """A published figure in the units of the axes, and whether it is named."""

    figure: Figure
    x: float
    y: float
    named: bool

    @property
    def name(self) -> str:
        """What it is of."""
        return f"{self.figure.system}, {self.figure.network}"

    @property
    def number(self) -> str:
        """Its accuracy, and of which epoch."""
        return ", ".join(filter(None, [digits(self.y), _EPOCHS[self.figure.selection]]))


def quoted(
    points: Sequence[Point], rows: Sequence[float], divisors: tuple[float, float], losses: set[str]
) -> tuple[list[Quoted], int]:
    """The figures to draw, best first, and how many lie too far below the ``rows``' accuracies for that.

    Args:
        points: figures with a place in the chart.
        rows: accuracies, in the unit of the axis.
        divisors: of cost and accuracy.
        losses: of the rows; figures of these are named first.
    """
    x, y = divisors
    lowest = min(rows) - max(_REACH * (max(rows) - min(rows)), _LEAST_REACH)
    near = [one for one in points if one.accuracy / y >= lowest]
    near.sort(key=lambda one: (-one.accuracy, one.figure.name))
    ranked = sorted(range(len(near)), key=lambda i: (near[i].figure.loss not in losses, i))
    named = set(ranked[:_NAMED])
    drawn = [Quoted(one.figure, one.cost / x, one.accuracy / y, i in named) for i, one in enumerate(near)]
    return drawn, len(points) - len(near)
