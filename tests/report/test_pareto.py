import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.pareto import front

# Few distinct values, so that ties and duplicates are common.
coordinates = st.integers(0, 5)
points_2d = st.lists(st.tuples(coordinates, coordinates), max_size=30)
points_3d = st.lists(st.tuples(coordinates, coordinates, coordinates), max_size=15)


def dominates(one, other, higher_is_better):
    pairs = list(zip(one, other, higher_is_better, strict=True))
    no_worse = all(a >= b if higher else a <= b for a, b, higher in pairs)
    better = any(a > b if higher else a < b for a, b, higher in pairs)
    return no_worse and better


@given(points_2d, st.tuples(st.booleans(), st.booleans()))
def test_front_is_what_nothing_dominates(points, directions):
    expected = [
        i
        for i, point in enumerate(points)
        if not any(dominates(other, point, directions) for other in points)
    ]
    assert front(points, directions) == expected


@given(points_3d)
def test_every_other_point_is_dominated_by_one_on_the_front(points):
    directions = (True, False, False)
    best = front(points, directions)
    for i, point in enumerate(points):
        assert i in best or any(dominates(points[j], point, directions) for j in best)


def test_equal_points_stay_together():
    assert front([(1, 0.9), (1, 0.9), (1, 0.8)], [False, True]) == [0, 1]


@pytest.mark.parametrize(("higher", "expected"), [(False, [0]), (True, [1])])
def test_direction_decides(higher, expected):
    assert front([(1, 0.5), (2, 0.5)], [higher, True]) == expected


def test_no_points():
    assert front([], [False, True]) == []
