"""Two results set against each other: what got better, what got worse, and what cannot be told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.comparison.choosing import Apart, apart, require_metric
from bench.comparison.compare_costs import CostChange, FrontChange, changed_costs, front_changes
from bench.comparison.elsewhere import judge_again, no_counterpart
from bench.comparison.pairing import Gone, Pair, Pairing, pair
from bench.comparison.power import POWER
from bench.comparison.scores import PairedScores, other_meaning, paired_scores
from bench.comparison.statistics import PairedDifference, detectable_difference, holm, paired_differences
from bench.errors import NothingToCompareError
from bench.results import tuning
from bench.results.catalogue import SIZES, bounds
from bench.results.comparable import ranking_key
from bench.results.folder import Results
from bench.results.names import Configuration, Matched
from bench.results.records import EXTERNAL
from bench.results.wording import one_line

#: A difference is shown if its p value, adjusted for the number of configurations, lies below.
LEVEL = 0.05

#: ``cannot tell``: no difference is shown, and none that the metric can have would have been. ``same cells``:
#: both sides hold the records of one training, of which nothing is asked.
Verdict = Literal["better", "worse", "no difference shown", "cannot tell", "not tested", "same cells"]


#: Of the same cells on both sides.
_NOTHING = PairedDifference(0.0, None, None)


@dataclass(frozen=True)
class Side:
    """One of the two results: the folder, the grid's name, and which of its cells were chosen."""

    folder: str
    grid: str
    only: dict[str, str]


@dataclass(frozen=True)
class Compared:
    """One configuration on both sides.

    Attributes:
        name: as the new results call it.
        base_name: as the baseline does.
        metric: full name of the accuracy.
        judged: that of the accuracy that cells are judged by, of which alone scores by query are kept.
        base: its mean in the baseline, over seeds and the queries that have a score on both sides.
        new: its mean in the new results, over the same.
        difference: ``new`` less ``base``.
        interval: 95 % interval of the difference, within what the metric can differ by.
        over: what the interval is over: ``seeds``, ``queries`` or ``seeds and queries``.
        p: of this configuration alone; None where nothing can be tested.
        p_adjusted: by Holm over all configurations that are not the same cells on both sides.
        detectable: a true difference of this size would have been shown with the probability ``POWER``;
            None where nothing varies, and where no difference that the metric can have would have been.
        queries: None where scores by query were not kept on both sides; seeds alone are compared then.
        costs: those that changed.
        alike: whether both sides have the same scores, and none for the same queries.
        changed_params: whether parameters that count differ, beside those of what is compared.
        warnings: what records of either side warn of, each sentence once.
    """

    name: Configuration
    base_name: Configuration
    metric: str
    judged: str
    base: float
    new: float
    difference: float
    interval: tuple[float, float] | None
    over: str
    p: float | None
    p_adjusted: float | None
    verdict: Verdict
    detectable: float | None
    seeds: int
    queries: int | None
    costs: list[CostChange]
    notes: list[str]
    alike: bool
    changed_params: bool
    warnings: list[str]

    @property
    def names(self) -> Matched:
        """As both sides call it."""
        return Matched(self.base_name, self.name)


@dataclass(frozen=True)
class Overall:
    """The mean difference over all configurations, which are taken as given: seeds and queries vary.

    What is the same cells on both sides is left out: it would pull the mean to 0 and is no evidence.

    Attributes:
        detectable: as ``Compared`` has it, of this mean.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float | None
    detectable: float | None


@dataclass(frozen=True)
class Comparison:
    """Everything that ``compare`` found; ``dataclasses.asdict`` turns it into JSON values.

    Attributes:
        asked: in what the two results differ, where nobody said what to compare with what.
        elsewhere: whether one side was measured elsewhere, and is set against each configuration of the other
            that has codes as long.
        unequal_tuning: all that budgets of tuning differ in, and in how many configurations; empty: in none.
    """

    base: Side
    new: Side
    asked: str
    elsewhere: bool
    metric: str
    cost: str
    pairs: list[Compared]
    overall: Overall | None
    fronts: list[FrontChange]
    gone: list[Gone]
    added: list[Configuration]
    refused: list[tuple[Configuration, str]]
    unequal_tuning: str = ""


@dataclass(frozen=True)
class _Scored:
    """A pair with the accuracy that both sides have, and its scores."""

    pair: Pair
    metric: str
    scores: PairedScores

    @property
    def same_cells(self) -> bool:
        """Whether both sides hold the same trainings; where they score otherwise now, that is a question."""
        both = zip(self.pair.base, self.pair.new, strict=True)
        return self.scores.same and all(old.cell_key == new.cell_key for old, new in both)


def compare(
    base: Results,
    new: Results,
    *,
    metric: str = "map",
    cost: str | None = None,
    base_only: Mapping[str, str] | None = None,
    new_only: Mapping[str, str] | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Compare the configurations that both results have, or two parts of the same results.

    Args:
        base: the baseline.
        new: what may be better or worse.
        metric: full or short name of an accuracy.
        cost: the same of the cost that the front is drawn against; None = the first of ``SIZES``, if it was
            measured.
        base_only: see ``bench.comparison.pairing.pair``.
        new_only: see ``bench.comparison.pairing.pair``.
        level: of verdicts and detectable differences; less than ``LEVEL`` for one of several questions.

    Raises:
        UsageError: a filter or the metric does not fit the records.
        NothingToCompareError: no configuration can be compared.
    """
    records = [*base.records, *new.records]
    require_metric(metric, records, accuracy=True)
    if cost is not None:
        require_metric(cost, records, accuracy=False)
    pairing = pair(base, new, base_only, new_only)
    parts: list[Apart] = []
    elsewhere = not pairing.pairs and len({record.status == EXTERNAL for record in records}) == 2
    if elsewhere:
        pairing = pair(base, new, base_only, new_only, elsewhere=True)
    elif not pairing.pairs and not base_only and not new_only:
        parts = apart(base, new)
        if len(parts) == 1 and (question := parts[0].question):
            sides = {"base_only": question[0], "new_only": question[1]}
            found = compare(base, new, metric=metric, cost=cost, level=level, **sides)
            return replace(found, asked=str(parts[0]))
    cost = cost or SIZES[0]
    measured, refused = [], list(pairing.refused)
    for one in pairing.pairs:
        scores = _measure(one, metric, base, new)
        if isinstance(scores, str):
            refused.append((one.name, scores))
        else:
            measured.append(scores)
    if not measured:
        why = _why_nothing(pairing, refused, parts)
        if elsewhere and pairing.refused:
            why = "; ".join(filter(None, [why, judge_again(base, new)]))
        elif elsewhere and not refused:
            why = no_counterpart(base, new, base_only or {}, new_only or {}) or why
        raise NothingToCompareError(f"nothing to compare: {why}")
    return Comparison(
        base=Side(str(base.folder), one_line(base.name), dict(base_only or {})),
        new=Side(str(new.folder), one_line(new.name), dict(new_only or {})),
        asked="",
        elsewhere=elsewhere,
        metric=metric,
        cost=cost,
        pairs=_tested(measured, cost, level),
        overall=_overall(measured, level),
        # What is set against each of many is in no front of its own.
        fronts=[]
        if elsewhere
        else front_changes([(one.pair, one.metric) for one in measured], cost, records),
        gone=pairing.gone,
        added=pairing.added,
        refused=refused,
        unequal_tuning="" if elsewhere else _unequal_tuning(measured),
    )


def _unequal_tuning(measured: list[_Scored]) -> str:
    found = Counter(tuning.unequal(one.pair.base, one.pair.new) for one in measured)
    of = len(measured)
    where = {n: f" (in {n} of {of} configurations)" if n < of else "" for n in found.values()}
    return "; ".join(f"{words}{where[n]}" for words, n in found.items() if words)


def _why_nothing(pairing: Pairing, refused: list[tuple[Configuration, str]], parts: list[Apart]) -> str:
    if parts:
        return "; ".join(map(str, parts)) + _cure(parts)
    reasons = [f"{name}: {reason}" for name, reason in refused]
    reasons += [f"{gone.name}: {gone.reason}" for gone in pairing.gone]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    because = f"; {reasons[0]}{more}" if reasons else ""
    return f"no configuration has comparable numbers on both sides{because}"


def _cure(parts: list[Apart]) -> str:
    if any(part.key == "dataset" for part in parts):
        return "; different data sets are never compared"
    sides = [[part.base[0] for part in parts], [part.new[0] for part in parts]]
    words = [
        f"--{side} {part.key}={one_line(value)}"
        for side, values in zip("ab", sides, strict=True)
        for part, value in zip(parts, values, strict=True)
    ]
    return f"; say what to compare with what, for example {' '.join(words)}"


# -- Accuracies ----------------------------------------------------------------------------------


def _measure(one: Pair, metric: str, base: Results, new: Results) -> _Scored | str:
    """Scores by seed and query, by seed alone where no scores by query were kept; or why not."""
    found = {(record.metric(metric) or ("", None))[0] for record in (*one.base, *one.new)}
    name = found.pop()
    if found or not name:
        return f"{one_line(metric)} was not measured on both sides in the same way"
    if one.new[0].metrics[name].noise != "seeded":
        return f"{one_line(name)} is no accuracy"
    if other := other_meaning(one, name):
        return f"{one_line(name)} is not what it was: {other}"
    return _Scored(one, name, paired_scores(base, new, one, name))


def _overall(measured: list[_Scored], level: float) -> Overall | None:
    """None for one configuration, or where they do not share data, conditions, seeds and queries."""
    measured = [one for one in measured if not one.same_cells]
    kinds = {
        (
            one.metric,
            one.scores.differences.shape,
            tuple(one.pair.seeds),
            ranking_key(one.pair.new[0]),
        )
        for one in measured
    }
    if len(measured) < 2 or len(kinds) > 1:
        return None
    differences = np.mean([one.scores.differences for one in measured], axis=0)
    found = paired_differences([differences])[0]
    before = float(np.mean([one.scores.before.mean() for one in measured]))
    detectable = detectable_difference(differences, level, POWER)
    return Overall(
        difference=found.mean,
        interval=_within(found.interval, before, measured[0]),
        p=found.p,
        detectable=None if _hopeless(detectable, before, measured[0]) else detectable,
    )


def _tested(measured: list[_Scored], cost: str, level: float) -> list[Compared]:
    asked = [i for i, one in enumerate(measured) if not one.same_cells]
    found = paired_differences([measured[i].scores.differences for i in asked])
    results = dict(zip(asked, found, strict=True))
    testable = [i for i, one in results.items() if one.p is not None]
    adjusted = dict(zip(testable, holm([results[i].p or 0.0 for i in testable]).tolist(), strict=True))
    shown = sum(p < level for p in adjusted.values())
    # What the next difference would have to reach to be shown beside those that are.
    next_level = level / max(1, len(testable) - shown)
    return [
        _compared(one, results.get(i, _NOTHING), adjusted.get(i), (level, next_level), cost)
        for i, one in enumerate(measured)
    ]


def _compared(
    one: _Scored,
    result: PairedDifference,
    p_adjusted: float | None,
    levels: tuple[float, float],
    cost: str,
) -> Compared:
    """``levels``: of adjusted p values, and of the smallest difference that would have been shown."""
    scores, metric = one.scores, one.pair.new[0].metrics[one.metric]
    before, after = float(scores.before.mean()), float(scores.after.mean())
    gain = result.mean if metric.higher_is_better else -result.mean
    detectable = detectable_difference(scores.differences, levels[1], POWER)
    hopeless = _hopeless(detectable, before, one)
    if p_adjusted is None:
        verdict: Verdict = "same cells" if one.same_cells else "not tested"
    elif p_adjusted < levels[0]:
        verdict = "better" if gain > 0 else "worse"
    else:
        verdict = "cannot tell" if hopeless else "no difference shown"
    left_out = f"{scores.left_out} queries have no score on one side or both and are left out"
    return Compared(
        name=one.pair.name,
        base_name=one.pair.base_name,
        metric=one.metric,
        judged=one.pair.new[0].accuracy or "",
        base=before,
        new=after,
        difference=result.mean,
        interval=_within(result.interval, before, one),
        over=_over(scores),
        p=result.p,
        p_adjusted=p_adjusted,
        verdict=verdict,
        detectable=None if hopeless else detectable,
        seeds=scores.before.shape[0],
        queries=scores.queries,
        costs=changed_costs(one.pair, cost),
        notes=[*one.pair.notes, *([left_out] if scores.left_out else [])],
        alike=scores.same,
        changed_params=one.pair.changed_params,
        warnings=list(
            dict.fromkeys(line for cell in (*one.pair.base, *one.pair.new) for line in cell.warnings)
        ),
    )


def _over(scores: PairedScores) -> str:
    seeds, queries = scores.before.shape
    return " and ".join(["seeds"] * (seeds > 1) + ["queries"] * (queries > 1))


def _hopeless(detectable: float | None, before: float, one: _Scored) -> bool:
    """Whether a difference of that size would put B outside of what the metric can be."""
    ends = bounds(one.metric, one.pair.new[0].metrics[one.metric].unit)
    return (
        detectable is not None and ends is not None and detectable > max(before - ends[0], ends[1] - before)
    )


def _within(interval: tuple[float, float] | None, before: float, one: _Scored) -> tuple[float, float] | None:
    """``interval`` of B - A without differences that would put B outside of what the metric can be."""
    ends = bounds(one.metric, one.pair.new[0].metrics[one.metric].unit)
    if interval is None or ends is None:
        return interval
    return max(interval[0], ends[0] - before), min(interval[1], ends[1] - before)
