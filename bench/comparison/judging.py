"""Judges the numbers of one configuration of a baseline by those of a candidate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bench.comparison.pairing import Pair
from bench.comparison.power import Allowance, Noise, of_interval, of_queries, of_seeds
from bench.comparison.scores import PairedScores, other_meaning, paired_scores
from bench.comparison.verdicts import GIVEN, Finding, Limits, Verdict, finding
from bench.results import wording
from bench.results.catalogue import bounds, is_judged
from bench.results.comparable import hardware, machine
from bench.results.folder import Results
from bench.results.records import Measured, Record
from bench.results.summary import summarise

#: Level of the rank test of timings; samples of one run are not independent, so the ratio decides.
TIMING_LEVEL = 0.001
#: Timings that cannot be told by rank are worse if they lie apart by this many times the ratio allowed.
FAR = 2.0
#: How many queries stand behind an accuracy: equal wherever the same was measured.
COUNTS = ("queries", "valid", "database")

_NO_NOISE = "no noise was measured; give --tolerance, or a baseline with several seeds"
_TOO_WEAK = "the baseline is too weak to show a fall; make it with more seeds, or accept it with --weak"
_UNMEASURED = "the candidate does not measure it"
_NEVER_VARIED = "never varied in the baseline"
_ANEW = "; make the baseline anew"


# -- Accuracy ------------------------------------------------------------------------------------


def accuracies(records: Sequence[Record], limits: Limits) -> list[str]:
    """Full names of the metrics to judge that any seed of a configuration has."""
    found = (record.metric(short) for short in limits.metrics or ("map",) for record in records)
    return list(dict.fromkeys(full for full, metric in filter(None, found) if metric.noise == "seeded"))


class AccuracyJudge:
    """Judges accuracies by the noise that the baseline shows.

    Args:
        tests: accuracies that are judged together.
    """

    def __init__(self, baseline: Results, candidate: Results, tests: int, limits: Limits) -> None:
        self._baseline, self._candidate = baseline, candidate
        self._tests, self._limits = tests, limits
        self._seeds = seeds_of(baseline)

    def __call__(self, one: Pair, name: str) -> Finding:
        """The finding for the metric with the full name ``name``."""
        metric = next(record.metrics[name] for record in one.base if name in record.metrics)
        if any(name not in record.metrics for record in one.base):
            return finding(one, name, metric, "not judged", "not every seed of the baseline has it")
        if any(name not in record.metrics for record in one.new):
            return finding(one, name, metric, "missing", _UNMEASURED)
        if other := other_meaning(one, name):
            return finding(one, name, metric, "changed", f"{other}{_ANEW}")
        if other := _other_counts(one, name):
            return finding(one, name, metric, "changed", other)
        seeds = self._seeds(one.base[0], name)
        noise, scores = of_seeds(seeds, name, len(one.base)), None
        if noise is None:
            scores = paired_scores(self._baseline, self._candidate, one, name)
            noise = _of_queries(scores, metric)
        before, now = (mean(side, name) for side in (one.base, one.new))
        if scores and scores.one_sided:  # what one side alone answers makes no fall and no rise
            before, now = float(scores.before.mean()), float(scores.after.mean())
        allowance = self._allowance(noise, len(seeds))
        seen = allowance.seen if allowance else None
        if seen is not None and not possible(name, metric, before, seen):
            seen = None
        fall = before - now if metric.higher_is_better else now - before
        verdict: Verdict = "within noise"
        reason = allowance.source if allowance else _NO_NOISE
        if _equal(one, name):
            verdict = "equal"
        elif allowance is None:
            verdict = "not judged"
        # Sums in another order must not decide.
        elif abs(fall) > allowance.allowed + 1e-9:
            verdict = "regression" if fall > 0 else "improved"
        elif not self._limits.accepts(seen, metric):
            verdict, reason = "not judged", f"{_TOO_WEAK} ({reason})"
        allowed = allowance.allowed if allowance else None
        any_fall = allowed is not None and not possible(name, metric, before, allowed)
        return finding(one, name, metric, verdict, reason, before, now, allowed, seen, any_fall=any_fall)

    def _allowance(self, noise: Noise | None, seeds: int) -> Allowance | None:
        """The fall that chance alone hardly exceeds, and where it comes from; ``seeds`` of the baseline."""
        given = self._limits.tolerance
        if noise is not None:
            return noise.allowance(self._tests, given)
        if given is not None:
            return Allowance(given, None, GIVEN)
        return Allowance(0.0, 0.0, _NEVER_VARIED) if seeds > 1 else None


def _of_queries(scores: PairedScores, metric: Measured) -> Noise | None:
    """The noise of queries, by their differences or by the baseline's interval."""
    found = of_queries(scores.differences.mean(axis=0)) if scores.by_query else None
    return found or (of_interval(metric.value, metric.interval) if metric.interval else None)


def seeds_of(baseline: Results) -> Callable[[Record, str], list[Record]]:
    """From a record of a baseline and a metric to the records of its configuration that have it, by seed."""
    rows = [row.records for group in summarise(baseline).groups for row in group.rows]
    owners = {record.key: records for records in rows for record in records}

    def seeds(record: Record, name: str) -> list[Record]:
        return [one for one in owners.get(record.key, [record]) if name in one.metrics]

    return seeds


def possible(name: str, metric: Measured, value: float, fall: float) -> bool:
    """Whether a metric with this value can get so much worse at all."""
    ends = bounds(name, metric.unit)
    if ends is None:
        return True
    return fall <= (value - ends[0] if metric.higher_is_better else ends[1] - value)


def mean(records: list[Record], name: str) -> float:
    """Mean of a metric that all ``records`` have."""
    return float(np.mean([record.metrics[name].value for record in records]))


def _other_counts(one: Pair, name: str) -> str:
    """What stands behind an accuracy on one side and not on the other; empty where all is as it was."""
    for before, now in zip(one.base, one.new, strict=True):
        old, new = before.metrics[name].detail, now.metrics[name].detail
        for fact in COUNTS:
            if fact in old and fact in new and old[fact] != new[fact]:
                return f"over {new[fact]} {fact} and was over {old[fact]}"
    return ""


def _equal(one: Pair, name: str) -> bool:
    return all(
        before.metrics[name].value == now.metrics[name].value
        for before, now in zip(one.base, one.new, strict=True)
    )


# -- Costs ---------------------------------------------------------------------------------------


def exact(one: Pair) -> Iterator[Finding]:
    """The findings for numbers that must be equal."""
    for name, metric in _metrics(one, "exact").items():
        records = [both for both in zip(one.base, one.new, strict=True) if name in both[0].metrics]
        if any(name not in new.metrics for _, new in records):
            yield finding(one, name, metric, "missing", _UNMEASURED)
            continue
        if other := other_meaning(one, name):
            yield finding(one, name, metric, "changed", f"{other}{_ANEW}")
            continue
        pairs = [(old.metrics[name].value, new.metrics[name].value) for old, new in records]
        before, now = next((both for both in pairs if both[0] != both[1]), pairs[0])
        verdict: Verdict = "equal" if before == now else "changed"
        yield finding(one, name, metric, verdict, "must be equal", before, now)


def timed(one: Pair, limits: Limits) -> Iterator[Finding]:
    """The findings for numbers that belong to a machine: times, memory, energy."""
    for name, metric in _metrics(one, "timed").items():
        yield _timing(one, name, metric, limits)


def _metrics(one: Pair, noise: str) -> dict[str, Measured]:
    """The metrics of one noise class that are judged and that any seed of the baseline has."""
    return {
        name: metric
        for record in reversed(one.base)
        for name, metric in record.metrics.items()
        if metric.noise == noise and is_judged(name)
    }


def _timing(one: Pair, name: str, metric: Measured, limits: Limits) -> Finding:
    if len({machine(record) for record in (*one.base, *one.new)}) > 1:
        return finding(one, name, metric, "not judged", f"other hardware: {_hardware(one)}")
    if any(
        name in old.metrics and name not in new.metrics for old, new in zip(one.base, one.new, strict=True)
    ):
        return finding(one, name, metric, "missing", _UNMEASURED)
    if other := other_meaning(one, name):
        return finding(one, name, metric, "changed", f"{other}{_ANEW}")
    before, now = (_samples(side, name) for side in (one.base, one.new))
    up = metric.higher_is_better
    medians = float(np.median(before)), float(np.median(now))
    ratio = _ratio(medians[0], medians[1], higher_is_better=up)
    if np.array_equal(before, now):
        return finding(one, name, metric, "equal", "the same measurement", *medians, limits.slower)
    verdict, reason = _by_rank(one, name, before, now)
    if verdict == "not judged" and _far_apart(before, now, FAR * limits.slower, higher_is_better=up):
        verdict, reason = "regression", f"every sample is far worse ({reason})"
    elif verdict == "within noise":
        reason, differs = f"{ratio:.2f} times that of the baseline", _differs(before, now)
        if differs and ratio > limits.slower:
            verdict = "regression"
        elif differs and ratio < 1 / limits.slower:
            verdict = "improved"
    return finding(one, name, metric, verdict, reason, *medians, limits.slower)


def _by_rank(one: Pair, name: str, before: Any, now: Any) -> tuple[Verdict, str]:
    """Whether samples can be judged by their ranks: ``within noise`` until that is done, or why not."""
    found = [record.metrics[name] for record in (*one.base, *one.new) if name in record.metrics]
    if any(metric.detail.get("noisy") for metric in found):
        return "not judged", "unsteady timing; take it again on a quiet machine (run --overwrite unsteady)"
    # What has no samples is one number, such as memory: its ratio alone decides.
    counts = len(before), len(now)
    if max(counts) > 1 and 2 / math.comb(sum(counts), counts[0]) >= TIMING_LEVEL:
        return "not judged", f"too few samples to tell: {counts[0]} against {counts[1]}"
    return "within noise", ""


def _differs(before: Any, now: Any) -> bool:
    from scipy.stats import mannwhitneyu  # half a second, for those who time

    return len(before) == len(now) == 1 or float(mannwhitneyu(before, now).pvalue) < TIMING_LEVEL


def _far_apart(before: Any, now: Any, factor: float, *, higher_is_better: bool) -> bool:
    """Whether the best of ``now`` is worse than the worst of ``before`` by more than ``factor``."""
    ends = (before.min(), now.max()) if higher_is_better else (before.max(), now.min())
    return _ratio(*map(float, ends), higher_is_better=higher_is_better) > factor


def _ratio(before: float, now: float, *, higher_is_better: bool) -> float:
    """How many times worse ``now`` is."""
    worse, better = (before, now) if higher_is_better else (now, before)
    return worse / better if better else math.inf if worse else 1.0


def _samples(records: list[Record], name: str) -> Any:
    """Samples of a metric, or its values where it has none; cells that share a measurement have it once."""
    found = [record.metrics[name] for record in records if name in record.metrics]
    lists = {tuple(metric.samples or (metric.value,)) for metric in found}
    return np.concatenate([np.array(samples) for samples in sorted(lists)])


def _hardware(one: Pair) -> str:
    before, now = hardware(one.base[0]), hardware(one.new[0])
    facts = {fact: (wording.brief(before[fact]), wording.brief(now[fact])) for fact in before}
    return ", ".join(f"{fact} {a} against {b}" for fact, (a, b) in facts.items() if a != b) or "unknown"
