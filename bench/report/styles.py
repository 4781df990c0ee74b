"""Markers: colour and shape tell the method, filling the loss, size the code length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from bench.report.rows import Group, Row
from bench.report.wording import FLOAT

#: Okabe and Ito's colours, which colour-blind readers can tell apart, without yellow (too pale for
#: markers), black (teachers) and grey (no distillation). One more shape than colours: pairs repeat late.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_SHAPES = ("s", "^", "D", "v", "P", "X", "p")
_TEACHER = ("#000000", "*")
_UNDISTILLED = ("#7F7F7F", "o")
_FILLS = ("full", "none", "left", "bottom", "right", "top")
_NEUTRAL = "#404040"


@dataclass(frozen=True)
class Look:
    """A marker in matplotlib's codes.

    Attributes:
        fill: ``full``, ``none`` (hollow), or which half is filled.
        size: diameter in printer's points, by code length alone.
    """

    colour: str
    shape: str
    fill: str
    size: float


class Styles:
    """The markers of one report; made once, so that a method looks the same in every chart."""

    def __init__(self, groups: Iterable[Group]) -> None:
        rows = [row for group in groups for row in group.rows]
        methods = sorted({row.configuration.method for row in rows if row.role == "distilled"})
        losses = sorted({row.configuration.loss for row in rows})
        bits = sorted({row.configuration.bits for row in rows})
        self._methods = {
            method: (_COLOURS[i % len(_COLOURS)], _SHAPES[i % len(_SHAPES)])
            for i, method in enumerate(methods)
        }
        self._fills = {loss: _FILLS[i % len(_FILLS)] for i, loss in enumerate(losses)}
        self._sizes = dict(zip(bits, np.linspace(4.5, 7.5, len(bits)), strict=True))

    def colour(self, row: Row) -> str:
        """The colour of a row's method."""
        return self._look(row)[0]

    def look(self, row: Row) -> Look:
        """How a row is marked, for charts that are not drawn by matplotlib."""
        configuration = row.configuration
        fill, size = self._fills[configuration.loss], float(self._sizes[configuration.bits])
        return Look(*self._look(row), fill, size)

    def marker(self, row: Row) -> dict[str, Any]:
        """The marker of a row, as keywords of ``plot``."""
        scale = 1.6 if row.role == "teacher" else 1.0
        size = self._sizes[row.configuration.bits] * scale
        return _marker(*self._look(row), size, self._fills[row.configuration.loss])

    def legend(self, rows: list[Row]) -> list[Line2D]:
        """What the markers among ``rows`` mean."""
        names = {"teacher": "teacher", "undistilled": "no distillation"}
        looks = {names.get(row.role, f"method {row.configuration.method}"): self._look(row) for row in rows}
        losses = sorted({row.configuration.loss for row in rows})
        bits = sorted({row.configuration.bits for row in rows})
        lengths = {length: f"{length} bit" if length else FLOAT for length in bits}
        return [
            *(_entry(method, *looks[method], 7) for method in sorted(looks)),
            *(_entry(f"loss {loss}", _NEUTRAL, "s", 7, self._fills[loss]) for loss in losses),
            *(_entry(words, _NEUTRAL, "s", self._sizes[length]) for length, words in lengths.items()),
        ]

    def _look(self, row: Row) -> tuple[str, str]:
        if row.role == "distilled":
            return self._methods[row.configuration.method]
        return _TEACHER if row.role == "teacher" else _UNDISTILLED


def _marker(colour: str, shape: str, size: float, fill: str = "full") -> dict[str, Any]:
    hollow = fill == "none"
    return {
        "linestyle": "none",
        "marker": shape,
        "markersize": size,
        "markeredgecolor": colour,
        "markeredgewidth": 1.1,
        # Hollow markers are white inside, so that grid and bars do not show through.
        "markerfacecolor": "white" if hollow else colour,
        "markerfacecoloralt": "white",
        "fillstyle": "full" if hollow else fill,
    }


def _entry(label: str, colour: str, shape: str, size: float, fill: str = "full") -> Line2D:
    return Line2D([], [], label=label, **_marker(colour, shape, size, fill))
