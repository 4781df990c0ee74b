"""What a Pareto chart shows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bench.report.charts.beside import Quoted, quoted
from bench.report.charts.ticks import is_log
from bench.results import catalogue, wording
from bench.results.chances import Attained
from bench.results.fronts import Front
from bench.results.published import Point
from bench.results.summary import Estimate, Group, Role, Row
from bench.types.sizes import ImageSize

#: Of more rows than this, those that matter have bars and a full marker; the others are small and pale.
LISTED = 24
#: As many names as a reader can take in.
_NAMED = 8
#: Of them, what was measured elsewhere: who brings a method looks for it.
_OTHERS = 3
#: Role of a reference -> its words.
REFERENCES: dict[Role, str] = {"teacher": "best teacher", "undistilled": "best without distillation"}
#: Role of a reference -> its line.
DASHES: dict[Role, tuple[float, tuple[float, float]]] = {
    "teacher": (0, (6, 3)),
    "undistilled": (0, (1.5, 2)),
}


@dataclass(frozen=True)
class Axis:
    """One metric in the unit of its axis."""

    name: str
    higher_is_better: bool
    divisor: float
    detail: str
    estimates: list[Estimate]
    others: list[float] = field(default_factory=list)
    unit: str = ""

    @classmethod
    def of(cls, group: Group, name: str, rows: list[Row]) -> Axis:
        """The axis of the metric with the full name ``name``; ``others`` has what is no row's."""
        metric, raw = group.metrics[name], [row.estimates[name] for row in rows]
        divisor, unit = wording.unit(name, metric.unit, [one.value for one in raw])
        detail = ", ".join(filter(None, [wording.one_line(unit), wording.conditions(metric)]))
        estimates = [one.over(divisor) for one in raw]
        return cls(name, metric.higher_is_better, divisor, detail, estimates, unit=wording.one_line(unit))

    @property
    def values(self) -> list[float]:
        """One number per row."""
        return [one.value for one in self.estimates]

    @property
    def everything(self) -> list[float]:
        """All that stands on it."""
        return [*self.values, *self.others]

    @property
    def is_log(self) -> bool:
        """Whether it is logarithmic, as an axis of costs."""
        return is_log(self.everything)

    @property
    def label(self) -> str:
        """Title, unit, conditions and direction."""
        better = "more" if self.higher_is_better else "less"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{catalogue.long_title(self.name)}{detail}, {better} is better"


@dataclass(frozen=True)
class Points:
    """The rows of a front on their axes, best accuracy first; all else holds positions in ``rows``.

    Where both are placed on paper, published figures come behind the rows: the first has the position after
    the last row's.

    Attributes:
        on_front: none in limited groups.
        close: not on the front, but not distinguishable from it.
        references: role -> the most accurate row of that role, for lines across the chart.
        recommended: the smallest student that is accurate enough.
        listed: rows with bars and a full marker, ascending.
        named: rows to name, the most important first.
        usual_size: size of the images of all students; None where that differs.
        published: what others published, best first.
        outside: how many of their figures lie too far below the rows to be drawn.
        drawn: what else there might have been, ``seeds and queries``; empty where nobody knows.
        shares: how likely each row is on the front; None for those of which, empty where of none it is known.
        attained: what budgets buy; None where nobody knows.
    """

    rows: list[Row]
    x: Axis
    y: Axis
    on_front: frozenset[int]
    close: frozenset[int]
    references: dict[Role, int]
    recommended: int | None
    listed: list[int]
    named: list[int]
    usual_size: ImageSize | None
    published: list[Quoted]
    outside: int
    drawn: str = ""
    shares: list[float | None] = field(default_factory=list)
    attained: Attained | None = None

    @classmethod
    def of(cls, front: Front, published: Sequence[Point] = ()) -> Points:
        """The points of a front, and those of published figures."""
        rows = front.rows
        standings = list(enumerate(front.standings))
        on_front = [i for i, standing in standings if standing == "front"]
        close = [i for i, standing in standings if standing == "close"]
        roles = [row.role for row in rows]
        sizes = {row.image_size for row in front.group.rows if row.image_size and row.role != "teacher"}
        references = {role: roles.index(role) for role in REFERENCES if role in roles}
        recommended = next((i for i, row in enumerate(rows) if row is front.recommended), None)
        chosen = [] if recommended is None else [recommended]
        others = _spread([i for i, role in enumerate(roles) if role == "external"], _OTHERS)
        first = list(dict.fromkeys([*chosen, *references.values(), *others]))
        named = [*first, *_spread([i for i in on_front if i not in first], _NAMED - len(first))] or [0]
        listed = list(range(len(rows)))
        if len(rows) > LISTED:
            rest = listed if front.group.limited else [*on_front, *close]
            listed = list(dict.fromkeys([*named, *rest]))
        x, y = (Axis.of(front.group, name, rows) for name in (front.cost, front.accuracy))
        losses = {row.configuration.loss.partition("[")[0] for row in rows}
        chances = front.chances
        band = chances.attained if chances else None
        drawn, outside = quoted(published, y.values, (x.divisor, y.divisor), losses)
        return cls(
            rows=rows,
            x=replace(x, others=[one.x for one in drawn]),
            y=replace(y, others=[one.y for one in drawn]),
            on_front=frozenset(on_front),
            close=frozenset(close),
            references=references,
            recommended=recommended,
            listed=sorted(listed[:LISTED]),
            named=named,
            usual_size=sizes.pop() if len(sizes) == 1 else None,
            published=drawn,
            outside=outside,
            drawn=chances.what if chances else "",
            shares=chances.on_front if chances and not chances.missing else [],
            attained=band and band.over(x.divisor, y.divisor),
        )

    @property
    def placed(self) -> list[int]:
        """What has a place of its own along the axis of cost: rows that are listed, and published figures."""
        first = len(self.rows)
        return [*self.listed, *range(first, first + len(self.published))]

    @property
    def unlisted(self) -> list[int]:
        """The others, ascending."""
        return sorted(set(range(len(self.rows))) - set(self.listed))

    def in_full(self) -> Points:
        """The same with all rows listed, for charts that have room for them."""
        return replace(self, listed=list(range(len(self.rows))))

    @property
    def methods(self) -> list[str]:
        """Methods of distillation and what was measured elsewhere, the one that got furthest first."""
        rows = (row for row in self.rows if row.role in {"distilled", "external"})
        return list(dict.fromkeys(row.configuration.method for row in rows))

    def family(self, position: int) -> tuple[str, str, int]:
        """What a row shares with those that differ from it in the method alone."""
        one = self.rows[position].configuration
        return one.student, one.loss, one.bits

    @property
    def gains(self) -> list[tuple[int, int]]:
        """What distillation changed: rows without, each with one with it that is else the same."""
        without = {self.family(i): i for i in self.listed if self.rows[i].role == "undistilled"}
        distilled = [i for i in self.listed if self.rows[i].role == "distilled"]
        return [(without[self.family(i)], i) for i in distilled if self.family(i) in without]

    def doubts(self, position: int) -> list[str]:
        """The marks behind a row's two numbers, see ``wording.doubt``."""
        marks = (self.rows[position].doubt(axis.name) for axis in (self.y, self.x))
        return list(dict.fromkeys(filter(None, marks)))

    @functools.cached_property
    def doubted(self) -> list[str]:
        """All marks of the rows that are listed."""
        return sorted({mark for i in self.listed for mark in self.doubts(i)})

    def is_everywhere(self, mark: str) -> bool:
        """Whether every row has a mark, which then tells none from another."""
        return all(mark in self.doubts(i) for i in range(len(self.rows)))


def _spread(positions: list[int], most: int) -> list[int]:
    """At most so many of them, evenly, the first and the last among them."""
    if len(positions) <= most:
        return positions
    return [positions[round(i * (len(positions) - 1) / (most - 1))] for i in range(most)]
