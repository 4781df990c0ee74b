"""Two results set against each other: what got better, what got worse, and what cannot be told apart."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import NothingToCompareError, UsageError, did_you_mean
from bench.pairing import Gone, Pair, Pairing, pair
from bench.records import Record, Results
from bench.report import pareto
from bench.report.names import Configuration
from bench.report.wording import one_line
from bench.statistics import PairedDifference, detectable_difference, holm, paired_differences

#: A difference is shown if its p value, adjusted for the number of configurations, lies below.
LEVEL = 0.05
#: Probability with which a detectable difference would have been shown.
POWER = 0.8
#: Costs that neither machine nor chance changes.
EXACT_COSTS = ("params", "macs", "code_bytes")

Verdict = Literal["better", "worse", "no difference shown", "not tested"]


@dataclass(frozen=True)
class Side:
    """One of the two results: the folder, the grid's name, and which of its cells were chosen."""

    folder: str
    grid: str
    only: dict[str, str]


@dataclass(frozen=True)
class CostChange:
    """An exact cost that is not the same on both sides, mean over seeds."""

    metric: str
    unit: str
    base: float
    new: float


@dataclass(frozen=True)
class Compared:
    """One configuration on both sides.

    Attributes:
        metric: full name of the accuracy.
        base: its mean over seeds in the baseline.
        new: its mean over the same seeds in the new results.
        difference: ``new`` less ``base``.
        interval: 95 % interval of the difference.
        p: of this configuration alone; None where nothing can be tested.
        p_adjusted: by Holm over all configurations.
        detectable: a true difference of this size would have been shown with the probability ``POWER``.
        queries: None where scores by query were not kept on both sides; seeds alone are compared then.
        costs: those that changed.
    """

    name: Configuration
    metric: str
    base: float
    new: float
    difference: float
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    verdict: Verdict
    detectable: float | None
    seeds: int
    queries: int | None
    costs: list[CostChange]
    notes: list[str]


@dataclass(frozen=True)
class Overall:
    """The mean difference over all configurations, which are taken as given: seeds and queries vary."""

    difference: float
    interval: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True)
class FrontChange:
    """The Pareto front of comparable configurations that both sides have, by their means alone.

    Attributes:
        accuracy: full metric name.
        cost: full metric name.
        base: configurations on the front of the baseline.
        new: configurations on the front of the new results.
        entered: those on the second front only.
        left: those on the first front only.
        hypervolume: share of costs and accuracies covered before and after, up to the largest cost in all
            comparable records of both sides, see ``pareto.hypervolume``; None for accuracies outside 0 to 1.
    """

    dataset: str
    accuracy: str
    cost: str
    base: list[Configuration]
    new: list[Configuration]
    entered: list[Configuration]
    left: list[Configuration]
    hypervolume: tuple[float, float] | None


@dataclass(frozen=True)
class Comparison:
    """Everything that ``compare`` found; ``dataclasses.asdict`` turns it into JSON values."""

    base: Side
    new: Side
    metric: str
    cost: str
    pairs: list[Compared]
    overall: Overall | None
    fronts: list[FrontChange]
    gone: list[Gone]
    added: list[Configuration]
    refused: list[tuple[Configuration, str]]


@dataclass(frozen=True)
class _Measured:
    """A pair with the accuracy that both sides have, and its differences, (seeds, queries or 1)."""

    pair: Pair
    metric: str
    differences: NDArray[np.float64]
    by_query: bool


def compare(
    base: Results,
    new: Results,
    *,
    metric: str = "map",
    cost: str = "macs",
    base_only: Mapping[str, str] | None = None,
    new_only: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare the configurations that both results have, or two parts of the same results.

    Args:
        base: the baseline.
        new: what may be better or worse.
        metric: full or short name of an accuracy.
        cost: the same of the cost that the front is drawn against.
        base_only: see ``bench.pairing.pair``.
        new_only: see ``bench.pairing.pair``.

    Raises:
        UsageError: a filter or the metric does not fit the records.
        NothingToCompareError: no configuration can be compared.
    """
    pairing = pair(base, new, base_only, new_only)
    measured, refused = [], list(pairing.refused)
    for one in pairing.pairs:
        found = _measure(one, metric, base, new)
        if isinstance(found, str):
            refused.append((one.name, found))
        else:
            measured.append(found)
    if not measured:
        _check_metric(metric, [*base.records, *new.records])
        raise NothingToCompareError(_why_nothing(pairing, refused))
    return Comparison(
        base=Side(str(base.folder), one_line(base.name), dict(base_only or {})),
        new=Side(str(new.folder), one_line(new.name), dict(new_only or {})),
        metric=metric,
        cost=cost,
        pairs=_tested(measured, cost),
        overall=_overall(measured),
        fronts=_fronts(measured, cost, [*base.records, *new.records]),
        gone=pairing.gone,
        added=pairing.added,
        refused=refused,
    )


def _overall(measured: list[_Measured]) -> Overall | None:
    """None for one configuration, or where they do not share data set, protocol, seeds and queries."""
    kinds = {
        (
            one.metric,
            one.differences.shape,
            tuple(one.pair.seeds),
            json.dumps([one.pair.new[0].cell.dataset, one.pair.new[0].cell.protocol], sort_keys=True),
        )
        for one in measured
    }
    if len(measured) == 1 or len(kinds) > 1:
        return None
    found = paired_differences([np.mean([one.differences for one in measured], axis=0)])[0]
    return Overall(found.mean, found.interval, found.p)


def _check_metric(name: str, records: Iterable[Record]) -> None:
    """Refuse a metric that no record has, or that is no matter of trained networks."""
    known: dict[str, None] = {}
    for record in records:
        if found := record.metric(name):
            if found[1].noise != "seeded":
                raise UsageError(
                    f"{one_line(found[0])} depends on neither seeds nor queries; give an accuracy such as map"
                )
            return
        known |= {full: None for full, one in record.metrics.items() if one.noise == "seeded"}
    if known:
        hint = did_you_mean(name, known)
        choices = ", ".join(map(one_line, known))
        raise UsageError(f"no record has the metric '{one_line(name)}'{hint or ';'} there are: {choices}")


def _why_nothing(pairing: Pairing, refused: list[tuple[Configuration, str]]) -> str:
    reasons = [f"{name}: {reason}" for name, reason in refused]
    reasons += [f"{gone.name}: {gone.reason}" for gone in pairing.gone]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    because = f"; {reasons[0]}{more}" if reasons else ""
    return f"nothing to compare: no configuration has comparable numbers on both sides{because}"


# -- Accuracies ----------------------------------------------------------------------------------


def _measure(one: Pair, metric: str, base: Results, new: Results) -> _Measured | str:
    """Differences by seed and query, by seed alone where no scores by query were kept; or why not."""
    found = {(record.metric(metric) or ("", None))[0] for record in (*one.base, *one.new)}
    name = found.pop()
    if found or not name:
        return f"{one_line(metric)} was not measured on both sides in the same way"
    if one.new[0].metrics[name].noise != "seeded":
        return f"{one_line(name)} is no accuracy"
    scores = [
        [results.per_query(record).get(name) for record in records]
        for results, records in ((base, one.base), (new, one.new))
    ]
    differences = _by_query(scores)
    if differences is not None:
        return _Measured(one, name, differences, by_query=True)
    before, after = ([record.metrics[name].value for record in side] for side in (one.base, one.new))
    return _Measured(one, name, (np.array(after) - np.array(before))[:, None], by_query=False)


def _by_query(scores: list[list[NDArray[np.float64] | None]]) -> NDArray[np.float64] | None:
    """Differences (seeds, queries) of scores by side and seed; None unless all have the same queries."""
    arrays = [one for side in scores for one in side if one is not None]
    if len(arrays) < sum(map(len, scores)) or len({one.shape for one in arrays}) > 1:
        return None
    before, after = np.asarray(arrays, np.float64).reshape(2, len(scores[0]), -1)
    # Queries that nothing in the database answers have no score.
    scored = ~np.isnan(before)
    if not np.array_equal(scored, ~np.isnan(after)) or not (scored == scored[0]).all() or not scored.any():
        return None
    return np.asarray(after - before)[:, scored[0]]


def _tested(measured: list[_Measured], cost: str) -> list[Compared]:
    results = paired_differences([one.differences for one in measured])
    testable = [i for i, one in enumerate(results) if one.p is not None]
    adjusted = dict(zip(testable, holm([results[i].p or 0.0 for i in testable]).tolist(), strict=True))
    shown = sum(p < LEVEL for p in adjusted.values())
    # What the next difference would have to reach to be shown beside those that are.
    level = LEVEL / max(1, len(testable) - shown)
    return [
        _compared(one, result, adjusted.get(i), level, cost)
        for i, (one, result) in enumerate(zip(measured, results, strict=True))
    ]


def _compared(
    one: _Measured, result: PairedDifference, p_adjusted: float | None, level: float, cost: str
) -> Compared:
    before, after = (_mean(side, one.metric) for side in (one.pair.base, one.pair.new))
    gain = result.mean if one.pair.new[0].metrics[one.metric].higher_is_better else -result.mean
    if p_adjusted is None:
        verdict: Verdict = "not tested"
    elif p_adjusted < LEVEL:
        verdict = "better" if gain > 0 else "worse"
    else:
        verdict = "no difference shown"
    return Compared(
        name=one.pair.name,
        metric=one.metric,
        base=before,
        new=after,
        difference=after - before,
        interval=result.interval,
        p=result.p,
        p_adjusted=p_adjusted,
        verdict=verdict,
        detectable=detectable_difference(one.differences, level, POWER),
        seeds=one.differences.shape[0],
        queries=one.differences.shape[1] if one.by_query else None,
        costs=_changed_costs(one.pair, cost),
        notes=one.pair.notes,
    )


def _mean(records: list[Record], name: str) -> float:
    return float(np.mean([record.metrics[name].value for record in records]))


# -- Costs ---------------------------------------------------------------------------------------


def _common_cost(one: Pair, name: str) -> str | None:
    """The full name of a cost that all cells of a pair have."""
    found = {(record.metric(name) or ("", None))[0] for record in (*one.base, *one.new)}
    full = found.pop()
    return full if full and not found else None


def _changed_costs(one: Pair, cost: str) -> list[CostChange]:
    changes = []
    for name in dict.fromkeys((*EXACT_COSTS, cost)):
        full = _common_cost(one, name)
        if full and one.new[0].metrics[full].noise == "exact":
            before, after = _mean(one.base, full), _mean(one.new, full)
            if before != after:
                changes.append(CostChange(full, one.new[0].metrics[full].unit, before, after))
    return changes


def _fronts(measured: list[_Measured], cost: str, records: list[Record]) -> list[FrontChange]:
    """One front before and after for every set of pairs that may be ranked together.

    Args:
        measured: pairs to rank.
        cost: what to rank them by, beside their accuracy.
        records: of both sides; the largest cost among those that may be ranked ends the hypervolume.
    """
    groups: dict[str, list[_Measured]] = defaultdict(list)
    for one in measured:
        if full := _common_cost(one.pair, cost):
            keys = {_group_key(record, full) for record in (*one.pair.base, *one.pair.new)}
            # Timings of two machines make no front.
            if len(keys) == 1:
                groups[json.dumps([keys.pop(), full, one.metric])].append(one)
    largest: dict[str, float] = defaultdict(float)
    for record in records:
        if record.status == "ok" and (found := record.metric(cost)):
            key = json.dumps([_group_key(record, found[0]), found[0]])
            largest[key] = max(largest[key], found[1].value)
    fronts = []
    for key, same in groups.items():
        group, full, accuracy = json.loads(key)
        fronts.append(_front_change(same, accuracy, full, largest[json.dumps([group, full])]))
    return sorted(fronts, key=lambda front: (front.dataset, front.accuracy))


def _group_key(record: Record, cost: str) -> str:
    """Equal for records that may be ranked together by ``cost``."""
    protocol = {name: value for name, value in record.cell.protocol.items() if value is not None}
    where = ["precision"] if record.metrics[cost].noise != "timed" else ["precision", "fingerprint"]
    facts = [record.environment.get(fact) for fact in where]
    parts = [record.cell.dataset, protocol, facts]
    return json.dumps(parts, sort_keys=True, default=str)


def _front_change(same: list[_Measured], accuracy: str, cost: str, largest: float) -> FrontChange:
    names, first = [one.pair.name for one in same], same[0].pair.new[0]
    directions = [first.metrics[name].higher_is_better for name in (cost, accuracy)]
    sides = [
        [(_mean(records, cost), _mean(records, accuracy)) for records in side]
        for side in ([one.pair.base for one in same], [one.pair.new for one in same])
    ]
    shares = [pareto.hypervolume(points, directions, largest) for points in sides]
    before, after = (sorted(names[i] for i in pareto.front(points, directions)) for points in sides)
    return FrontChange(
        dataset=names[0].dataset,
        accuracy=accuracy,
        cost=cost,
        base=before,
        new=after,
        entered=[name for name in after if name not in before],
        left=[name for name in before if name not in after],
        hypervolume=None if shares[0] is None or shares[1] is None else (shares[0], shares[1]),
    )
