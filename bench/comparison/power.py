"""How far an accuracy strays when nothing has changed, and which fall would therefore have shown.

A gate that allows more than anything can fall is green whatever happens, so every allowance comes with the
smallest fall that it would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.results.records import Record

#: Chance that a run of unchanged code on other hardware, where rounding differs, fails for any accuracy.
FALSE_ALARM = 0.001
#: Probability with which the smallest fall that is named would have been seen.
POWER = 0.8


@dataclass(frozen=True)
class Allowance:
    """What chance explains of a fall.

    Attributes:
        allowed: fall that chance alone exceeds once in 1 / ``FALSE_ALARM`` runs, over all that is judged.
        seen: a true fall of this size is seen with the probability ``POWER``; None where that is not known.
        source: where both come from, for a reader.
    """

    allowed: float
    seen: float | None
    source: str


@dataclass(frozen=True)
class Noise:
    """How far the difference of two runs strays: its standard error, and how well that is known."""

    error: float
    degrees: float
    source: str

    def allowance(self, tests: int, given: float | None = None) -> Allowance:
        """What it explains where ``tests`` accuracies are judged together, or what is ``given`` instead."""
        beyond = -float(stdtrit(self.degrees, 1 - POWER)) * self.error
        if given is not None:
            return Allowance(given, given + beyond, f"as given; {self.source}")
        allowed = -float(stdtrit(self.degrees, FALSE_ALARM / max(1, tests))) * self.error
        return Allowance(allowed, allowed + beyond, self.source)


def of_seeds(baseline: list[Record], name: str, seeds: int) -> Noise | None:
    """The noise of means over ``seeds`` seeds, by the spread of one configuration's seeds.

    Configurations do not lend each other theirs: few seeds cannot tell which of them stray alike, and a gate
    that pools what does not belong together turns red by chance many times as often as it says.

    Args:
        baseline: all records of the configuration that have the metric, one for each seed.
        name: full name of the metric.

    Returns:
        None with one seed, and where all seeds agree: what never varied says nothing of chance.
    """
    values = np.array([record.metrics[name].value for record in baseline])
    if len(values) < 2 or np.ptp(values) <= 1e-12 * np.abs(values).max():
        return None
    spread, degrees = float(values.std(ddof=1)), len(values) - 1
    source = f"noise of seeds {spread:.4f} ({len(values)} seeds)"
    return Noise(spread * math.sqrt(2 / seeds), degrees, source)


def of_queries(differences: NDArray[np.float64]) -> Noise | None:
    """The noise where queries are all that is known to vary: networks of one seed.

    Args:
        differences: of scores by query, float64 (q,), finite.

    Returns:
        None with one query, and where nothing differs.
    """
    queries = len(differences)
    if queries < 2 or np.abs(differences).max() <= 1e-12:
        return None
    error = float(differences.std(ddof=1)) / math.sqrt(queries)
    return Noise(error, queries - 1, f"noise of {queries} queries alone")


def of_interval(value: float, interval: tuple[float, float]) -> Noise | None:
    """The noise by the 95 % interval over queries of the baseline, as if the runs had different queries.

    They have the same, so that their difference strays less. None for an interval of no length.
    """
    reach = max(value - interval[0], interval[1] - value)
    if reach <= 0:
        return None
    # Half of a 95 % interval is 1.96 standard errors; of a difference they are larger by the root of two.
    error = math.sqrt(2) * reach / -float(stdtrit(np.inf, 0.025))
    return Noise(error, np.inf, "interval over queries alone")
