"""How far an accuracy strays when nothing has changed, and which fall would therefore have shown.

A gate that allows more than anything can fall is green whatever happens, so every allowance comes with the
smallest fall that it would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtr, fdtrc, stdtrit

from bench.records import Record, Results
from bench.report.rows import Row, summarise
from bench.store import canonical_json

#: Chance that a run of unchanged code on other hardware, where rounding differs, fails for any accuracy.
FALSE_ALARM = 0.001
#: Probability with which the smallest fall that is named would have been seen.
POWER = 0.8
#: Two configurations have the same spread over seeds unless an F test at this level tells them apart.
SAME_SPREAD = 0.01


@dataclass(frozen=True)
class Allowance:
    """What chance explains of a fall.

    Attributes:
        allowed: fall that chance alone exceeds once in 1 / ``FALSE_ALARM`` runs, over all that is judged.
        seen: a true fall of this size is seen with the probability ``POWER``.
        source: where both come from, for a reader.
    """

    allowed: float
    seen: float
    source: str


class SeedNoise:
    """Spread over seeds in a baseline: pooled over the configurations of a data set and protocol.

    Few seeds know their spread badly, so configurations lend each other theirs: all that an F test does not
    tell apart, and never less than a configuration's own. Since the data choose the pool, half of the level
    is given away. Simulated, false alarms stay below ``FALSE_ALARM`` where spreads differ up to threefold,
    and below 0.005 where they differ fivefold and there are three seeds.

    Args:
        baseline: what was measured when all was well.
        tests: accuracies that are judged together.
    """

    def __init__(self, baseline: Results, tests: int) -> None:
        self._level = FALSE_ALARM / max(1, tests)
        self._rows = [row for group in summarise(baseline).groups for row in group.rows]

    def allowance(self, record: Record, name: str, seeds: int) -> Allowance | None:
        """The allowance for the mean over ``seeds`` seeds; None where nothing tells the spread.

        Args:
            record: any of the configuration in the baseline.
            name: full name of an accuracy.
            seeds: that both sides have.
        """
        own, others = self._variances(record, name)
        alike = [other for other in others if own is None or _alike(own, other)]
        # Seeds that all have the same score say nothing of how far others would stray.
        pool = alike if own is None or (alike and not own.value) else [own, *alike]
        degrees = sum(one.degrees for one in pool)
        if not degrees:
            return None
        pooled = sum(one.value * one.degrees for one in pool) / degrees
        spread = math.sqrt(max(pooled, own.value if own else 0.0))
        source = f"seed noise {spread:.4f}, {degrees} degrees of freedom"
        level = self._level / 2 if others else self._level
        return _allowance(spread * math.sqrt(2 / seeds), degrees, level, source)

    def _variances(self, record: Record, name: str) -> tuple[_Variance | None, list[_Variance]]:
        """Of the configuration itself, and of the others that it may be compared with."""
        own, others, place = None, [], _place(record)
        for row in self._rows:
            found = _variance(row, name)
            if found is None or _place(row.records[0]) != place:
                continue
            if any(one.key == record.key for one in row.records):
                own = found
            else:
                others.append(found)
        return own, others


def of_queries(differences: NDArray[np.float64], tests: int) -> Allowance:
    """The allowance where queries are all that varies: networks of one seed.

    Args:
        differences: of scores by query, float64 (q,), q at least 2, finite.
        tests: accuracies that are judged together.
    """
    queries = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(queries)
    source = f"noise of {queries} queries; one seed, so that of seeds is not in it"
    return _allowance(error, queries - 1, FALSE_ALARM / max(1, tests), source)


def of_interval(value: float, interval: tuple[float, float], tests: int) -> Allowance:
    """The allowance where nothing is known but the 95 % interval over queries of a baseline of one seed.

    The queries are the same on both sides, so that the difference of two runs strays less than this says.
    """
    reach = max(value - interval[0], interval[1] - value)
    error = reach / -float(stdtrit(np.inf, 0.025))
    source = "interval over queries; one seed, so that of seeds is not in it"
    return _allowance(error, np.inf, FALSE_ALARM / max(1, tests), source)


def _allowance(error: float, degrees: float, level: float, source: str) -> Allowance:
    """Quantiles of a difference with this standard error, itself estimated with these degrees of freedom."""
    allowed, beyond = (-float(stdtrit(degrees, tail)) * error for tail in (level, 1 - POWER))
    return Allowance(allowed, allowed + beyond, source)


@dataclass(frozen=True)
class _Variance:
    """An estimate from as many numbers as it has degrees of freedom, and one."""

    value: float
    degrees: int


def _variance(row: Row, name: str) -> _Variance | None:
    values = [record.metrics[name].value for record in row.records if name in record.metrics]
    return _Variance(float(np.var(values, ddof=1)), len(values) - 1) if len(values) > 1 else None


def _alike(own: _Variance, other: _Variance) -> bool:
    """Whether two variances may be of the same size; what never varies lends nobody its spread."""
    if not own.value or not other.value:
        return other.value > 0
    ratio, degrees = other.value / own.value, (other.degrees, own.degrees)
    return bool(2 * min(fdtr(*degrees, ratio), fdtrc(*degrees, ratio)) > SAME_SPREAD)


def _place(record: Record) -> str:
    return canonical_json([record.cell.dataset, record.cell.protocol])
