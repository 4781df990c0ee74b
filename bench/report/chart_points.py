"""What a Pareto chart shows, and its words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from bench import metric_names
from bench.report import wording
from bench.report.columns import quickest
from bench.report.fronts import Front
from bench.report.rows import Estimate, Group, Role, Row, interval_words

#: The longest list that stands beside a chart; of more rows than this, those that matter are in it.
_LISTED = 24
#: Role of a reference -> its words.
REFERENCES: dict[Role, str] = {"teacher": "best teacher", "undistilled": "best without distillation"}


@dataclass(frozen=True)
class Axis:
    """One metric in the unit of its axis."""

    name: str
    higher_is_better: bool
    divisor: float
    detail: str
    estimates: list[Estimate]

    @classmethod
    def of(cls, group: Group, name: str, rows: list[Row]) -> Axis:
        """The axis of the metric with the full name ``name``."""
        metric, raw = group.metrics[name], [row.estimates[name] for row in rows]
        divisor, unit = wording.unit(name, metric.unit, [one.value for one in raw])
        detail = ", ".join(filter(None, [wording.one_line(unit), wording.conditions(metric)]))
        return cls(name, metric.higher_is_better, divisor, detail, [one.over(divisor) for one in raw])

    @property
    def values(self) -> list[float]:
        """One number per row."""
        return [one.value for one in self.estimates]

    @property
    def label(self) -> str:
        """Title, unit, conditions and direction."""
        better = "more" if self.higher_is_better else "less"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{metric_names.title(self.name)}{detail}, {better} is better"


@dataclass(frozen=True)
class Points:
    """The rows of a front on their axes, best accuracy first; all else holds positions in ``rows``.

    Attributes:
        on_front: none in limited groups.
        close: not on the front, but not distinguishable from it.
        references: role -> the most accurate row of that role, for lines across the chart.
        recommended: the smallest student that is accurate enough.
        listed: rows with a number and a line in the key, ascending.
    """

    rows: list[Row]
    x: Axis
    y: Axis
    on_front: frozenset[int]
    close: frozenset[int]
    references: dict[Role, int]
    recommended: int | None
    listed: list[int]

    @classmethod
    def of(cls, front: Front) -> Points:
        """The points of a front."""
        rows = front.rows
        standings = list(enumerate(front.standings))
        on_front = [i for i, standing in standings if standing == "front"]
        close = [i for i, standing in standings if standing == "close"]
        roles = [row.role for row in rows]
        references = {role: roles.index(role) for role in REFERENCES if role in roles}
        recommended = next((i for i, row in enumerate(rows) if row is front.recommended), None)
        chosen = [] if recommended is None else [recommended]
        first = [*references.values(), *chosen, *on_front, *close]
        if front.group.limited or len(rows) <= _LISTED:
            first = list(range(len(rows)))
        return cls(
            rows=rows,
            x=Axis.of(front.group, front.cost, rows),
            y=Axis.of(front.group, front.accuracy, rows),
            on_front=frozenset(on_front),
            close=frozenset(close),
            references=references,
            recommended=recommended,
            listed=sorted(list(dict.fromkeys(first))[:_LISTED]),
        )

    @property
    def unlisted(self) -> list[int]:
        """The others, ascending."""
        return sorted(set(range(len(self.rows))) - set(self.listed))

    def doubts(self, position: int) -> list[str]:
        """The marks behind a row's two numbers, see ``wording.doubt``."""
        marks = (self.rows[position].doubt(axis.name) for axis in (self.y, self.x))
        return list(dict.fromkeys(filter(None, marks)))


def title(report: str, front: Front) -> str:
    """Name of the grid, data set, axes."""
    axes = f"{metric_names.title(front.accuracy)} against {metric_names.title(front.cost)}"
    return _wrap([f"{report} · {front.group.dataset}: {axes}"], 66)


def context(front: Front) -> str:
    """Machine and protocol."""
    lines = [front.group.conditions, front.group.protocol_words]
    if front.group.limited:
        lines.insert(0, "LIMITED RUN, NOT COMPARABLE: no front is drawn")
    return _wrap(lines, 100)


def notes(front: Front, points: Points) -> str:
    """What a reader must know to read the chart."""
    lines = [note for name in (front.accuracy, front.cost) if (note := wording.definition(name))]
    if spread := interval_words(points.y.estimates[i] for i in points.listed):
        whose = "of numbered points " if points.unlisted else ""
        lines.append(f"Bars {whose}and ±: {spread}. A bar that meets the frame goes on behind it.")
    if points.close:
        lines.append(
            "Not distinguishable from the front: no row on it that costs no more has an interval wholly "
            "above."
        )
    lines += wording.doubts((mark for i in points.listed for mark in points.doubts(i)), on_front=True)
    if absent := len(front.group.rows) - len(points.rows):
        lines.append(f"{absent} rows lack one of the two metrics and are in the table only.")
    return _wrap(lines, 118)


def others(points: Points) -> str:
    """How many rows are drawn but not listed: ``and 280 behind the front (small and pale), see table.md``."""
    if not points.unlisted:
        return ""
    close = len(points.close.intersection(points.unlisted))
    behind = len(points.unlisted) - close
    what = "behind the front" if points.on_front else "others"
    parts = [f"{close} more not distinguishable"] * (close > 0) + [f"{behind} {what}"] * (behind > 0)
    return f"and {', '.join(parts)} (small, pale), see table.md"


def recommended(front: Front) -> str:
    """What the mark of the recommended row means."""
    return f"{quickest(front).lower()} student within {front.within:g} of the best student"


def lines(text: str) -> int:
    """Number of lines."""
    return text.count("\n") + 1


def _wrap(paragraphs: Iterable[str], width: int) -> str:
    return "\n".join(textwrap.fill(paragraph, width) for paragraph in paragraphs)
