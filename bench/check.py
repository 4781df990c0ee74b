"""The gate: has anything got worse than a baseline, beyond what chance explains?

What is exact must be equal. Accuracy must not fall by more than the noise that was measured in the baseline:
the spread of its seeds, or of its queries where it has one seed. Timings are judged on the hardware of the
baseline alone, by a rank test first and by a ratio then. What cannot be judged is said to be skipped.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit

from bench.pairing import Pair, Pairing, pair
from bench.records import Metric, Record, Results
from bench.report import wording
from bench.report.names import Names
from bench.report.rows import summarise
from bench.store import canonical_json

Verdict = Literal["ok", "improved", "regression", "changed", "missing", "skipped"]

#: Chance that a run of unchanged code on other hardware, where rounding differs, fails for any accuracy.
FALSE_ALARM = 0.001
#: Level of the rank test of timings; samples of one run are not independent, so the ratio decides.
TIMING_LEVEL = 0.001
#: Exact numbers that tell what other programs print: they change with those programs.
OTHERS = ("macs_fvcore", "macs_thop", "macs_torch", "params_thop")


@dataclass(frozen=True)
class Limits:
    """What counts as worse.

    Attributes:
        metrics: accuracies to judge, in full or short.
        tolerance: fall of an accuracy that is allowed; None = from the noise of the baseline.
        slower: ratio of median times that is allowed.
        allow_missing: whether configurations of the baseline may be absent; failed ones never may.
    """

    metrics: tuple[str, ...] = ("map",)
    tolerance: float | None = None
    slower: float = 1.25
    allow_missing: bool = False


@dataclass(frozen=True)
class Finding:
    """One metric of one configuration, judged.

    Attributes:
        metric: full name; empty where the whole configuration is meant.
        kind: noise class of the metric.
        baseline, now: means over the seeds that both sides have, in ``unit``.
        allowed: fall that is tolerated, or ratio for timings; None where there is none.
        reason: where the tolerance comes from, what changed, or why it was not judged.
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
    unit: str = ""


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
    def exit_code(self) -> int:
        """0 fine, 3 something is worse, 4 nothing could be judged."""
        judged = self.of("ok", "improved", "regression", "changed")
        failed = [one for one in self.of("missing") if judged or not one.reason.startswith("absent")]
        return 3 if failed or self.of("regression", "changed") else 0 if judged else 4


def check(baseline: Results, candidate: Results, limits: Limits | None = None) -> Check:
    """Judge every configuration of ``baseline`` by what ``candidate`` has for it."""
    limits = limits or Limits()
    pairing = pair(baseline, candidate)
    accuracies = [
        (one, name) for one in pairing.pairs for short in limits.metrics if (name := _seeded(one, short))
    ]
    noise = _Noise(baseline, candidate, tests=max(1, len(accuracies)))
    findings: list[Finding] = []
    for one in pairing.pairs:
        findings += [_accuracy(one, name, noise, limits) for owner, name in accuracies if owner is one]
        findings += _exact(one)
        findings += _timed(one, limits)
    findings += _absent(pairing, Names(baseline.records), limits)
    findings += [
        Finding("", str(name), "", "", "skipped", wording.one_line(reason))
        for name, reason in pairing.refused
    ]
    notes = [f"{_name(one)}: {note}" for one in pairing.pairs for note in one.notes if "only in" not in note]
    notes += [f"new, not judged: {name}" for name in pairing.added]
    return Check(wording.one_line(baseline.name), wording.one_line(candidate.name), findings, notes)


# -- Accuracy ------------------------------------------------------------------------------------


class _Noise:
    """How far an accuracy strays when nothing has changed, by what the baseline shows."""

    def __init__(self, baseline: Results, candidate: Results, tests: int) -> None:
        self._baseline, self._candidate = baseline, candidate
        self._level = FALSE_ALARM / tests
        self._rows = [row for group in summarise(baseline).groups for row in group.rows]

    def allowance(self, one: Pair, name: str) -> tuple[float | None, str]:
        """The fall that chance alone hardly exceeds, and where it comes from."""
        spread, degrees = self._seeds(one, name)
        if degrees:
            allowed = -stdtrit(degrees, self._level) * spread * math.sqrt(2 / len(one.base))
            return float(allowed), f"seed noise {spread:.4f}, {degrees} degrees of freedom"
        differences = self._differences(one, name)
        if differences is not None:
            queries = len(differences)
            error = differences.std(ddof=1) / math.sqrt(queries)
            return float(-stdtrit(queries - 1, self._level) * error), f"noise of {queries} queries; one seed"
        interval = one.base[0].metrics[name].interval
        if interval is not None:
            return one.base[0].metrics[name].value - interval[0], "interval over queries; one seed"
        return None, "no noise was measured; give --tolerance, or a baseline with several seeds"

    def _seeds(self, one: Pair, name: str) -> tuple[float, int]:
        """Standard deviation over seeds, pooled over the configurations of a data set and protocol."""
        place = _place(one.base[0])
        squares, degrees = 0.0, 0
        for row in self._rows:
            values = [record.metrics[name].value for record in row.records if name in record.metrics]
            if len(values) > 1 and _place(row.records[0]) == place:
                squares += float(np.var(values, ddof=1)) * (len(values) - 1)
                degrees += len(values) - 1
        return (math.sqrt(squares / degrees) if degrees else 0.0), degrees

    def _differences(self, one: Pair, name: str) -> Any:
        """Mean over seeds of the paired differences by query, (q,); None where scores were not kept."""
        means = []
        for results, records in ((self._baseline, one.base), (self._candidate, one.new)):
            scores = [kept[name] for record in records if name in (kept := results.per_query(record))]
            if len(scores) < len(records):
                return None
            means.append(np.mean(scores, axis=0))
        before, after = means
        return after - before if len(before) == len(after) > 1 else None


def _place(record: Record) -> str:
    return canonical_json([record.cell.dataset, record.cell.protocol])


def _seeded(one: Pair, short: str) -> str | None:
    found = one.base[0].metric(short)
    return found[0] if found else None


def _accuracy(one: Pair, name: str, noise: _Noise, limits: Limits) -> Finding:
    metric = one.base[0].metrics[name]
    if any(name not in record.metrics for record in (*one.base, *one.new)):
        return _finding(one, name, metric, "missing", "the candidate does not measure it")
    before, now = (_mean(side, name) for side in (one.base, one.new))
    if limits.tolerance is not None:
        allowed, source = limits.tolerance, "as given"
    else:
        noisy, source = noise.allowance(one, name)
        if noisy is None:
            return _finding(one, name, metric, "skipped", source, before, now)
        allowed = noisy
    fall = before - now if metric.higher_is_better else now - before
    # Sums in another order must not decide.
    verdict: Verdict = "ok"
    if abs(fall) > allowed + 1e-9:
        verdict = "regression" if fall > 0 else "improved"
    return _finding(one, name, metric, verdict, source, before, now, allowed)


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
        verdict: Verdict = "ok" if before == now else "changed"
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
        return _finding(one, name, metric, "skipped", f"other hardware: {_hardware(one)}")
    if any(not record.metrics.get(name, _NOTHING).samples for record in one.new):
        return _finding(one, name, metric, "missing", "the candidate does not measure it")
    before, now = (np.concatenate(_samples(side, name)) for side in (one.base, one.new))
    medians = float(np.median(before)), float(np.median(now))
    if any(
        record.metrics[name].detail.get("noisy") for record in (*one.base, *one.new) if name in record.metrics
    ):
        return _finding(
            one, name, metric, "skipped", "unsteady timing; measure again on a quiet machine", *medians
        )
    ratio = medians[1] / medians[0] if not metric.higher_is_better else medians[0] / medians[1]
    from scipy.stats import mannwhitneyu  # half a second, for those who time

    differs = float(mannwhitneyu(before, now).pvalue) < TIMING_LEVEL
    verdict: Verdict = "ok"
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


def _absent(pairing: Pairing, names: Names, limits: Limits) -> Iterator[Finding]:
    """Configurations that had numbers and have none now; spare seeds of the baseline are no loss."""
    there = {names(one.base[0]) for one in pairing.pairs}
    there |= {gone.name for gone in pairing.gone if gone.status != "absent"}
    for gone in pairing.gone:
        if gone.status == "absent" and gone.name in there:
            continue
        absent = gone.status == "absent"
        seeds = ", ".join(map(str, gone.seeds))
        reason = f"{'absent: ' if absent else ''}{gone.reason} (seed {seeds})"
        verdict: Verdict = "skipped" if absent and limits.allow_missing else "missing"
        yield Finding(gone.name.dataset, str(gone.name), "", "", verdict, reason)


def _finding(
    one: Pair, name: str, metric: Metric, verdict: Verdict, reason: str, baseline: float | None = None,
    now: float | None = None, allowed: float | None = None,
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
        unit=wording.one_line(metric.unit),
    )


def _mean(records: list[Record], name: str) -> float:
    return float(np.mean([record.metrics[name].value for record in records]))


def _name(one: Pair) -> str:
    return f"{one.name.dataset}: {one.name}"
