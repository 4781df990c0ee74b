import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.charts.labels import place


@pytest.mark.parametrize("n", [1, 8, 30])
def test_labels_of_a_stack_cover_neither_each_other_nor_markers(n):
    anchors = np.column_stack([np.full(n, 100.0), np.linspace(50, 450, n)])
    sizes, radii = np.tile([11.0, 8.0], (n, 1)), np.full((n, 1), 4.0)
    offsets = place(anchors, sizes, radii, np.array([0.0, 0.0, 500.0, 500.0]))
    centres = anchors + offsets
    for i in range(n):
        apart = np.abs(centres - centres[i]) >= sizes[i] - 1e-9
        apart[i] = True
        assert apart.any(axis=1).all()
        assert (np.abs(anchors - centres[i]) >= sizes[i] / 2 + radii - 1e-9).any(axis=1).all()


labels = st.lists(
    st.tuples(st.floats(0, 300), st.floats(0, 200), st.floats(5, 150), st.floats(5, 40)),
    min_size=1,
    max_size=14,
)


@given(labels)
def test_no_label_covers_another_or_leaves_the_frame(boxes):
    given = np.array(boxes)
    anchors, sizes = given[:, :2], given[:, 2:]
    offsets = place(anchors, sizes, np.full((len(given), 1), 4.0), np.array([0.0, 0.0, 300.0, 200.0]))
    placed = ~np.isnan(offsets).any(axis=1)
    centres, sizes = (anchors + offsets)[placed], sizes[placed]
    low, high = centres - sizes / 2, centres + sizes / 2
    assert np.all(low >= -1e-9)
    assert np.all(high <= np.array([300, 200]) + 1e-9)
    for i, j in itertools.combinations(range(len(centres)), 2):
        assert np.any(np.minimum(high[i], high[j]) - np.maximum(low[i], low[j]) <= 1e-9)
    # The first of all has room wherever there is any for it.
    assert placed.any() or np.all(given[:, 2] > 100)


def test_labels_keep_off_obstacles():
    anchors, sizes = np.array([[50.0, 50.0]]), np.array([[10.0, 8.0]])
    frame = np.array([0.0, 0.0, 100.0, 100.0])
    radii = np.array([[4.0]])
    free = place(anchors, sizes, radii, frame)
    centre = anchors + free
    blocked = place(anchors, sizes, radii, frame, obstacles=np.hstack([centre - 3, centre + 3]))
    assert (np.abs(blocked - free) >= sizes / 2 + 3 - 1e-9).any()
