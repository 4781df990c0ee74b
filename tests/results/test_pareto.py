import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results.pareto import front, hypervolume

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


unit = st.integers(0, 8).map(lambda eighths: eighths / 8)
directions = st.tuples(st.booleans(), st.booleans())
costs_and_accuracies = st.lists(st.tuples(unit, unit), max_size=12)


def raster(points, directions, cells=8):
    """The share of the cells of a grid whose whole area is covered by one point."""
    covered = 0
    for column in range(cells):
        for line in range(cells):
            # The corner of the cell that is hardest to reach.
            cost = (column if not directions[0] else column + 1) / cells
            accuracy = (line + 1 if directions[1] else line) / cells
            covered += any(
                (c >= cost if directions[0] else c <= cost)
                and (a >= accuracy if directions[1] else a <= accuracy)
                for c, a in points
            )
    return covered / cells**2


@given(costs_and_accuracies, directions)
def test_hypervolume_is_the_area_that_is_covered(points, directions):
    assert hypervolume(points, directions, 1.0) == pytest.approx(raster(points, directions))


@given(costs_and_accuracies, directions, st.randoms())
def test_hypervolume_knows_no_order_and_no_unit(points, directions, random):
    expected = hypervolume(points, directions, 1.0)
    shuffled = random.sample(points, len(points))
    millions = [(cost * 1e6, accuracy) for cost, accuracy in shuffled]
    assert hypervolume(millions, directions, 1e6) == pytest.approx(expected)


@given(costs_and_accuracies, st.tuples(unit, unit), directions)
def test_a_point_adds_to_the_hypervolume_where_nothing_dominates_it(points, point, directions):
    before, after = (hypervolume(some, directions, 1.0) for some in (points, [*points, point]))
    assert after >= before
    if any(dominates(other, point, directions) or other == point for other in points):
        assert after == pytest.approx(before)


@given(costs_and_accuracies, directions)
def test_hypervolume_is_that_of_the_front(points, directions):
    best = [points[i] for i in front(points, directions)]
    assert hypervolume(points, directions, 1.0) == pytest.approx(hypervolume(best, directions, 1.0))


def test_hypervolume_by_hand():
    points = [(10.0, 0.5), (40.0, 0.8), (100.0, 0.9)]
    assert hypervolume(points, (False, True), 100.0) == pytest.approx(0.3 * 0.5 + 0.6 * 0.8)
    rates = [(10.0, 0.9), (100.0, 0.5)]
    assert hypervolume(rates, (True, True), 100.0) == pytest.approx(0.1 * 0.9 + 0.9 * 0.5)


def test_nothing_covers_nothing():
    assert hypervolume([], (False, True), 1.0) == 0


@pytest.mark.parametrize(
    ("point", "largest"), [((1.0, 1.1), 2.0), ((1.0, -0.1), 2.0), ((3.0, 0.5), 2.0), ((0.0, 0.5), 0.0)]
)
def test_no_hypervolume_outside_the_rectangle(point, largest):
    assert hypervolume([point], (False, True), largest) is None
