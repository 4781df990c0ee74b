"""Average precision of a ranking with ties, in closed form from how many items lie at each distance.

Codes of b bits know b + 1 distances only, so most of a ranking is ties, and the order that a sort
happens to give them decides the score. ``expected`` averages over all orders of the ties; ``best`` and
``worst`` have the relevant items first and last, which bounds what any order can give (not so for the
normaliser ``hits`` below a cut: a late hit enlarges the denominator). For one query and one distance
the formulas below write

* ``n``, ``m``: items at this distance, and relevant ones among them;
* ``a``, ``c``: items and relevant items at smaller distances;
* ``t``: how many of the ``n`` are among the first ``k`` of the ranking; 0 < t < n where ``k`` cuts.

Source: McSherry and Najork, Computing information retrieval performance measures efficiently in the
presence of tied scores, ECIR 2008; the cut tie group and the normaliser ``hits`` are added here.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError

Ties = Literal["expected", "index", "best", "worst"]
Normalizer = Literal["relevant", "min", "hits"]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Cells of the histograms per step, so that intermediate results stay in the cache.
_PIECE = 1 << 12


def average_precision_from_histograms(
    counts: Ints,
    relevant: Ints,
    *,
    k: int | None = None,
    ties: Ties = "expected",
    normalizer: Normalizer = "relevant",
) -> Floats:
    """AP@k of each query, as ``bench.hamming.average_precision`` defines it.

    Args:
        counts: int64 (q, distances), number of database items at each distance, nearest first.
        relevant: int64 (q, distances), number of relevant ones among them.
        k: rank cut-off, None for all; beyond the number of items it means all.
        ties: ``expected``, ``best`` or ``worst``; ``index`` needs the items and not only their number.
        normalizer: ``relevant``, ``min`` or ``hits``.

    Returns:
        float64 (q,); 0 for a query with nothing to find.

    Raises:
        BenchError: ``k`` below 1, unknown rule, ``ties="index"``, or histograms that do not fit together.
    """
    _check_histogram_rule(k, ties, normalizer)
    a, c, t = _ranks(counts, relevant, k)
    n, m = counts, relevant
    gain, hits = np.zeros(n.shape), np.zeros(n.shape, np.int64)
    flat = [np.ravel(x) for x in (n, m, t, a, c)]
    found_at = np.flatnonzero(flat[1])  # most distances hold nothing relevant, and none holds a gain then
    for start in range(0, len(found_at), _PIECE):
        cells = found_at[start : start + _PIECE]
        n_, m_, t_, a_, c_ = (x.take(cells) for x in flat)
        if ties == "expected":
            gain.put(cells, _expected_gain(n_, m_, t_, a_, c_))
            hits.put(cells, np.where(t_ == n_, m_, 0))
        else:
            irrelevant_first = np.zeros_like(n_) if ties == "best" else n_ - m_
            run = np.clip(t_ - irrelevant_first, 0, m_)
            gain.put(cells, _run_gain(run, a_ + irrelevant_first, c_))
            hits.put(cells, run)
    found, total = hits.sum(axis=1), m.sum(axis=1)
    scores = gain.sum(axis=1) / denominator(total, found, k, normalizer)
    if ties == "expected" and normalizer == "hits":
        # How many hits the cut group adds is random here, and with it the denominator.
        for query, d in np.argwhere((t > 0) & (t < n)):
            group = [int(x[query, d]) for x in (n, m, t, a, c)]
            scores[query] = _cut_expectation(*group, gain=float(gain[query, :d].sum()))
    return np.asarray(scores, dtype=np.float64)


def hits_within(counts: Ints, relevant: Ints, k: int | None = None, *, ties: Ties = "expected") -> Floats:
    """Relevant items among the first ``k``: expected over all orders of the ties, at best, or at worst.

    Divided by k it is the precision at k, divided by the number of relevant items the recall at k.

    Args:
        counts, relevant: int64 (q, distances), as in ``average_precision_from_histograms``.
        k: rank cut-off, None for all.
        ties: ``expected``, ``best`` or ``worst``.

    Returns:
        float64 (q,).

    Raises:
        BenchError: as ``average_precision_from_histograms``.
    """
    _check_histogram_rule(k, ties)
    _, _, t = _ranks(counts, relevant, k)
    if ties == "expected":
        hits: Any = relevant * t / np.maximum(counts, 1)
    elif ties == "best":
        hits = np.minimum(relevant, t)
    else:
        hits = np.maximum(t - (counts - relevant), 0)
    return np.asarray(hits.sum(axis=1), dtype=np.float64)


def check_rule(k: int | None, ties: str = "expected", normalizer: str = "relevant") -> None:
    """Raise BenchError unless ``k``, ``ties`` and ``normalizer`` are ones that this module knows."""
    if k is not None and not (isinstance(k, int | np.integer) and k >= 1):
        raise BenchError(f"k is {k!r}; it must be at least 1 and whole, or None for the whole database")
    for name, value, choices in (("ties", ties, Ties), ("normalizer", normalizer, Normalizer)):
        if value not in get_args(choices):
            raise BenchError(f"unknown {name} '{value}' (choices: {', '.join(get_args(choices))})")


def _check_histogram_rule(k: int | None, ties: str, normalizer: str = "relevant") -> None:
    check_rule(k, ties, normalizer)
    if ties == "index":
        raise BenchError("ties='index' needs the order of the items: use average_precision on the codes")


def denominator(relevant: Ints, hits: Ints, k: int | None, normalizer: Normalizer) -> Ints:
    """What the sum of precisions is divided by, int64 (q,); 1 where there is nothing to find.

    Args:
        relevant, hits: int64 (q,), relevant items in the database and among the first ``k``.
        k: rank cut-off, None for all.
        normalizer: ``relevant``, ``min`` (of relevant items and k) or ``hits``.
    """
    if normalizer == "hits":
        chosen = hits
    elif normalizer == "min" and k is not None:
        chosen = np.minimum(relevant, k)
    else:
        chosen = relevant
    return np.maximum(chosen, 1)


def _ranks(n: Ints, m: Ints, k: int | None) -> tuple[Ints, Ints, Ints]:
    """Return a, c and t, as the module's docstring names them."""
    if n.ndim != 2 or n.shape != m.shape or (m < 0).any() or (m > n).any():
        raise BenchError("counts and relevant must be (q, distances) both, with 0 <= relevant <= counts")
    a = n.cumsum(axis=1) - n
    c = m.cumsum(axis=1) - m
    return a, c, n if k is None else np.clip(k - a, 0, n)


def _reciprocals(a: Any, t: Any) -> Floats:
    """1 / (a + 1) + ... + 1 / (a + t) of non-negative integers, to 1e-14 of the value.

    A table for small numbers; above it H_x = ln x + gamma + 1 / (2 x) - 1 / (12 x^2) + O(x^-4)
    (Euler-Maclaurin), whose difference does not cancel: the logarithms go into one log1p.
    """
    start, end = np.minimum(a, _TABULATED), np.minimum(a + t, _TABULATED)
    low, high = np.maximum(a, _TABULATED), np.maximum(a + t, _TABULATED)
    tail = np.log1p((high - low) / low) + _correction(high) - _correction(low)
    return np.asarray(_HARMONIC[end] - _HARMONIC[start] + tail, dtype=np.float64)


def _correction(x: Any) -> Floats:
    """H_x - ln x - gamma."""
    y = 1.0 / x
    return np.asarray(y * (1 / 2 - y / 12))


#: From here on the terms left out are below 1e-16.
_TABULATED = 4096
#: H_0 ... H_4096.
_HARMONIC = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, _TABULATED + 1))])


def _expected_gain(n: Any, m: Any, t: Any, a: Any, c: Any) -> Floats:
    """Sum of precisions at the hits among the first t positions of a group in random order.

    Position i is a hit with probability m / n, and then the i - 1 before it hold (i - 1) s hits on
    average, s = (m - 1) / (n - 1): the sum over i of (m / n) (c + 1 + (i - 1) s) / (a + i).
    """
    s = (m - 1) / np.maximum(n - 1, 1)
    reciprocals = _reciprocals(a, t)
    return np.asarray(m / np.maximum(n, 1) * (s * t + (c + 1 - s * (a + 1)) * reciprocals))


def _run_gain(hits: Ints, start: Ints, c: Ints) -> Floats:
    """Sum of precisions over a run of hits right behind rank ``start``: of (c + i) / (start + i)."""
    reciprocals = _reciprocals(start, hits)
    return np.asarray(hits + (c - start) * reciprocals)


def _cut_expectation(n: int, m: int, t: int, a: int, c: int, *, gain: float) -> float:
    """Expected AP@k over the hits up to rank k, where k cuts this group; ``gain`` is from the groups before.

    The number h of hits among the first t of the group is hypergeometric, and given h they lie in
    random order among the t: a finite sum, each term in closed form.
    """
    # By Hoeffding's inequality, all beyond this many around the mean have less than 1e-18 together.
    mean, reach = t * m / n, math.sqrt(21.1 * t) + 1
    low, high = max(0, t - (n - m), int(mean - reach)), min(t, m, int(mean + reach) + 1)
    h = np.arange(low, high + 1)
    # Probabilities from ratios of neighbours: factorials of a large group would lose the digits.
    ratios = (m - h[:-1]) * (t - h[:-1]) / ((h[:-1] + 1) * (n - m - t + h[:-1] + 1))
    logarithm = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    probability = np.exp(logarithm - logarithm.max())
    probability /= probability.sum()
    gains = gain + _expected_gain(t, h, t, a, c)
    return float((probability * gains / np.maximum(c + h, 1)).sum())
