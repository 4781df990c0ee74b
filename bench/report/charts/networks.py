"""The networks of a chart, told once: a column for each along the axis of cost, with a number and a key."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from bench.report.charts import words
from bench.report.charts.axes import Floats
from bench.report.charts.points import Points
from bench.report.charts.side_by_side import SAME
from bench.report.charts.text import SMALL, Pen, height

#: Inches between the entries of the key, and from a number to what it stands for.
_BETWEEN, _GAP = 0.25, 0.07
_MOST_ACROSS = 3
_LEADING = 1.15
#: Printer's points: rows of one network whose costs are no further apart are one column.
_ONE = 12.0


@dataclass(frozen=True)
class Column:
    """Rows of one network that cost about the same.

    Attributes:
        number: of the network, from 1 on; columns of one network share it.
        name: of the network in words, with the size of its images where that is not the usual one.
        rows: positions, ascending.
        place: along the axis of cost, see ``columns_of``.
        moved: how far from where its cost is.
    """

    number: int
    name: str
    rows: list[int]
    place: float
    moved: float


def columns_of(points: Points, at: Floats, needed: Floats) -> list[Column]:
    """The columns of a chart, the least cost first.

    Columns that would cover each other move on, towards the more expensive side, so that nothing seems to
    cost less than it does.

    Args:
        points: of the chart.
        at: (n,) where the rows are along the axis.
        needed: (n,) how far each of them is from the first of the next column, at least.
    """
    sign = -1.0 if points.x.higher_is_better else 1.0
    usual = words.usual_size(points.rows)
    stacks = sorted(_stacks(points, sign * at), key=lambda some: (max(sign * at[some]), some))
    gaps = np.array([max(needed[some]) for some in stacks[:-1]])
    places = spread(np.array([max(sign * at[some]) for some in stacks]), gaps)
    names = [words.network(points.rows[some[0]], usual) for some in stacks]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}
    return [
        Column(
            number=numbers[name],
            name=name,
            rows=some,
            place=sign * place,
            moved=abs(place - max(sign * at[some])),
        )
        for name, some, place in zip(names, stacks, places, strict=True)
    ]


def crowds(columns: list[Column]) -> list[list[Column]]:
    """Those that are closer in cost than they are drawn, with the one that they moved on from."""
    found: list[list[Column]] = []
    for one in columns:
        if one.moved > SAME and found:
            found[-1].append(one)
        else:
            found.append([one])
    return [some for some in found if len(some) > 1]


def spread(wanted: Floats, gaps: Floats) -> Floats:
    """Ascending places at least the ``gaps`` apart, none before the one wanted and none further than needed.

    Args:
        wanted: (n,), ascending.
        gaps: (n - 1,) from each to the next one.
    """
    places = wanted.copy()
    for i, gap in enumerate(gaps):
        places[i + 1] = max(wanted[i + 1], places[i] + gap)
    return places


def _stacks(points: Points, at: Floats) -> list[list[int]]:
    """Positions of the rows of one network that cost as good as the same: a longer code costs a little."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(points.rows)), key=lambda i: (at[i], i)):
        by_name[points.rows[i].configuration.student].append(i)
    stacks: list[list[int]] = []
    for rows in by_name.values():
        first = len(stacks)
        for i in rows:
            if len(stacks) > first and at[i] - at[stacks[-1][0]] <= _ONE:
                stacks[-1].append(i)
            else:
                stacks.append([i])
    return [sorted(some) for some in stacks]


class NetworkKey:
    """What the numbers of networks stand for, and what they cost, in lines of entries below each other.

    Args:
        width: of the lines, inches.
    """

    def __init__(self, points: Points, columns: list[Column], pen: Pen, *, width: float) -> None:
        self._pen = pen
        rows: dict[str, list[int]] = defaultdict(list)
        for one in columns:  # names come in the order of their numbers
            rows[one.name] += one.rows
        costs = {
            name: f" · {words.costs(points, some)} {points.x.unit}".rstrip() for name, some in rows.items()
        }
        self._indent = max(pen.width(str(len(costs)), SMALL, "bold") + _GAP, 0.2)
        said = [name + cost for name, cost in costs.items()]
        widest = max(pen.width(text) for text in said) + self._indent
        across = int((width + _BETWEEN) // (widest + _BETWEEN))
        self._across = min(max(across, 1), _MOST_ACROSS, len(said))
        self._step = (width + _BETWEEN) / self._across
        room = self._step - _BETWEEN - self._indent
        self._said = [pen.fit(name, room - pen.width(cost)) + cost for name, cost in costs.items()]
        self._deep = -(-len(said) // self._across)

    @property
    def height(self) -> float:
        """Of all lines, inches."""
        return self._deep * height(SMALL) * _LEADING

    def draw(self, left: float, top: float) -> None:
        """Write below and to the right of a place given in inches; numbers go down, then across."""
        for number, text in enumerate(self._said):
            across, down = divmod(number, self._deep)
            x, y = left + across * self._step, top - (down + 0.5) * height(SMALL) * _LEADING
            self._pen.write(x, y, str(number + 1), fontweight="bold")
            self._pen.write(x + self._indent, y, text)
