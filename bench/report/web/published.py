"""Published figures on the page: hollow points of the chart and lines below the table, ready to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.tables.columns import Scale
from bench.results import wording
from bench.results.published import Beside, Figure, digits, shares_words


@dataclass(frozen=True)
class Line:
    """One figure in the table: its name, where it comes from, and a number or a dash for each column."""

    name: str
    source: str
    cells: list[str]


def drawable(own: Beside, names: Sequence[str]) -> list[dict[str, Any]]:
    """Plain JSON of the figures that a chart may have: a number for each of ``names``, None for none."""
    return [
        {
            "name": figure.name,
            "said": ", ".join(filter(None, ["published", figure.selected])),
            "source": figure.source,
            "values": [_value(own, figure, name) for name in names],
        }
        for figure in own.figures
        if not figure.share
    ]


def lines(own: Beside, scales: dict[str, Scale]) -> list[Line]:
    """The figures below a table with a column for each of ``scales``; names say shares, which have none."""
    return [
        Line(
            name=", ".join(
                filter(None, [figure.name, shares_words(figure.values) if figure.share else figure.selected])
            ),
            source=figure.source,
            cells=[_text(own, figure, name, scale) for name, scale in scales.items()],
        )
        for figure in own.figures
    ]


def saved_notes(own: Beside) -> list[str]:
    """What pruned rows save, where somebody published as much of others."""
    return [f"{row.configuration}: {shares_words(shares)}, measured here." for row, shares in own.saved()]


def _value(own: Beside, figure: Figure, name: str) -> float | None:
    return figure.values[name] if name in own.accuracies and name in figure.values else own.cost(figure, name)


def _text(own: Beside, figure: Figure, name: str, scale: Scale) -> str:
    value = _value(own, figure, name)
    if value is None:
        return wording.UNKNOWN
    return digits(value) if name in own.accuracies else f"{value / scale.divisor:.{scale.places}f}"
