import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.comparison import front_chances

#: Few different numbers, so that rows often tie in one coordinate or both, and some that are none.
values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, np.nan])


@st.composite
def draws(draw):
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    return draw(arrays.arrays(float, shape, elements=values)), draw(
        arrays.arrays(float, shape, elements=values)
    )


def dominates(one, other):
    """By the definition, of (accuracy, cost)."""
    at_least = one[0] >= other[0] and one[1] <= other[1]
    return at_least and (one[0] > other[0] or one[1] < other[1])


def worlds(drawn):
    """The points of each draw."""
    return [list(zip(*line, strict=True)) for line in zip(*(one.tolist() for one in drawn), strict=True)]


@given(draws())
def test_a_row_is_on_the_front_where_no_other_dominates_it(drawn):
    expected = [
        [not np.isnan(own).any() and not any(dominates(other, own) for other in points) for own in points]
        for points in worlds(drawn)
    ]
    assert front_chances.on_front(*drawn).tolist() == expected


@given(draws())
def test_dominance_is_a_share_of_draws(drawn):
    rows = range(drawn[0].shape[1])
    expected = [
        [np.mean([dominates(points[i], points[j]) for points in worlds(drawn)]) for j in rows] for i in rows
    ]
    np.testing.assert_allclose(front_chances.dominance(*drawn), expected)


@given(draws())
def test_some_row_is_on_every_front_and_dominated_rows_are_on_none(drawn):
    found = front_chances.on_front(*drawn)
    known = ~np.isnan(drawn[0] + drawn[1]).any(axis=1)
    assert found[known].any(axis=1).all()
    certain = front_chances.dominance(*drawn) == 1
    assert not found[:, certain.any(axis=0)].any()


@given(draws(), st.lists(values.filter(lambda one: one == one), min_size=1, max_size=4))
def test_a_budget_attains_the_best_that_costs_no_more(drawn, budgets):
    expected = [
        [max([a for a, c in points if c <= budget and a == a], default=-np.inf) for budget in budgets]
        for points in worlds(drawn)
    ]
    assert front_chances.attained(*drawn, np.array(budgets)).tolist() == expected


@given(draws(), st.sampled_from([0.0, 0.25, 0.5, 2.0]))
def test_the_chosen_row_is_the_cheapest_that_is_good_enough(drawn, within):
    counts = np.zeros(drawn[0].shape[1])
    for points in worlds(drawn):
        known = [i for i, point in enumerate(points) if not np.isnan(point).any()]
        if known:
            best = max(points[i][0] for i in known)
            enough = [i for i in known if points[i][0] >= best - within]
            counts[min(enough, key=lambda i: (points[i][1], -points[i][0], i))] += 1
    np.testing.assert_allclose(front_chances.chosen(*drawn, within), counts / len(drawn[0]))


def test_binary_fractions_do_not_choose():
    assert front_chances.chosen(np.array([[0.65, 0.63]]), np.array([[2.0, 1.0]]), 0.02).tolist() == [0, 1]


@given(draws(), st.sampled_from([0.05, 0.3, 0.5, 0.95, 1.0]))
def test_a_share_of_draws_reaches_no_more_than_it_says(drawn, share):
    values = np.where(np.isnan(drawn[0]), -np.inf, drawn[0])
    (found,) = front_chances.reached(values, [share])
    for column, level in zip(values.T, found, strict=True):
        assert np.mean(column >= level) >= share
        assert not any(np.mean(column >= higher) >= share for higher in column if higher > level)


@given(draws())
def test_fronts_and_attainment_are_those_of_moocore(drawn):
    moocore = pytest.importorskip("moocore", reason="an oracle from elsewhere: pip install moocore")
    accuracy, cost = (np.where(np.isnan(one), 0.5, one) for one in drawn)
    for line, found in zip(range(len(cost)), front_chances.on_front(accuracy, cost), strict=True):
        points = np.column_stack([cost[line], accuracy[line]])
        expected = moocore.is_nondominated(points, maximise=[False, True], keep_weakly=True)
        assert found.tolist() == expected.tolist()
    sets = np.repeat(np.arange(len(cost)), cost.shape[1])
    points = np.column_stack([cost.ravel(), -accuracy.ravel()])
    budgets = np.unique(cost)
    best = front_chances.attained(accuracy, cost, budgets)
    for share in (0.95, 0.5, 0.05):
        surface = moocore.eaf(points, sets, percentiles=[100 * share])
        expected = [max((-a for c, a, _ in surface if c <= one), default=-np.inf) for one in budgets]
        assert front_chances.reached(best, [share])[0].tolist() == expected


def test_many_rows_agree_with_pairs():
    """The order by cost finds what all pairs find, with thousands of ties."""
    generator = np.random.default_rng(3)
    accuracy, cost = generator.integers(0, 12, (2, 20, 60)) / 12
    by_pairs = [
        [
            not any(dominates((accuracy[d, j], cost[d, j]), (accuracy[d, i], cost[d, i])) for j in range(60))
            for i in range(60)
        ]
        for d in range(20)
    ]
    assert front_chances.on_front(accuracy, cost).tolist() == by_pairs


def test_chances_over_all_resamples_are_exact():
    """Two queries and three rows: all four resamples, counted by hand."""
    scores = np.array([[0.2, 0.8], [0.6, 0.6], [0.1, 0.5]])  # rows, queries
    every = np.array([scores[:, list(drawn)].mean(axis=1) for drawn in itertools.product(range(2), repeat=2)])
    cost = np.broadcast_to([1.0, 2.0, 3.0], every.shape)
    # Means: (.2 .6 .1), (.5 .6 .3) twice, (.8 .6 .5), where the second row is behind.
    assert front_chances.on_front(every, cost).mean(axis=0).tolist() == [1.0, 0.75, 0.0]
    assert front_chances.dominance(every, cost).tolist() == [[0, 0.25, 1], [0, 0, 1], [0, 0, 0]]
    assert front_chances.chosen(every, cost, 0.1).tolist() == [0.75, 0.25, 0]
