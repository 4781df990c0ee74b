"""Draws of what all rows of a front would have had with other seeds and queries: the same world for all rows.

Both parts of an accuracy's error are those of ``bench.comparison.statistics``. Seeds are too few to be drawn
anew, so their part is a multivariate t in which a seed strays in the same world for all rows that have it;
between any two rows with the same seeds it is the paired t of ``compare``. Queries are resampled, the same
for all rows, and their means hold a share of the residual that the seeds' part holds already, which is taken
out. Costs that are counted do not stray; of timings the samples are resampled.

Sources: as of ``bench.comparison.statistics``; Kotz and Nadarajah, Multivariate t distributions and their
applications, 2004, chapter 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from bench.comparison.statistics import RESAMPLES, Floats, resampled
from bench.results.folder import Results
from bench.results.summary import Row

Scores = NDArray[np.float32]

#: How far, relatively, a timing's value may be from the median of its samples to be that.
_SAME = 1e-6


def accuracy_draws(rows: Sequence[Row], name: str, results: Results) -> tuple[Floats, int | None]:
    """What each row's mean over seeds would have been, float64 (RESAMPLES, rows), the same at every call.

    Args:
        rows: comparable ones, each with two seeds at least, or the same with every seed (``seedless``).
        name: full name of an accuracy that all of them have.
        results: where scores by query lie.

    Returns:
        The draws, and how many queries were drawn: those with a score in all rows. None where some row has no
        scores by query; seeds alone are drawn then.
    """
    means = np.array([row.estimates[name].value for row in rows])
    draws = means + _seed_strays(rows, name)
    scores = _scores(rows, name, results)
    if scores is None:
        return draws, None
    return draws + _query_strays(rows, scores), scores[0].shape[1]


def cost_draws(rows: Sequence[Row], name: str) -> tuple[Floats, bool]:
    """What each row would have cost, float64 (RESAMPLES, rows), and whether it is timed without its samples.

    Rows that share a timing share its draws.
    """
    means = np.array([row.estimates[name].value for row in rows])
    noise = rows[0].metrics[name].noise
    if noise == "seeded":
        return means + _seed_strays(rows, name), False
    draws = np.broadcast_to(means, (RESAMPLES, len(rows)))
    if noise == "exact":
        return draws, False
    timings: dict[tuple[float, ...], Floats] = {}
    found, unknown = draws.copy(), False
    for i, row in enumerate(rows):
        metrics = [record.metrics[name] for record in row.records if name in record.metrics]
        if not all(one.samples and _is_median(one.value, one.samples) for one in metrics):
            unknown = True
            continue
        for one in metrics:
            key = tuple(one.samples or ())
            if key not in timings:
                timings[key] = _medians(np.array(key), np.random.default_rng([2, len(timings)]))
        found[:, i] = np.mean([timings[tuple(one.samples or ())] for one in metrics], axis=0)
    return found, unknown


# -- Seeds -----------------------------------------------------------------------------------------


def _seed_strays(rows: Sequence[Row], name: str) -> Floats:
    """How far the means are off for the sake of their seeds, (RESAMPLES, rows); 0 with one seed."""
    by_seed = [
        {one.cell.seed: one.metrics[name].value for one in row.records if name in one.metrics} for row in rows
    ]
    seeds = sorted({seed for values in by_seed for seed in values})
    apart = np.zeros((len(seeds), len(rows)))
    counts = np.array([len(values) for values in by_seed])
    for i, values in enumerate(by_seed):
        if len(values) > 1:
            own = np.array([*values.values()])
            lines = [seeds.index(seed) for seed in values]
            apart[lines, i] = (own - own.mean()) / math.sqrt(len(own) * (len(own) - 1))
    generator = np.random.default_rng(1)
    normal = generator.normal(size=(RESAMPLES, len(seeds)))
    levels = generator.random((RESAMPLES, 1))
    degrees, places = np.unique(np.maximum(counts - 1, 1), return_inverse=True)
    # One level for all rows: in a world where a standard deviation misleads, it does so for all.
    scales = np.sqrt(2 * gammaincinv(degrees / 2, levels) / degrees)
    return np.asarray(normal @ apart / scales[:, places])


# -- Queries ---------------------------------------------------------------------------------------


def _scores(rows: Sequence[Row], name: str, results: Results) -> list[Scores] | None:
    """Scores of each row, (seeds, queries), finite; None where they were not kept of the same queries."""
    found = []
    for row in rows:
        nothing: dict[str, Floats] = {}
        kept = [results.noted(results.per_query, record, nothing).get(name) for record in row.records]
        arrays = [scores.astype(np.float32) for scores in kept if scores is not None]
        if len(arrays) < len(row.records) or len({scores.shape for scores in arrays}) > 1:
            return None
        found.append(np.stack(arrays))
    if len({scores.shape[1] for scores in found}) > 1:
        return None
    answered = np.logical_and.reduce([np.isfinite(scores).all(axis=0) for scores in found])
    if np.count_nonzero(answered) < 2:
        return None
    return found if answered.all() else [scores[:, answered] for scores in found]


def _query_strays(rows: Sequence[Row], scores: list[Scores]) -> Floats:
    """How far the means are off for the sake of their queries, (RESAMPLES, rows).

    What is common to all rows, queries that are hard, and what is not are freed of the residual each by
    itself, as the rows with the commonest seeds tell. Codes of a network that nobody trains are the same
    with every seed: a row of these has no residual, and what is its own strays as it was resampled.
    """
    seeds = [tuple(record.cell.seed for record in row.records) for row in rows]
    usual = max(sorted(set(seeds)), key=lambda some: (len(some) > 1, seeds.count(some)))
    # What is the same with every seed was made once, and crosses all of them.
    crossing = max(len(usual), 2)
    seeds = [own if len(own) > 1 else usual for own in seeds]
    scores = [one if len(one) > 1 else one.repeat(crossing, axis=0) for one in scores]
    crossed = [one for one, own in zip(scores, seeds, strict=True) if own == usual]
    common: Floats = np.asarray(np.mean(crossed, axis=0, dtype=np.float64))
    varying = [one - common for one in crossed if np.ptp(one, axis=0).any()]
    of_common, of_rest = _share_of_queries([common]), _share_of_queries(varying)
    shares = np.array([of_rest if np.ptp(one, axis=0).any() else 1.0 for one in scores])[:, None]
    means = np.stack([one.mean(axis=0, dtype=np.float64) for one in scores])
    middle = common.mean(axis=0)
    values = np.vstack([middle, means - middle])
    # A bootstrap of n numbers has (n - 1) / n of their variance.
    queries = values.shape[1]
    strays = resampled(values) - values.mean(axis=1, keepdims=True)
    strays *= math.sqrt(queries / (queries - 1))
    return np.asarray((of_common * strays[0] + shares * strays[1:]).T)


def _share_of_queries(crossed: Sequence[Floats]) -> float:
    """How much of the standard deviation of means by query is the queries' own, by mean squares, at most 1.

    Args:
        crossed: scores (seeds, queries) each; mean squares are added up.
    """
    of_queries = residual = 0.0
    for one in crossed:
        seeds, queries = one.shape
        by_query = one.mean(axis=0)
        rest = one - one.mean(axis=1, keepdims=True) - by_query + one.mean()
        of_queries += seeds * float(by_query.var(ddof=1))
        residual += float((rest**2).sum()) / ((seeds - 1) * (queries - 1))
    return math.sqrt(max(of_queries - residual, 0.0) / of_queries) if of_queries else 0.0


# -- Timings ---------------------------------------------------------------------------------------


def _is_median(value: float, samples: Sequence[float]) -> bool:
    return abs(float(np.median(samples)) - value) <= _SAME * abs(value)


def _medians(samples: Floats, generator: np.random.Generator) -> Floats:
    """Medians of RESAMPLES resamples of ``samples``, by the distribution of their middle order statistics."""
    ordered, size = np.sort(samples), len(samples)
    half = (size + 1) // 2
    lower = generator.beta(half, size - half + 1, RESAMPLES)
    upper = lower
    if size % 2 == 0:
        upper = lower + (1 - lower) * generator.beta(1, half, RESAMPLES)
    places = [np.minimum((size * one).astype(np.int64), size - 1) for one in (lower, upper)]
    return np.asarray((ordered[places[0]] + ordered[places[1]]) / 2)
