"""The gate: has anything got worse than a baseline, beyond what chance explains?

What is exact must be equal. Accuracy must not fall by more than the noise that was measured in the baseline:
the spread of its seeds, or of its queries where it has one seed. Timings are judged on the hardware of the
baseline alone, by a rank test first and by a ratio then. Numbers that are equal, numbers within noise and
numbers that cannot be judged are three different things, and an accuracy that cannot be judged is not green.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bench.choosing import require_metric
from bench.metric_names import bounds
from bench.pairing import Pair, Pairing, pair
from bench.power import Allowance, SeedNoise, of_interval, of_queries
from bench.records import Metric, Record, Results
from bench.report import wording
from bench.report.names import Names
from bench.scores import paired_scores

Verdict = Literal[
    "equal", "within noise", "improved", "regression", "changed", "missing", "not judged", "absent"
]

#: What was judged, whichever way.
JUDGED: tuple[Verdict, ...] = ("equal", "within noise", "improved", "regression", "changed")
#: What turns the gate red.
BAD: tuple[Verdict, ...] = ("regression", "changed", "missing")
#: A fall that only a baseline of this many times the wanted sensitivity would show is not looked for.
BLIND = 3.0
#: Level of the rank test of timings; samples of one run are not independent, so the ratio decides.
TIMING_LEVEL = 0.001
#: Exact numbers that tell what other programs print: they change with those programs.
OTHERS = ("macs_fvcore", "macs_thop", "macs_torch", "params_thop")
#: How many queries stand behind an accuracy: equal wherever the same was measured.
COUNTS = ("queries", "valid", "database")


@dataclass(frozen=True)
class Limits:
    """What counts as worse.

    Attributes:
        metrics: accuracies to judge, in full or short; none = the one that each cell is judged by.
        tolerance: fall of an accuracy that is allowed; None = from the noise of the baseline.
        slower: ratio of median times that is allowed.
        allow_missing: whether configurations of the baseline may be absent; failed ones never may.
        sees: fall of an accuracy that a baseline should show, as a fraction of 1, or of the baseline's
            value for metrics with a unit. One that shows none of ``BLIND`` times that judges nothing.
        weak: accept such a baseline all the same.
    """

    metrics: tuple[str, ...] = ()
    tolerance: float | None = None
    slower: float = 1.25
    allow_missing: bool = False
    sees: float = 0.05
    weak: bool = False

    def dim(self, seen: float | None, metric: Metric) -> bool:
        """Whether a baseline that shows falls from ``seen`` on shows less than it should; None is none."""
        return seen is None or seen > self.sees * (abs(metric.value) if metric.unit else 1.0)

    def blind(self, seen: float | None, metric: Metric) -> bool:
        """Whether it shows so little that nothing can be judged by it."""
        return self.dim(None if seen is None else seen / BLIND, metric)


@dataclass(frozen=True)
class Finding:
    """One metric of one configuration, judged.

    Attributes:
        metric: full name; empty where the whole configuration is meant.
        kind: noise class of the metric; empty for whole configurations.
        baseline, now: means over the seeds that both sides have, in ``unit``.
        allowed: fall that is tolerated, or ratio for timings; None where there is none.
        seen: smallest true fall that would have been seen with 80 % power; None where none would, or where
            nothing had to be estimated.
        reason: where the tolerance comes from, what changed, or why it was not judged.
        changed_params: whether the parameters of the two sides differ.
    """

    dataset: str
    configuration: str
    metric: str
    kind: Literal["exact", "seeded", "timed", ""]
    verdict: Verdict
    reason: str = ""
    baseline: float | None = None
    now: float | None = None
    allowed: float | None = None
    seen: float | None = None
    unit: str = ""
    changed_params: bool = False


@dataclass(frozen=True)
class Check:
    """The verdict over two results folders."""

    baseline: str
    candidate: str
    findings: list[Finding]
    notes: list[str]

    def of(self, *verdicts: Verdict) -> list[Finding]:
        """The findings with one of these verdicts."""
        return [finding for finding in self.findings if finding.verdict in verdicts]

    @property
    def bad(self) -> list[Finding]:
        """What turns the gate red, the worst first."""
        return [finding for verdict in BAD for finding in self.of(verdict)]

    @property
    def open(self) -> list[Finding]:
        """Accuracies and configurations that had to be judged and could not be."""
        return [one for one in self.of("not judged") if one.kind == "seeded" or not one.metric]

    @property
    def exit_code(self) -> int:
        """0 fine, 3 something is worse, 4 nothing could be judged, or not everything that had to be."""
        return 3 if self.bad else 4 if self.open or not self.of(*JUDGED) else 0


def check(baseline: Results, candidate: Results, limits: Limits | None = None) -> Check:
    """Judge every configuration of ``baseline`` by what ``candidate`` has for it.

    Raises:
        UsageError: the baseline has no accuracy of a name in ``limits``.
    """
    limits = limits or Limits()
    for short in limits.metrics:
        require_metric(short, baseline.records, accuracy=True)
    pairing = pair(baseline, candidate)
    accuracies = [_accuracies(one, limits.metrics or ("map",)) for one in pairing.pairs]
    judge = _Accuracies(baseline, candidate, sum(map(len, accuracies)), limits)
    findings: list[Finding] = []
    for one, names in zip(pairing.pairs, accuracies, strict=True):
        findings += [judge(one, name) for name in names]
        findings += _exact(one)
        findings += _timed(one, limits)
    excused = limits.allow_missing or not any(finding.verdict in JUDGED for finding in findings)
    findings += _gone(pairing, Names(baseline.records), excused=excused)
    findings += [
        Finding(name.dataset, str(name), "", "", "not judged", wording.one_line(reason))
        for name, reason in pairing.refused
    ]
    notes = [f"{_name(one)}: {note}" for one in pairing.pairs for note in one.notes if "only in" not in note]
    notes += [f"new, not judged: {name}" for name in pairing.added]
    if pairing.pairs and not any(accuracies):
        notes.append("no accuracy was judged: the baseline has none")
    return Check(_path(baseline), _path(candidate), findings, notes)


# -- Accuracy ------------------------------------------------------------------------------------

_NO_NOISE = "no noise was measured; give --tolerance, or a baseline with several seeds"
_TOO_WEAK = "the baseline is too weak to show a fall; make it with more seeds, or accept it with --weak"


class _Accuracies:
    """Judges accuracies by the noise that the baseline shows."""

    def __init__(self, baseline: Results, candidate: Results, tests: int, limits: Limits) -> None:
        self._baseline, self._candidate = baseline, candidate
        self._tests, self._limits = tests, limits
        self._seeds = SeedNoise(baseline, tests)

    def __call__(self, one: Pair, name: str) -> Finding:
        metric = one.base[0].metrics[name]
        if any(name not in record.metrics for record in (*one.base, *one.new)):
            return _finding(one, name, metric, "missing", "the candidate does not measure it")
        if other := _other_counts(one, name):
            return _finding(one, name, metric, "changed", other)
        before, now = (_mean(side, name) for side in (one.base, one.new))
        allowance = self._allowance(one, name)
        seen = allowance.seen if allowance and possible(name, metric, before, allowance.seen) else None
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
        elif not self._limits.weak and self._limits.tolerance is None and self._limits.blind(seen, metric):
            verdict, reason = "not judged", f"{_TOO_WEAK} ({reason})"
        allowed = allowance.allowed if allowance else None
        return _finding(one, name, metric, verdict, reason, before, now, allowed, seen)

    def _allowance(self, one: Pair, name: str) -> Allowance | None:
        """The fall that chance alone hardly exceeds, and where it comes from."""
        if (given := self._limits.tolerance) is not None:
            return Allowance(given, given, "as given")
        if found := self._seeds.allowance(one.base[0], name, len(one.base)):
            return found
        scores = paired_scores(self._baseline, self._candidate, one, name)
        if scores.queries and scores.queries > 1:
            return of_queries(scores.differences.mean(axis=0), self._tests)
        metric = one.base[0].metrics[name]
        return of_interval(metric.value, metric.interval, self._tests) if metric.interval else None


def possible(name: str, metric: Metric, value: float, fall: float) -> bool:
    """Whether a metric with this value can get so much worse at all."""
    ends = bounds(name, metric.unit)
    if ends is None:
        return True
    return fall <= (value - ends[0] if metric.higher_is_better else ends[1] - value)


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


def _accuracies(one: Pair, wanted: Iterable[str]) -> list[str]:
    """Full names of the metrics to judge that a configuration has."""
    found = (one.base[0].metric(short) for short in wanted)
    return list(dict.fromkeys(full for full, metric in filter(None, found) if metric.noise == "seeded"))


# -- Costs ---------------------------------------------------------------------------------------


def _exact(one: Pair) -> Iterator[Finding]:
    for name, metric in one.base[0].metrics.items():
        if metric.noise != "exact" or name.partition("@")[0] in OTHERS:
            continue
        if any(name not in record.metrics for record in one.new):
            yield _finding(one, name, metric, "missing", "the candidate does not measure it")
            continue
        records = [both for both in zip(one.base, one.new, strict=True) if name in both[0].metrics]
        pairs = [(old.metrics[name].value, new.metrics[name].value) for old, new in records]
        before, now = next((both for both in pairs if both[0] != both[1]), pairs[0])
        verdict: Verdict = "equal" if before == now else "changed"
        yield _finding(one, name, metric, verdict, "must be equal", before, now)


def _timed(one: Pair, limits: Limits) -> Iterator[Finding]:
    for name, metric in one.base[0].metrics.items():
        if metric.noise == "timed" and metric.samples:
            yield _timing(one, name, metric, limits)


def _timing(one: Pair, name: str, metric: Metric, limits: Limits) -> Finding:
    machines = [
        {str(record.environment.get("fingerprint")) for record in side} for side in (one.base, one.new)
    ]
    if machines[0] != machines[1] or len(machines[0]) != 1:
        return _finding(one, name, metric, "not judged", f"other hardware: {_hardware(one)}")
    if any(not record.metrics.get(name, _NOTHING).samples for record in one.new):
        return _finding(one, name, metric, "missing", "the candidate does not measure it")
    before, now = (np.concatenate(_samples(side, name)) for side in (one.base, one.new))
    medians = float(np.median(before)), float(np.median(now))
    if any(
        record.metrics[name].detail.get("noisy") for record in (*one.base, *one.new) if name in record.metrics
    ):
        return _finding(
            one, name, metric, "not judged", "unsteady timing; measure again on a quiet machine", *medians
        )
    if len(before) * len(now) == 0 or 2 / math.comb(len(before) + len(now), len(now)) >= TIMING_LEVEL:
        reason = f"too few samples to tell: {len(before)} against {len(now)}"
        return _finding(one, name, metric, "not judged", reason, *medians)
    ratio = medians[1] / medians[0] if not metric.higher_is_better else medians[0] / medians[1]
    from scipy.stats import mannwhitneyu  # half a second, for those who time

    differs = float(mannwhitneyu(before, now).pvalue) < TIMING_LEVEL
    verdict: Verdict = "within noise"
    if differs and ratio > limits.slower:
        verdict = "regression"
    elif differs and ratio < 1 / limits.slower:
        verdict = "improved"
    reason = f"median {ratio:.2f} times that of the baseline"
    return _finding(one, name, metric, verdict, reason, *medians, limits.slower)


_NOTHING = Metric(value=0.0, unit="", higher_is_better=False, noise="timed")


def _samples(records: list[Record], name: str) -> list[Any]:
    """Samples of a metric; cells that share one measurement have the same ones."""
    lists = {tuple(record.metrics[name].samples or ()) for record in records if name in record.metrics}
    return [np.array(samples) for samples in sorted(lists)]


def _hardware(one: Pair) -> str:
    facts = defaultdict(list)
    for record in (one.base[0], one.new[0]):
        for fact in ("cpu", "gpu", "device", "threads"):
            facts[fact].append(wording.one_line(record.environment.get(fact)))
    return ", ".join(f"{fact} {a} against {b}" for fact, (a, b) in facts.items() if a != b) or "unknown"


# -- What is not there ---------------------------------------------------------------------------


def _gone(pairing: Pairing, names: Names, *, excused: bool) -> Iterator[Finding]:
    """Configurations that had numbers and have none now; spare seeds of the baseline are no loss.

    Args:
        excused: whether those that nobody tried to run are no fault.
    """
    there = {names(one.base[0]) for one in pairing.pairs}
    there |= {gone.name for gone in pairing.gone if gone.status != "absent"}
    for gone in pairing.gone:
        absent = gone.status == "absent"
        if absent and gone.name in there:
            continue
        seeds = ", ".join(map(str, gone.seeds))
        reason = f"{'absent: ' if absent else ''}{gone.reason} (seed {seeds})"
        verdict: Verdict = "absent" if absent and excused else "missing"
        yield Finding(gone.name.dataset, str(gone.name), "", "", verdict, reason)


def _finding(
    one: Pair, name: str, metric: Metric, verdict: Verdict, reason: str, baseline: float | None = None,
    now: float | None = None, allowed: float | None = None, seen: float | None = None,
) -> Finding:  # fmt: skip
    return Finding(
        dataset=one.name.dataset,
        configuration=str(one.name),
        metric=wording.one_line(name),
        kind=metric.noise,
        verdict=verdict,
        reason=reason,
        baseline=baseline,
        now=now,
        allowed=allowed,
        seen=seen,
        unit=wording.one_line(metric.unit),
        changed_params=one.changed_params,
    )


def _mean(records: list[Record], name: str) -> float:
    return float(np.mean([record.metrics[name].value for record in records]))


def _name(one: Pair) -> str:
    return f"{one.name.dataset}: {one.name}"


def _path(results: Results) -> str:
    return wording.one_line(results.folder)
