"""What the gate says: limits, a finding for every number, and the verdict over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.comparison.pairing import Pair
from bench.results import wording
from bench.results.records import Measured

Verdict = Literal[
    "equal", "within noise", "improved", "regression", "changed", "missing", "not judged", "absent"
]

#: What was judged, whichever way.
JUDGED: tuple[Verdict, ...] = ("equal", "within noise", "improved", "regression", "changed")
#: What turns the gate red.
BAD: tuple[Verdict, ...] = ("regression", "changed", "missing")
#: A fall that only a baseline of this many times the wanted sensitivity would show is not looked for.
BLIND = 3.0
#: Why a fall is allowed whose noise nobody knows.
GIVEN = "as given"


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

    def dim(self, seen: float | None, metric: Measured) -> bool:
        """Whether a baseline that shows falls from ``seen`` on shows less than it should; None is none."""
        return seen is None or seen > self.sees * (abs(metric.value) if metric.unit else 1.0)

    def accepts(self, seen: float | None, metric: Measured) -> bool:
        """Whether anything can be judged by a baseline that shows falls from ``seen`` on."""
        if self.weak or self.tolerance is not None:
            return True
        return not self.dim(None if seen is None else seen / BLIND, metric)


@dataclass(frozen=True)
class Finding:
    """One metric of one configuration, judged.

    Attributes:
        metric: full name; empty where the whole configuration is meant.
        kind: noise class of the metric; empty for whole configurations.
        baseline, now: means over the seeds that both sides have, in ``unit``.
        allowed: fall that is tolerated, or ratio for timings; None where there is none.
        any_fall: whether that is more than the metric could fall, so that every fall is tolerated.
        seen: smallest true fall that would have been seen with 80 % power; None where none would, or where
            that is not known.
        seeds: that both sides have.
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
    any_fall: bool = False
    seen: float | None = None
    unit: str = ""
    seeds: int = 0
    changed_params: bool = False

    @property
    def open(self) -> bool:
        """Whether it had to be judged and could not be: an accuracy, or a whole configuration."""
        return self.verdict == "not judged" and (self.kind == "seeded" or not self.metric)


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
        return [finding for finding in self.findings if finding.open]

    @property
    def exit_code(self) -> int:
        """0 fine, 3 something is worse, 4 nothing could be judged, or not everything that had to be."""
        return 3 if self.bad else 4 if self.open or not self.of(*JUDGED) else 0


def finding(
    one: Pair, name: str, metric: Measured, verdict: Verdict, reason: str, baseline: float | None = None,
    now: float | None = None, allowed: float | None = None, seen: float | None = None,
    any_fall: bool = False,
) -> Finding:  # fmt: skip
    """One metric of a pair, judged; see ``Finding``."""
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
        any_fall=any_fall,
        seen=seen,
        unit=wording.one_line(metric.unit),
        seeds=len(one.base),
        changed_params=one.changed_params,
    )
