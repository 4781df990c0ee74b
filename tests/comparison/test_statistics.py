"""Paired differences against scipy, naive loops, and made-up studies whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from scipy.special import stdtr

from bench.comparison.statistics import (
    RESAMPLES,
    PairedDifference,
    detectable_difference,
    holm,
    paired_differences,
)
from tests.scored import paired_difference


def logistic(x):
    return 1 / (1 + np.exp(-x))


def studies(count, seeds, queries, *, seed_effect=0.05, rng=0):
    """Made-up studies of two equally good configurations: D (count, seeds, queries), and its true means.

    Average precisions are about Beta(2, 1.2) over queries; on a logistic scale networks differ by seed, and
    both sides by what they make of single queries. The truth is over all seeds, or of the seed drawn if one.
    """
    random = np.random.default_rng(rng)

    def scores(networks, *shape):
        ap = np.clip(random.beta(2, 1.2, (shape[0], 1, shape[2], 1)), 1e-4, 1 - 1e-4)
        taste = random.normal(0, 0.3, (shape[0], 1, shape[2], 2)) + random.normal(0, 0.5, (*shape, 2))
        return logistic(np.log(ap / (1 - ap)) + taste + networks)

    networks = random.normal(0, seed_effect, (count, seeds, 1, 2))
    drawn = scores(networks, count, seeds, queries)
    truth = np.zeros(count)
    if seeds == 1:
        grid = np.linspace(-5 * seed_effect - 0.01, 5 * seed_effect + 0.01, 9)
        means = scores(grid[:, None, None], 1, 9, 200_000).mean(axis=(0, 2, 3))
        expected = np.interp(networks, grid, means)[:, 0, 0]
        truth = expected[:, 1] - expected[:, 0]
    return drawn[..., 1] - drawn[..., 0], truth


def crossed(seeds=3, queries=40, rng=0, mean=0.02):
    random = np.random.default_rng(rng)
    return (
        mean
        + random.normal(0, 0.02, (seeds, 1))
        + random.normal(0, 0.05, (1, queries))
        + random.normal(0, 0.05, (seeds, queries))
    )


# -- Known answers -------------------------------------------------------------------------------


def test_one_seed_is_the_paired_t_test_over_queries():
    base, new = np.random.default_rng(0).beta(2, 1, (2, 300))
    found = paired_difference([new - base])
    assert found.mean == pytest.approx(new.mean() - base.mean())
    assert found.p == pytest.approx(stats.ttest_rel(new, base).pvalue, rel=1e-9)
    expected = stats.ttest_rel(new, base).confidence_interval()
    assert found.interval == pytest.approx(tuple(expected), abs=0.003)


def test_one_seed_has_the_percentile_interval_of_the_bootstrap():
    scores = np.random.default_rng(1).exponential(1, 400)
    expected = stats.bootstrap((scores,), np.mean, method="percentile", n_resamples=20000, rng=0)
    assert paired_difference([scores]).interval == pytest.approx(
        tuple(expected.confidence_interval), abs=0.012
    )


def test_scores_without_queries_are_the_paired_t_test_over_seeds():
    means = np.array([0.02, 0.01, 0.04, 0.03])
    found = paired_difference(means[:, None])
    expected = stats.ttest_1samp(means, 0)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()), abs=2e-4)


@pytest.mark.parametrize(("seeds", "queries"), [(2, 50), (3, 40), (5, 7)])
def test_seeds_and_queries_against_loops_and_integrals(seeds, queries):
    scores = crossed(seeds, queries)
    mean = scores.sum() / (seeds * queries)
    rows = [sum(row) / queries for row in scores]
    columns = [sum(column) / seeds for column in scores.T]
    of_seeds = queries * sum((row - mean) ** 2 for row in rows) / (seeds - 1)
    of_queries = seeds * sum((column - mean) ** 2 for column in columns) / (queries - 1)
    residual = sum(
        (scores[s, q] - rows[s] - columns[q] + mean) ** 2
        for s, q in itertools.product(range(seeds), range(queries))
    ) / ((seeds - 1) * (queries - 1))
    few = math.sqrt(of_seeds / scores.size)
    many = math.sqrt(max(of_queries - residual, 0) / scores.size)

    z = np.linspace(-9, 9, 4001)

    def tail(distance):
        beyond = stdtr(seeds - 1, (many * z - distance) / few)
        return 2 * integrate.trapezoid(stats.norm.pdf(z) * beyond, z)

    def exceeded(probability):
        return optimize.brentq(lambda distance: tail(distance) - probability, 0, 50, xtol=1e-10)

    found = paired_difference(scores)
    assert found.mean == pytest.approx(mean)
    assert found.p == pytest.approx(tail(abs(mean)), rel=1e-4)
    for alpha, power in ((0.05, 0.8), (0.001, 0.9)):
        expected = exceeded(alpha) + exceeded(2 * (1 - power))
        assert detectable_difference(scores, alpha, power) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_units_do_not_matter(scale):
    one, other = paired_difference(crossed()), paired_difference(crossed() * scale)
    assert other.p == pytest.approx(one.p, rel=1e-6)
    assert other.interval == pytest.approx([scale * end for end in one.interval], rel=1e-6)


def test_neither_order_nor_company_matters():
    scores = crossed(4, 60)
    one = paired_difference(scores)
    many = paired_differences([crossed(rng=7), scores, crossed(2, 60, rng=8)])
    assert many[1].p == one.p
    assert many[1].interval == pytest.approx(one.interval, rel=1e-9)
    assert paired_difference(scores[::-1]).interval == pytest.approx(one.interval, rel=1e-9)
    low, high = paired_difference(-scores).interval
    assert (-high, -low) == pytest.approx(one.interval, abs=0.04 * (high - low))


def test_a_higher_level_has_a_longer_interval():
    low, high = paired_difference(crossed(), 0.99).interval
    inner_low, inner_high = paired_difference(crossed(), 0.9).interval
    assert low < inner_low < inner_high < high


# -- Degenerate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 5), (3, 5), (3, 1), (2, 2)])
def test_no_difference_anywhere(shape):
    assert paired_difference(np.zeros(shape)) == PairedDifference(0.0, (0.0, 0.0), 1.0)
    assert detectable_difference(np.zeros(shape)) is None


def test_the_same_difference_everywhere():
    """Two seeds that happen to differ alike prove nothing; 0.1 has no exact mean, which is no spread."""
    found = paired_difference(np.full((3, 7), 0.1))
    assert (found.p, found.interval) == (None, None)
    assert paired_difference(np.full((2, 1), 1.0)).p is None
    assert paired_difference(np.zeros((3, 7))) == PairedDifference(0.0, (0.0, 0.0), 1.0)


def test_one_number_says_nothing():
    assert paired_difference([[0.1]]) == PairedDifference(0.1, None, None)
    assert detectable_difference([[0.1]]) is None


def test_spread_that_neither_seeds_nor_queries_explain():
    assert paired_difference([[3, -1], [-1, 3]]) == PairedDifference(1.0, None, None)
    assert detectable_difference([[3, -1], [-1, 3]]) is None


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("queries", [1, 2, 3])
def test_few_of_anything(seeds, queries):
    found = paired_difference(crossed(seeds, queries))
    if seeds * queries == 1:
        return
    assert 0 < found.p < 1
    assert found.interval[0] < found.mean < found.interval[1]


def test_seeds_that_agree_leave_the_queries():
    row = np.random.default_rng(3).normal(0.1, 1, 100)
    found, alone = paired_difference(np.stack([row] * 3)), paired_difference([row])
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(row.mean()) / stats.sem(row)), rel=1e-6)
    assert found.interval == pytest.approx(alone.interval, rel=1e-9)


# -- Studies with a known truth --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("seed_effect", [0.0, 0.05, 0.2])
def test_intervals_cover_and_tests_keep_their_level(seeds, seed_effect):
    count = 1500
    differences, truth = studies(count, seeds, 200, seed_effect=seed_effect, rng=seeds)
    found = paired_differences(list(differences))
    covered = np.mean(
        [one.interval[0] <= true <= one.interval[1] for one, true in zip(found, truth, strict=True)]
    )
    about_truth = paired_differences(list(differences - truth[:, None, None]))
    rejected = np.mean([one.p < 0.05 for one in about_truth])
    # Where seeds matter about as much as queries, the errors of both are added with some caution.
    assert 0.93 <= covered <= 0.98
    assert 0.02 <= rejected <= 0.065


@pytest.mark.slow
@pytest.mark.parametrize("seed_effect", [0.0, 0.02, 0.2])
def test_two_seeds_never_see_too_many_differences(seed_effect):
    differences, _ = studies(1500, 2, 200, seed_effect=seed_effect)
    found = paired_differences(list(differences))
    assert np.mean([one.p < 0.05 for one in found]) <= 0.065
    assert np.mean([one.interval[0] <= 0 <= one.interval[1] for one in found]) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_a_detectable_difference_is_detected(seeds):
    pilots, _ = studies(400, seeds, 200, rng=1)
    size = np.sqrt(np.mean([detectable_difference(pilot) ** 2 for pilot in pilots]))
    differences, truth = studies(1000, seeds, 200, rng=2)
    shifted = differences - truth[:, None, None] + size
    found = paired_differences(list(shifted))
    assert 0.75 <= np.mean([one.p < 0.05 for one in found]) <= 0.92


# -- Several tests ---------------------------------------------------------------------------------


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([0.02]) == pytest.approx([0.02])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_procedure_rejects(p_values, alpha):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = set()
    for step, i in enumerate(order):
        if p_values[i] * (len(order) - step) > alpha:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_resamples_are_many_enough_for_the_ends_of_intervals():
    assert RESAMPLES * 0.025 >= 50
