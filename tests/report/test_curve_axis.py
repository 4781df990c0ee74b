"""The axes of curves: their scales and ends, and that everything stands between these."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from bench.report.charts import axes as chart_axes
from bench.report.charts.curve_axis import ValueAxis
from bench.report.charts.curve_looks import RADIUS
from bench.report.charts.curve_panel import accuracy_limits
from bench.report.charts.text import Pen
from bench.results import catalogue
from bench.results.summary import Estimate
from tests.curved import PATH, labelled
from tests.report.curves import curve_of, figure_of


def weighed(record, value):
    """The changes that give a record another weight of its loss."""
    params = {**record.params, "loss": {"weight": value}}
    return {"params": params, "key": f"{record.key}{value}", "cell_key": f"{record.cell_key}{value}"}


@pytest.mark.parametrize("values", [(0, 1e-5, 0.01, 10), (-3, 0, 1e-5, 1e5), (100_000, 100_001, 900_000)])
def test_values_that_would_stand_on_each_other_stand_at_even_distances_and_the_axis_says_so(tmp_path, values):
    cells = labelled((5,), methods=("none", "cukd", "ranking"), seeds=1, teacher=False)
    cells = [
        (record.model_copy(update=weighed(record, value)), split)
        for value in values
        for record, split in cells
    ]
    figure = figure_of(*curve_of(tmp_path, cells, (("map", "loss.weight"),)))
    (axes,) = figure.axes
    assert list(axes.get_xticks()) == list(values)
    assert all(label.get_text() for label in axes.get_xticklabels())
    places = chart_axes.on_paper(axes, np.array([(value, 0.5) for value in values]))[:, 0]
    assert np.diff(places) == pytest.approx(np.full(len(values) - 1, np.ptp(places) / (len(values) - 1)))
    assert "loss.weight, not to scale" in [text.get_text() for text in figure.texts]
    assert_inside(figure)


def assert_inside(figure):
    """Every marker and bar lies between the left and the right end of its axes; returns how many markers."""
    markers = 0
    for axes in figure.axes:
        left, _, right, _ = chart_axes.frame(axes)
        for line in axes.lines:
            places = chart_axes.on_paper(axes, line.get_xydata())[:, 0]
            if len(places) == 1:
                markers += 1
                radius = line.get_markersize() / 2
                assert left <= places[0] - radius
                assert places[0] + radius <= right
            elif line.get_clip_on():
                assert left <= places.min()
                assert places.max() <= right
    return markers


@pytest.mark.parametrize(
    ("cells", "path", "markers"),
    [
        ({"labels": (5, 50), "losses": ("csq", "dch"), "bits": (16, 32)}, PATH, 26),
        ({"labels": (5,), "losses": ("csq", "dch"), "bits": (16, 64)}, "bits", 12),
        (
            {
                "labels": (5,),
                "students": ("cukd_v1", "cukd_v2", "resnet18"),
                "losses": ("csq", "dch"),
                "bits": (16, 32, 64),
            },
            "bits",
            54,
        ),
    ],
)
def test_lines_beside_each_other_stay_inside_the_frame(tmp_path, cells, path, markers):
    cells = labelled(**cells, methods=("none", "cukd", "ranking"), teacher=path == PATH)
    assert assert_inside(figure_of(*curve_of(tmp_path, cells, (("map", path),)))) == markers


numbers = st.sampled_from([0.0, 1e-5, 0.01, 0.5, 1.0, 5.0, 16.0, 17.0, 100.0, 5e4])


@given(st.lists(numbers, min_size=2, unique=True), st.floats(100, 520), st.integers(1, 30))
def test_there_is_room_at_both_ends_for_half_of_the_lines_and_a_marker(values, width, lines):
    figure = Figure(figsize=(width / 72, 2))
    axes = figure.add_axes((0, 0, 1, 1))
    axis = ValueAxis(sorted(values), width, lines, RADIUS)
    axis.limit(axes, Pen(figure))
    places = chart_axes.on_paper(axes, np.array([(value, 0.0) for value in sorted(values)]))[:, 0]
    moved = axis.step(lines) * (lines - 1) / 2
    assert places[0] - moved - RADIUS >= -1e-6
    assert places[-1] + moved + RADIUS <= width + 1e-6
    assert 2 * moved < 0.5 * np.diff(places).min() + 1e-6, "nearer to its value than to the next"


# -- Accuracies ----------------------------------------------------------------------------------


def test_accuracies_may_have_a_unit_and_no_bounds():
    percent = [Estimate(70.0, (60.0, 80.0), 3), Estimate(90.0, (80.0, 100.0), 3)]
    bottom, top, cut = accuracy_limits(percent, catalogue.bounds("rank_one", "%"))
    assert bottom < 70 - 20 / 3 < 90 + 20 / 3 < top
    assert cut is (not (bottom <= 60 and top >= 100))
    scores = [Estimate(-3.0, (-4.0, -2.0), 3), Estimate(-2.0, (-2.6, -1.4), 3)]
    bottom, top, _ = accuracy_limits(scores, (0.0, 1.0))
    assert bottom < -3 < -2 < top, "what is outside of the bounds shows that they are none"


def test_bars_behind_the_final_frame_are_cut():
    bars = [Estimate(0.999, (0.95, 1.2), 3), Estimate(0.5, (0.4, 0.6), 3)]
    _, top, cut = accuracy_limits(bars, (0.0, 1.0))
    assert top < 1.05
    assert cut


def test_accuracies_of_nothing_have_an_axis_that_can_be_read():
    bottom, top, cut = accuracy_limits([Estimate(0.0, (0.0, 0.0), 3)] * 2, (0.0, 1.0))
    assert -0.05 < bottom < 0
    assert 0.01 < top < 1.1
    assert not cut
