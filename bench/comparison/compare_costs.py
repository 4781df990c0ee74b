"""What changed beside accuracy between two results: exact costs, and the Pareto front."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.comparison.pairing import Pair
from bench.results import catalogue, pareto
from bench.results.comparable import ranking_key
from bench.results.names import Configuration, Matched
from bench.results.records import Record


@dataclass(frozen=True)
class CostChange:
    """An exact cost that is not the same on both sides, mean over seeds."""

    metric: str
    unit: str
    base: float
    new: float


@dataclass(frozen=True)
class FrontChange:
    """The Pareto front of comparable configurations that both sides have, by their means alone.

    Attributes:
        accuracy: full metric name.
        cost: full metric name.
        base: configurations on the front of the baseline, as it calls them.
        new: configurations on the front of the new results, as these call them.
        entered: those on the second front only.
        left: those on the first front only.
        hypervolume: share of costs and accuracies covered before and after, see ``pareto.hypervolume``;
            None for accuracies outside 0 to 1.
        last_cost: where its rectangle ends, by the largest cost in all comparable records of both sides.
        unit: of costs.
    """

    dataset: str
    accuracy: str
    cost: str
    base: list[Configuration]
    new: list[Configuration]
    entered: list[Matched]
    left: list[Matched]
    hypervolume: tuple[float, float] | None
    last_cost: float
    unit: str


def changed_costs(one: Pair, cost: str) -> list[CostChange]:
    """The exact costs of ``one``, and ``cost`` if it is exact, that are not the same on both sides."""
    changes = []
    for name in dict.fromkeys([*catalogue.shown_in("compare"), cost]):
        full = _common_cost(one, name)
        if full and one.new[0].metrics[full].noise == "exact":
            before, after = _mean(one.base, full), _mean(one.new, full)
            if before != after:
                changes.append(CostChange(full, one.new[0].metrics[full].unit, before, after))
    return changes


def front_changes(
    measured: Sequence[tuple[Pair, str]], cost: str, records: Sequence[Record]
) -> list[FrontChange]:
    """One front before and after for every set of pairs that may be ranked together.

    Args:
        measured: pairs to rank, each with the full name of its accuracy.
        cost: what to rank them by, beside their accuracy.
        records: of both sides; the largest cost among those that may be ranked ends the hypervolume.
    """
    groups: dict[tuple[Hashable, str, str], list[Pair]] = defaultdict(list)
    for one, accuracy in measured:
        if full := _common_cost(one, cost):
            keys = {ranking_key(record, full) for record in (*one.base, *one.new)}
            # Timings of two machines make no front.
            if len(keys) == 1:
                groups[keys.pop(), full, accuracy].append(one)
    largest: dict[tuple[Hashable, str], float] = defaultdict(float)
    for record in records:
        if record.finished and (found := record.metric(cost)):
            key = ranking_key(record, found[0]), found[0]
            largest[key] = max(largest[key], found[1].value)
    fronts = [
        _front_change(same, accuracy, full, largest[group, full])
        for (group, full, accuracy), same in groups.items()
    ]
    return sorted(fronts, key=lambda front: (front.dataset, front.accuracy))


def _front_change(same: list[Pair], accuracy: str, cost: str, largest: float) -> FrontChange:
    first = same[0].new[0]
    directions = [first.metrics[name].higher_is_better for name in (cost, accuracy)]
    last = pareto.last_cost(largest, directions[0])
    sides = [
        [(_mean(records, cost), _mean(records, accuracy)) for records in side]
        for side in ([one.base for one in same], [one.new for one in same])
    ]
    shares = [pareto.hypervolume(points, directions, last) for points in sides]
    before, after = (set(pareto.front(points, directions)) for points in sides)
    return FrontChange(
        dataset=same[0].name.dataset,
        accuracy=accuracy,
        cost=cost,
        base=sorted(same[i].base_name for i in before),
        new=sorted(same[i].name for i in after),
        entered=sorted(same[i].names for i in after - before),
        left=sorted(same[i].names for i in before - after),
        hypervolume=None if shares[0] is None or shares[1] is None else (shares[0], shares[1]),
        last_cost=last,
        unit=first.metrics[cost].unit,
    )


def _common_cost(one: Pair, name: str) -> str | None:
    """The full name of a cost that all cells of a pair have."""
    found = {(record.metric(name) or ("", None))[0] for record in (*one.base, *one.new)}
    full = found.pop()
    return full if full and not found else None


def _mean(records: Sequence[Record], name: str) -> float:
    return float(np.mean([record.metrics[name].value for record in records]))
