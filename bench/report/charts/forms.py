"""In which form the rows of a front can be read: as a scatter, as small multiples of lines, as a dot plot.

A scatter names what matters, which does for a few rows and for networks that share nothing. Where networks
and methods are crossed, a line per method tells more rows, and a panel per loss and length keeps lines few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.report.charts.points import LISTED, Points
from bench.report.charts.styles import MOST_COLOURS
from bench.results.summary import Role, Row

Kind = Literal["scatter", "lines", "dots"]
#: What panels may differ in.
Facet = Literal["loss", "bits"]
#: The values of a panel's facets.
Values = tuple[str | int, ...]

#: More panels than this are too small to be read.
MOST_PANELS = 6
#: As many networks are numbered along an axis, teachers among them.
_MOST_NETWORKS = 16
#: As many lines of a dot plot are looked through.
_MOST_LINES = 32
_STUDENTS: tuple[Role, ...] = ("undistilled", "distilled")


@dataclass(frozen=True)
class Form:
    """A kind of chart; ``lines`` may be split in panels by ``facets``."""

    kind: Kind
    facets: tuple[Facet, ...] = ()


def form_of(points: Points) -> Form:
    """Choose a form: a scatter of as many rows as can be named and barred, and of what crosses nothing."""
    rows = points.rows
    # Published figures have neither line nor panel.
    if len(rows) <= LISTED or points.published:
        return Form("scatter")
    students = _students(rows)
    networks = {row.configuration.student for row in rows}
    methods = {row.configuration.method for row in students} - {"none"}
    lines = {(row.configuration.student, row.configuration.method) for row in rows}
    crossed = _crossed(students)
    if 2 * len(crossed) < len({row.configuration.student for row in students}) or not crossed:
        return Form("scatter")
    if len(crossed) > 2 or (len(crossed) == 2 and len(methods) <= MOST_COLOURS):
        return Form("lines", split(rows)) if len(networks) <= _MOST_NETWORKS else Form("scatter")
    return Form("dots" if len(lines) <= _MOST_LINES else "scatter")


def split(rows: Sequence[Row]) -> tuple[Facet, ...]:
    """By what to split rows into panels: into the fewest that hold no more rows each than one chart can name.

    Where none are so few, into those whose largest is smallest; not at all where nothing differs.
    """
    choices: list[tuple[Facet, ...]] = [("loss",), ("bits",), ("loss", "bits")]
    sizes = {
        facets: [len(some) for some in panels_of(rows, facets).values()]
        for facets in choices
        if all(len(_values(rows, facet)) > 1 for facet in facets)
    }
    sizes = {facets: counts for facets, counts in sizes.items() if len(counts) <= MOST_PANELS}
    readable = {facets: counts for facets, counts in sizes.items() if max(counts) <= LISTED}
    if readable:
        return min(readable, key=lambda facets: (len(readable[facets]), max(readable[facets])))
    return min(sizes, key=lambda facets: (max(sizes[facets]), len(sizes[facets])), default=())


def panels_of(rows: Sequence[Row], facets: Sequence[Facet]) -> dict[Values, list[int]]:
    """Values of the facets -> positions of the rows of that panel, ascending; panels in reading order.

    The facet of two values goes across, for there are two columns. Students make the panels; others, such as
    a teacher of one code length, stand in those that are ``nearest``.
    """
    across = next((facet for facet in reversed(facets) if len(_values(rows, facet)) == 2), None)
    order = sorted(range(len(facets)), key=lambda i: facets[i] == across)
    found = {values_of(row, facets) for row in _students(rows)}
    panels: dict[Values, list[int]] = {
        values: [] for values in sorted(found, key=lambda one: [_sorting(one[i]) for i in order])
    }
    for position, row in enumerate(rows):
        for values in nearest(values_of(row, facets), panels):
            panels[values].append(position)
    return panels


def values_of(row: Row, facets: Sequence[Facet]) -> Values:
    """A row's own, whether or not there is a panel of them."""
    return tuple(_value(row, facet) for facet in facets)


def nearest(own: Values, panels: Collection[Values]) -> list[Values]:
    """The panels that agree in most facets with what has the values ``own``: its own one, where there is.

    Of as many, those that agree but for parameters: ``csq[train=head]`` belongs to ``csq``.
    """

    def agreeing(values: Values) -> tuple[int, int]:
        pairs = list(zip(own, values, strict=True))
        alike = sum(_plain(one) == _plain(other) for one, other in pairs)
        return sum(one == other for one, other in pairs), alike

    most = max(map(agreeing, panels), default=(0, 0))
    return [values for values in panels if agreeing(values) == most]


def _plain(value: str | int) -> str:
    """A name without its parameters."""
    return str(value).partition("[")[0]


def _students(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.role in _STUDENTS]


def _crossed(students: Sequence[Row]) -> set[str]:
    """Networks that were trained by several methods under one loss and code length."""
    methods: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for row in students:
        one = row.configuration
        methods[one.student, one.loss, one.bits].add(one.method)
    return {student for (student, _, _), some in methods.items() if len(some) > 1}


def _value(row: Row, facet: Facet) -> str | int:
    return row.configuration.loss if facet == "loss" else row.configuration.bits


def _values(rows: Sequence[Row], facet: Facet) -> set[str | int]:
    """What students have."""
    return {_value(row, facet) for row in _students(rows)}


def _sorting(value: str | int) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, value)
