"""Points of search spaces: where they lie, how evenly, and that nothing but the grid decides them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from bench.planning.search_space import points, range_fault
from bench.types import Parameters
from tests.spaces import within


class Some(Parameters):
    rate: float = 1.0
    offset: float = 0.0
    epochs: int = 3
    kind: str = "a"


SPACE = {
    "rate": [1e-5, 1e-1, "log"],
    "offset": [-2.0, 2.0, "linear"],
    "epochs": [5, 50, "linear"],
    "kind": ["a", "b", "c"],
}


@given(st.integers(2, 40), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_every_value_can_be_drawn_by_its_range(trials, study):
    found = points(SPACE, Some, trials, study)
    assert len(found) == trials
    assert all(within(value, SPACE[name]) for one in found for name, value in one.items())
    assert all(isinstance(one["epochs"], int) and Some.of(one) for one in found)


def test_a_point_is_a_function_of_space_study_and_number():
    assert points(SPACE, Some, 16, 1) == points(SPACE, Some, 16, 1)
    assert points(SPACE, Some, 16, 1)[:5] == points(SPACE, Some, 5, 1)
    assert points(SPACE, Some, 16, 1) != points(SPACE, Some, 16, 2)


def test_points_are_those_of_scipy_and_fill_every_part_of_a_range_alike():
    found = points({"rate": [1e-4, 1.0, "log"], "offset": [0.0, 1.0, "linear"]}, Some, 16, 7)
    expected = qmc.Sobol(2, rng=np.random.default_rng(7)).random_base2(4)
    assert [one["rate"] for one in found] == pytest.approx(10 ** (4 * expected[:, 0] - 4), rel=1e-2)
    assert [one["offset"] for one in found] == pytest.approx(expected[:, 1], rel=1e-2)
    # One in each sixteenth: random points leave some empty.
    assert sorted(int(16 * (4 + np.log10(one["rate"])) / 4) for one in found) == list(range(16))


def test_whole_numbers_are_drawn_alike_and_both_ends_among_them():
    drawn = [one["epochs"] for one in points({"epochs": [1, 4, "linear"]}, Some, 256, 0)]
    assert np.bincount(drawn).tolist() == [0, 64, 64, 64, 64]
    drawn = [one["epochs"] for one in points({"epochs": [1, 8, "log"]}, Some, 64, 0)]
    assert {1, 8} <= set(drawn) <= set(range(1, 9))


@pytest.mark.parametrize(
    ("searched", "fault"),
    [
        ([1e-5, 1e-2, "log"], None),
        ([False, True], None),
        ([0.0, 1.0, "log"], "above 0"),
        ([1.0, 0.5, "linear"], "below the second"),
        (["a", 1.0, "linear"], "numbers"),
        ([True, 3, "linear"], "numbers"),
        ([1.0, float("inf"), "log"], "at most 1e+09"),
        ([float("nan"), 1.0, "linear"], "at most 1e+09"),
        ([1, 10**400, "log"], "at most 1e+09"),
        ([1, 2, 1], "differ"),
    ],
)
def test_what_cannot_be_searched_is_told(searched, fault):
    found = range_fault(searched)
    assert found is None if fault is None else fault in found
