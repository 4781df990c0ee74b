"""Is one configuration better than another? Paired differences, where both seeds and queries are samples.

A difference is D (seeds, queries): the score of the new configuration less that of the baseline, of the same
trained seed on the same query. Its mean strays for two reasons: other seeds would have trained other
networks, and other queries would have been easier or harder. Both count, as readers and cases do in studies
with many readers: D = mean + seed + query + residual, all random and crossed.

Sources: Dorfman, Berbaum, Metz, Receiver operating characteristic rating analysis, Investigative Radiology
1992, and Hillis, A comparison of denominator degrees of freedom methods, Statistics in Medicine 2007, for the
variance of the mean; Fisher, The fiducial argument in statistical inference, Annals of Eugenics 1935, for
errors of which a part has few degrees of freedom; Efron, Bootstrap methods, Annals of Statistics 1979; Holm,
A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv, ndtr, stdtr, stdtrit

Floats = NDArray[np.float64]

RESAMPLES = 2000
#: Resamples that are drawn at a time, to keep memory small: their weights are (this, queries).
_CHUNK = 50
#: Points at which tails are integrated: 1e-5 of the p value is the most they are wrong above p = 1e-5.
_NODES = 96


@dataclass(frozen=True)
class PairedDifference:
    """The mean of D and what can be said about it.

    Attributes:
        interval: of the mean, by bootstrap; None where nothing varies that could be sampled.
        p: two-sided, of the hypothesis that the true mean is 0; None where nothing can be tested.
    """

    mean: float
    interval: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True)
class _Error:
    """How the mean of D is distributed about the true one: ``few`` * t(``degrees``) + ``many`` * normal."""

    few: float
    degrees: int
    many: float

    def tail(self, distance: float) -> float:
        """Probability to be off by more than ``distance`` to either side; the errors must not both be 0."""
        if not self.many:
            return float(2 * stdtr(self.degrees, -distance / self.few))
        scales, weights = _scales(self.degrees)
        return float(2 * weights @ ndtr(-distance / np.sqrt(self.few**2 / scales + self.many**2)))

    def quantile(self, upper: float) -> float:
        """What is exceeded with probability ``upper``, at most one half."""
        if not self.many:
            return float(-self.few * stdtrit(self.degrees, upper))
        low, high = 0.0, -(self.few + self.many) * float(stdtrit(self.degrees, upper / 2))
        # Twelve digits are reached in 40 halvings.
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.tail(middle) > 2 * upper else (low, middle)
        return high


def paired_differences(many: Sequence[ArrayLike], level: float = 0.95) -> list[PairedDifference]:
    """Mean, interval and p value of the differences of every configuration.

    With one seed the test is the paired t-test over queries, and all it says is about these trained networks.
    With one column it is the paired t-test over seeds, for scores that are not known query by query.

    The bootstrap draws the queries anew in every resample, the same for all configurations that have as many.
    Seeds are too few for that, so their part of the error is drawn from Student's t.

    Args:
        many: of each configuration D, float64 (seeds, queries), finite.
        level: of the interval.

    Returns:
        One result for each of ``many``. Where D is 0 everywhere the interval is that and p is 1; where it is
        the same everywhere and not 0, nothing is known of its errors, as of a single number: neither interval
        nor p.
    """
    differences = [np.asarray(one, np.float64) for one in many]
    means = [float(one.mean()) for one in differences]
    intervals = _intervals(differences, level)
    found = []
    for one, mean, interval in zip(differences, means, intervals, strict=True):
        error = _error(one)
        if error is None:
            found.append(PairedDifference(mean, None, None))
        elif not error.few and not error.many:
            found.append(
                PairedDifference(mean, (0.0, 0.0), 1.0) if not mean else PairedDifference(mean, None, None)
            )
        else:
            found.append(PairedDifference(mean, interval, min(1.0, error.tail(abs(mean)))))
    return found


def detectable_difference(scores: ArrayLike, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest true mean that as many seeds and queries, which stray as these do, would show.

    Args:
        scores: D, float64 (seeds, queries).
        alpha: level of the two-sided test.
        power: probability that the test finds it.

    Returns:
        The distance from 0; None where D does not vary, so that nothing is known about its errors.
    """
    error = _error(np.asarray(scores, np.float64))
    if error is None or not (error.few or error.many):
        return None
    return error.quantile(alpha / 2) + error.quantile(1 - power)


def holm(p_values: ArrayLike) -> Floats:
    """P values, (n,), adjusted so that the chance of any false finding among all stays below the level."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _error(differences: Floats) -> _Error | None:
    """Errors of the mean of D by the mean squares of seeds, queries and residual; None if not to be had.

    The variance of the mean is (MS_seeds + max(MS_queries - MS_residual, 0)) / (seeds * queries). The first
    term has as many degrees of freedom as seeds less one, and is kept apart from the second, that of the
    queries alone, which is well known. One t with degrees of freedom for the sum (Hillis) sees too many
    differences with two or three seeds: true hypotheses were rejected at 0.05 in up to 12 and 7 of 100
    simulated studies.
    """
    seeds, queries = differences.shape
    size = differences.size
    # The spread of equal numbers is a rounding error, which must not count as one.
    if np.ptp(differences) <= 1e-12 * np.abs(differences).max():
        return None if size == 1 else _Error(0.0, 1, 0.0)
    by_seed, by_query = differences.mean(axis=1), differences.mean(axis=0)
    if seeds == 1 or queries == 1:
        means = by_query if seeds == 1 else by_seed
        return _Error(float(means.std(ddof=1)) / math.sqrt(size), size - 1, 0.0)
    of_seeds = queries * float(by_seed.var(ddof=1))
    of_queries = seeds * float(by_query.var(ddof=1))
    rest = differences - by_seed[:, None] - by_query + differences.mean()
    residual = float((rest**2).sum()) / ((seeds - 1) * (queries - 1))
    queries_alone = max(of_queries - residual, 0.0)
    if not of_seeds and not queries_alone:
        return None
    return _Error(math.sqrt(of_seeds / size), seeds - 1, math.sqrt(queries_alone / size))


def _intervals(differences: list[Floats], level: float) -> Iterator[tuple[float, float]]:
    """Percentile intervals of the means: queries by bootstrap, with draws of the seeds' error."""
    strays: dict[int, Floats] = {}
    same_queries: dict[int, list[int]] = defaultdict(list)
    for i, one in enumerate(differences):
        same_queries[one.shape[1]].append(i)
    for indices in same_queries.values():
        means = np.stack([differences[i].mean(axis=0) for i in indices])
        strays |= zip(indices, resampled(means) - means.mean(axis=1, keepdims=True), strict=True)
    tails = 50 * (1 - level), 50 * (1 + level)
    for i, one in enumerate(differences):
        draws = _with_seeds(one, strays[i])
        low, high = np.percentile(draws, tails)
        yield float(low), float(high)


def _with_seeds(differences: Floats, strays: Floats) -> Floats:
    """Draws of the mean of D, (RESAMPLES,), from the strays of its mean in resamples of the queries."""
    mean, (seeds, queries), error = differences.mean(), differences.shape, _error(differences)
    if error is None or queries == 1 == seeds:
        return np.full(RESAMPLES, mean)
    # Evenly spread quantiles in random order instead of random draws, whose extremes would be left to chance.
    levels = (np.random.default_rng(1).permutation(RESAMPLES) + 0.5) / RESAMPLES
    student = error.few * stdtrit(error.degrees, levels)
    if queries == 1:
        return np.asarray(mean + student)
    # A bootstrap of n numbers has (n - 1) / n of their variance.
    strays = strays * math.sqrt(queries / (queries - 1))
    if seeds == 1:
        return np.asarray(mean + strays)
    # Means over seeds hold a share of the residual, which the error of the seeds holds already.
    total = float(differences.mean(axis=0).std(ddof=1)) / math.sqrt(queries)
    return np.asarray(mean + student + (strays * (error.many / total) if total else 0.0))


def resampled(values: Floats) -> Floats:
    """Means of ``values``, (n, q), over resamples of the queries: (n, RESAMPLES); the same at every call."""
    generator = np.random.default_rng(0)
    queries = values.shape[1]
    parts = []
    for start in range(0, RESAMPLES, _CHUNK):
        rows = min(_CHUNK, RESAMPLES - start)
        drawn = generator.integers(queries, size=(rows, queries)) + queries * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, queries)
        parts.append(values @ weights.T.astype(np.float64) / queries)
    return np.hstack(parts)


@functools.cache
def _scales(degrees: int) -> tuple[Floats, Floats]:
    """Nodes and weights for the mean over chi-squared(``degrees``) / ``degrees``, dense where it is small.

    Student's t is a normal of the variance 1 / that, so that sums of t and normal are averages of normals.
    """
    x, weights = np.polynomial.legendre.leggauss(_NODES)
    x = (x + 1) / 2
    levels, weights = x**4, 2 * weights * x**3
    return 2 * gammaincinv(degrees / 2, levels) / degrees, weights
