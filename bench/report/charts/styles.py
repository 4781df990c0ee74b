"""Markers: colour and shape tell the method, filling the loss, size the code length."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.results.summary import Group, Row
from bench.results.wording import FLOAT, UNKNOWN

#: Okabe and Ito's colours, which colour-blind readers can tell apart, without yellow (too pale for
#: markers), black (teachers) and grey (no distillation). One more shape than colours: pairs repeat late.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MOST_COLOURS = len(_COLOURS)
_SHAPES = ("s", "^", "D", "v", "P", "X", "p")
_TEACHER = ("#000000", "*")
#: Stars are drawn so much larger, to look as large.
_STAR = 1.6
_UNDISTILLED = ("#7F7F7F", "o")
FILLS = ("full", "none", "left", "bottom", "right", "top")
_NEUTRAL = "#404040"
#: Of methods that have no colour left.
_REST = ("#A0A0A0", "d")
#: Roles whose method has a colour and a shape of its own.
_METHODS = ("distilled", "external")
#: Diameters in printer's points: of the shortest and the longest code, and of the only length there is.
_SMALLEST, _LARGEST, _USUAL = 5.0, 8.5, 7.0


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
        methods = sorted({row.configuration.method for row in rows if row.role in _METHODS})
        losses = _losses(rows)
        bits = sorted({row.configuration.bits for row in rows})
        self._methods = {
            method: (_COLOURS[i % len(_COLOURS)], _SHAPES[i % len(_SHAPES)])
            for i, method in enumerate(methods)
        }
        self._fills = {loss: FILLS[i % len(FILLS)] for i, loss in enumerate(losses)} | {UNKNOWN: FILLS[0]}
        sizes = np.linspace(_SMALLEST, _LARGEST, len(bits)) if len(bits) > 1 else [_USUAL] * len(bits)
        self._sizes = dict(zip(bits, sizes, strict=True))
        self._first = methods

    def focused(self, methods: Sequence[str], told: Collection[str] = ()) -> Styles:
        """The same for a chart of many rows.

        Args:
            methods: the first of them have a colour and a shape of their own, theirs where that is free; the
                others look alike.
            told: of ``loss`` and ``bits``, what the chart tells otherwise, so that markers need not.
        """
        looks: dict[str, tuple[str, str]] = {}
        for method in methods[:MOST_COLOURS]:
            taken = {part for look in looks.values() for part in look}
            colour, shape = (
                next(one for one in (own, *choices) if one not in taken)
                for own, choices in zip(self._methods[method], (_COLOURS, _SHAPES), strict=True)
            )
            looks[method] = colour, shape
        other = self.without(told)
        other._methods = {**dict.fromkeys(self._methods, _REST), **looks}
        other._first = list(looks)
        return other

    def without(self, told: Collection[str]) -> Styles:
        """The same for a chart that tells ``told``, of ``loss`` and ``bits``, otherwise."""
        other = copy.copy(self)
        if "loss" in told:
            other._fills = dict.fromkeys(self._fills, FILLS[0])
        if "bits" in told:
            other._sizes = dict.fromkeys(self._sizes, _USUAL)
        return other

    def stands_out(self, row: Row) -> bool:
        """Whether no other method looks like that of a row."""
        return row.role not in _METHODS or row.configuration.method in self._first

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
        scale = _STAR if row.role == "teacher" else 1.0
        size = self._sizes[row.configuration.bits] * scale
        return _marker(*self._look(row), size, self._fills[row.configuration.loss])

    def legend(self, rows: list[Row]) -> list[list[tuple[str, dict[str, Any]]]]:
        """What the markers among ``rows`` mean: colours, fillings and sizes as words with a marker.

        Fillings and sizes that are the same everywhere are left out, for they say nothing.
        """
        methods = {row.configuration.method: self._look(row) for row in rows if row.role in _METHODS}
        rest = methods.keys() - set(self._first)
        roles = {row.role: self._look(row) for row in rows if row.role not in _METHODS}
        looks = {
            **({"no distillation": roles["undistilled"]} if "undistilled" in roles else {}),
            **{method: methods[method] for method in self._first if method in methods},
            **({f"{len(rest)} other method{'s' * (len(rest) > 1)}": _REST} if rest else {}),
            **({"teacher": roles["teacher"]} if "teacher" in roles else {}),
        }
        losses = _losses(rows)
        bits = sorted({row.configuration.bits for row in rows})
        lengths = {length: f"{length} bit" if length else FLOAT for length in bits}
        return [
            [
                (name, _marker(*look, _USUAL * (_STAR if name == "teacher" else 1)))
                for name, look in looks.items()
            ],
            [(f"loss {loss}", _marker(_NEUTRAL, "s", _USUAL, self._fills[loss])) for loss in losses]
            * (len({self._fills[loss] for loss in losses}) > 1),
            [(words, _marker(_NEUTRAL, "s", self._sizes[length])) for length, words in lengths.items()]
            * (len({self._sizes[length] for length in bits}) > 1),
        ]

    def _look(self, row: Row) -> tuple[str, str]:
        if row.role in _METHODS:
            return self._methods[row.configuration.method]
        return _TEACHER if row.role == "teacher" else _UNDISTILLED


def _losses(rows: Iterable[Row]) -> list[str]:
    """The losses that are known, in order."""
    return sorted({row.configuration.loss for row in rows} - {UNKNOWN})


def filled(colour: str, fill: str) -> dict[str, Any]:
    """One of ``FILLS``, as keywords of ``plot``."""
    hollow = fill == "none"
    return {
        # Hollow markers are white inside, so that grid and bars do not show through.
        "markerfacecolor": "white" if hollow else colour,
        "markerfacecoloralt": "white",
        "fillstyle": "full" if hollow else fill,
    }


def _marker(colour: str, shape: str, size: float, fill: str = "full") -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": shape,
        "markersize": size,
        "markeredgecolor": colour,
        "markeredgewidth": 1.1,
        **filled(colour, fill),
    }
