"""Pareto fronts of comparable rows: who is on them, who may be, and what to take.

A front of means alone says more than was measured, so rows that only chance may have kept off it are told
apart from those that are clearly behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.results import pareto
from bench.results.chances import Chances
from bench.results.summary import Group, Row
from bench.results.wording import PARTIAL, WARNED, brief, one_line

#: ``close`` is not on the front, but no row on the front that costs no more is clearly more accurate.
Standing = Literal["front", "close", "behind"]
#: What tables and files for programs call them.
STANDINGS: dict[Standing, str] = {
    "front": "on the front",
    "close": "not distinguishable",
    "behind": "behind the front",
}

#: Loss of accuracy that a cheaper student may bring, where nobody says how much.
WITHIN = 0.02
#: Differences of accuracy that binary fractions make: 0.65 - 0.63 is a little more than 0.02.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Front:
    """One group of rows by one accuracy and one cost.

    Attributes:
        group: all rows; nothing is ranked in a limited group, where every row stands ``behind``.
        accuracy: full metric name.
        cost: full metric name.
        rows: those with both metrics, best accuracy first, the cheaper first among equals.
        standings: one per row.
        hypervolume: share that all rows cover together, see ``pareto.hypervolume``; None in limited groups,
            for accuracies outside 0 to 1 and for costs that are none.
        by_method: the same of the rows of each method alone, ``teacher`` and ``none`` among them.
        within: how much less accurate than the best student the recommended one may be.
        recommended: of the ``candidates`` as accurate as that, the one that costs least.
        chances: how sure the places are; None where nobody asked.
    """

    group: Group
    accuracy: str
    cost: str
    rows: list[Row]
    standings: list[Standing]
    hypervolume: float | None
    by_method: dict[str, float]
    within: float
    recommended: Row | None
    chances: Chances | None = None

    def standing(self, *standings: Standing) -> list[Row]:
        """The rows that have one of these standings, best accuracy first."""
        return [row for row, one in zip(self.rows, self.standings, strict=True) if one in standings]

    def lean(self) -> Front:
        """The same with nothing but what a chart shows, to be sent to another process."""
        # The accuracy that the group is judged by tells what this one is called.
        names = {self.accuracy, self.cost, self.group.accuracy or self.accuracy}
        kept = {id(row): _lean(row, names) for row in self.group.rows}
        return replace(
            self,
            group=replace(self.group, rows=list(kept.values())),
            rows=[kept[id(row)] for row in self.rows],
            recommended=kept.get(id(self.recommended)),
            chances=self.chances and self.chances.lean(),
        )

    @property
    def best_student(self) -> Row | None:
        """The most accurate row that could be recommended."""
        return next((self.rows[i] for i in candidates(self.rows, self.accuracy, self.cost)), None)


def front_of(group: Group, accuracy: str, cost: str, within: float = WITHIN) -> Front | None:
    """Rank the rows of ``group``.

    Args:
        group: comparable rows.
        accuracy: full or short name of the metric to gain, ``map`` for instance.
        cost: the same of the metric to pay with.
        within: loss of accuracy that a cheaper student may bring, in the unit of the metric.

    Returns:
        None where no row has both metrics.
    """
    y, x = group.resolve(accuracy), group.resolve(cost)
    if x is None or y is None or not (rows := group.rows_with(x, y)):
        return None
    metrics = group.metrics
    y_up, x_up = metrics[y].higher_is_better, metrics[x].higher_is_better
    rows = sorted(
        rows,
        key=lambda row: (
            _ascending(row.estimates[y].value, y_up),
            _ascending(row.estimates[x].value, x_up),
            row.configuration,
        ),
    )
    if group.limited:
        return Front(group, y, x, rows, ["behind"] * len(rows), None, {}, within, None)
    last = pareto.last_cost(max(row.estimates[x].value for row in group.rows_with(x)), x_up)
    share, by_method = _hypervolumes(rows, (x, y), (x_up, y_up), last)
    return Front(
        group=group,
        accuracy=y,
        cost=x,
        rows=rows,
        standings=_standings(rows, (x, y), (x_up, y_up)),
        hypervolume=share,
        by_method=by_method,
        within=within,
        recommended=_recommended(rows, (x, y), (x_up, y_up), within),
    )


def _ascending(value: float, higher_is_better: bool) -> float:
    """``value``, less being better."""
    return -value if higher_is_better else value


def _points(rows: Iterable[Row], names: Sequence[str]) -> list[list[float]]:
    return [[row.estimates[name].value for name in names] for row in rows]


def _standings(rows: list[Row], names: tuple[str, str], up: tuple[bool, bool]) -> list[Standing]:
    x, y = names
    on_front = set(pareto.front(_points(rows, names), up))
    costs = [_ascending(row.estimates[x].value, up[0]) for row in rows]

    def clearly_better(other: int, one: int) -> bool:
        pair = rows[other].estimates[y], rows[one].estimates[y]
        return pair[0].above(pair[1]) if up[1] else pair[1].above(pair[0])

    def standing(one: int) -> Standing:
        if one in on_front:
            return "front"
        no_dearer = (other for other in on_front if costs[other] <= costs[one])
        return "behind" if any(clearly_better(other, one) for other in no_dearer) else "close"

    return [standing(one) for one in range(len(rows))]


def _hypervolumes(
    rows: list[Row], names: tuple[str, str], up: tuple[bool, bool], last: float
) -> tuple[float | None, dict[str, float]]:
    share = pareto.hypervolume(_points(rows, names), up, last)
    if share is None:
        return None, {}
    methods: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        methods["teacher" if row.role == "teacher" else row.configuration.method].append(row)
    parts = {
        method: pareto.hypervolume(_points(methods[method], names), up, last) for method in sorted(methods)
    }
    return share, {method: part for method, part in parts.items() if part is not None}


def _recommended(rows: list[Row], names: tuple[str, str], up: tuple[bool, bool], within: float) -> Row | None:
    x, y = names
    students = [rows[i] for i in candidates(rows, y, x)]
    if not students:
        return None
    best = students[0].estimates[y].value
    enough = [row for row in students if abs(best - row.estimates[y].value) <= within + _ROUNDING]
    # The rows are in order of accuracy, and min takes the first of equals.
    return min(enough, key=lambda row: _ascending(row.estimates[x].value, up[0]))


def candidates(rows: Sequence[Row], accuracy: str, cost: str) -> list[int]:
    """Positions of the rows that may be recommended: students, with numbers that are what they seem.

    Where some of these have binary codes, floats are what codes are held against, and none of them. Codes
    that carry a warning are dropped first: where all do, floats may be recommended.
    """
    students = [
        i
        for i, row in enumerate(rows)
        if row.role not in {"teacher", "external"}
        and not {row.doubt(accuracy), row.doubt(cost)} & {WARNED, PARTIAL}
    ]
    return [i for i in students if rows[i].binary] or students


# -- What is not ranked together -----------------------------------------------------------------


def _lean(row: Row, names: Collection[str]) -> Row:
    # In the order that they had, by which a short name is resolved.
    return replace(
        row,
        records=[],
        estimates={name: one for name, one in row.estimates.items() if name in names},
        metrics={
            name: metric.model_copy(update={"samples": None})
            for name, metric in row.metrics.items()
            if name in names
        },
    )


def differences(groups: Sequence[Group]) -> list[str]:
    """Why the groups of a report are not one table: a sentence per data set that has several groups."""
    by_dataset: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_dataset[one_line(group.rows[0].records[0].cell.dataset)].append(group)
    sentences = []
    if len(by_dataset) > 1:
        sentences.append(f"Data sets are never ranked together: {', '.join(sorted(by_dataset))}.")
    for dataset, same in sorted(by_dataset.items()):
        if len(same) > 1:
            facts = _differing([group.facts for group in same])
            sentences.append(f"{dataset}: {len(same)} groups, not ranked together: {'; '.join(facts)}.")
    return sentences


def _differing(facts: list[dict[str, Any]]) -> list[str]:
    """``threads 2 against 8`` for every fact that is not the same in all groups."""
    names = dict.fromkeys(name for one in facts for name in one)
    seen = {name: dict.fromkeys(brief(one.get(name)) for one in facts) for name in names}
    return [
        f"{one_line(name)} {' against '.join(values)}" for name, values in seen.items() if len(values) > 1
    ]
