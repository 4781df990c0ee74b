"""Small multiples and dot plots: what each shows, and that all panels share what they should."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from bench.report.charts import axes as chart_axes
from bench.report.charts.key import FRONT
from bench.report.charts.lines import ALL_FRONT, OWN_FRONT
from bench.report.charts.networks import spread
from bench.report.charts.points import Points
from bench.results.records import Measured
from tests import recorded
from tests.report.charts import (
    all_methods,
    draw,
    figure_of,
    fronts_of,
    lengths_together,
    one_loss,
    priced,
    tradeoff,
    words,
)


@pytest.fixture(scope="module")
def figure():
    return figure_of(tradeoff())


@pytest.fixture(scope="module")
def front():
    _, (front,) = fronts_of(tradeoff())
    return front


def lines(axes, colour):
    return [
        line
        for line in axes.lines
        if to_hex(line.get_color()) == colour.lower() and len(line.get_xdata()) > 1
    ]


def test_all_panels_have_the_same_limits(figure):
    assert len(figure.axes) == 4
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}


def test_the_one_front_is_in_all_panels_and_rises(figure):
    stairs = [lines(axes, ALL_FRONT["color"]) for axes in figure.axes]
    assert [len(found) for found in stairs] == [1, 1, 1, 1]
    corners = [found[0].get_xydata() for found in stairs]
    assert all(np.array_equal(corners[0], other) for other in corners)
    assert np.all(np.diff(corners[0], axis=0) >= 0)


def test_lengths_that_share_a_panel_have_lines_and_sizes_of_their_own():
    figure = figure_of(lengths_together())
    assert len(figure.axes) == 4
    for axes in figure.axes:
        assert len([line for line in axes.lines if len(line.get_xdata()) == 4]) == 3 * 2
        (stairs,) = lines(axes, ALL_FRONT["color"])
        assert np.all(np.diff(stairs.get_xydata(), axis=0) >= 0)
        # A network is numbered once although a longer code costs more.
        assert [text.get_text() for text in axes.texts if text.get_text().isdecimal()] == [
            "1",
            "2",
            "3",
            "4",
            "5",
        ]


def test_each_step_of_the_front_is_marked_in_the_panel_of_its_point(figure, front):
    own = [lines(axes, OWN_FRONT["color"]) for axes in figure.axes]
    points = Points.of(front)
    rows = [points.rows[i].configuration for i in points.on_front]
    # A teacher or student stands in the panel of its loss and length.
    expected = [sum((row.loss, row.bits) == panel for row in rows) for panel in PANELS]
    assert [len(found) for found in own] == expected
    assert {round(line.get_ydata()[-1], 9) for found in own for line in found} == {
        round(points.y.values[i], 9) for i in points.on_front
    }


PANELS = [("csq", 16), ("csq", 64), ("dch", 16), ("dch", 64)]


def test_a_line_per_method_and_bars_of_all(figure):
    for axes in figure.axes:
        long = [line for line in axes.lines if len(line.get_xdata()) == 7]
        assert len(long) == 3
        assert "#7f7f7f" in {to_hex(line.get_color()) for line in long}, "without distillation: grey"
        bars = [segments for segments in axes.collections if len(segments.get_segments()[0]) == 2]
        assert len(bars) >= 23


def test_points_of_one_cost_do_not_cover_each_other(figure):
    for axes in figure.axes:
        long = [line for line in axes.lines if len(line.get_xdata()) == 7]
        places = np.array([axes.transData.transform(line.get_xydata())[:, 0] for line in long])
        apart = np.abs(np.diff(np.sort(places.ravel()))) * 72 / axes.figure.dpi
        assert apart.min() > 4


def test_students_are_told_once_with_cost_and_unusual_size():
    (chart,) = draw(tradeoff())
    text = words(chart["svg"])
    for expected in (
        "loss csq · 16 bit",
        "loss dch · 64 bit",
        "cukd_v1 · 22.6–22.7 M",
        "timm:test_byobnet · 1.29–1.39 M",
        "timm:test_resnet (64 px) · 16.3–16.4 M",
        "efficientnet_lite0 (teacher, 64 px) · 31.4–31.5 M",
        "cukd[teacher=efficientnet_lite0]",
        "cukd[teacher=efficientnet_lite2]",
        "Pareto front of all panels",
        "this panel's part of it",
        "multiply-adds per image (M), less is better",
        "mAP@all, more is better",
    ):
        assert text.count(expected) == 1, expected
    assert "Grid fashion · images of 32 px unless told · 3 seeds" in text
    assert text.count("6") == text.count("9") == 4 + 1, (
        "a number for each network, in each panel and in the key"
    )
    assert sum(line.startswith("recommended, 0.") for line in text) == 1


def test_same_records_same_bytes():
    assert draw(tradeoff()) == draw(tradeoff())
    assert draw(all_methods()) == draw(all_methods())


def test_of_many_methods_six_have_colours_and_the_key_says_so():
    (chart,) = draw(one_loss())
    text = words(chart["svg"])
    assert "4 other methods" in text
    assert sum(method in text for method in ("cukd", "ranking", "rkd", "logits", "cdd", "crd", "supcon")) <= 6
    assert "no distillation" in text


def test_a_dot_plot_names_every_method_once():
    (chart,) = draw(all_methods())
    text = words(chart["svg"])
    for expected in (
        "cukd_v1 · 22.7 M multiply-adds per image",
        "resnet50 (64 px) · 337 M",
        "no distillation",
        "ranking",
        "whiten_mtd",
        "on the Pareto front",
    ):
        assert text.count(expected) == 1, expected
    assert text.count("best teacher") == text.count("best without distillation") == 1
    (axes,) = figure_of(all_methods()).axes
    assert len([line for line in axes.lines if line.get_zorder() == 3 and line.get_markersize() <= 12]) >= 28


at_places = st.lists(st.floats(0, 200), min_size=1, max_size=12).map(sorted)


@example([0.0] * 12, [0.0] * 10 + [5e-324])
@given(at_places, st.lists(st.floats(0, 40), min_size=11, max_size=11))
def test_columns_keep_their_order_and_distance_and_move_no_further_than_that_takes(wanted, gaps):
    wanted, gaps = np.array(wanted), np.array(gaps[: len(wanted) - 1])
    places = spread(wanted, gaps)
    assert np.all(places >= wanted), "nothing seems to cost less than it does"
    assert np.all(np.diff(places) >= gaps - 1e-6)
    assert places[0] == wanted[0]
    moved = places[1:] > wanted[1:]
    assert np.allclose(places[1:][moved], (places[:-1] + gaps)[moved])


def costing(times, methods=("none", "cukd", "ranking", "rkd", "logits", "crd", "fitnet")):
    """A network for each of these costs, in multiples of 1.3 million, with two losses."""
    return [
        priced(
            recorded.make_record(f"student_{n:02d}", method, loss, 32),
            1.3e6 * cost,
            0.5 + 0.02 * n + 0.01 * i + 0.005 * (loss == "dch"),
        )
        for n, cost in enumerate(times)
        for i, method in enumerate(methods)
        for loss in ("csq", "dch")
    ]


def drawn_at(axes):
    """By network's number as it stands in the axes: where its first point is, printer's points."""
    points = [line.get_xydata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    places = chart_axes.on_paper(axes, np.array(points))[:, 0]
    numbers = [text for text in axes.texts if text.get_text().isdecimal()]
    middles = chart_axes.on_paper(axes, np.array([text.get_position() for text in numbers]))[:, 0]
    nearest = np.abs(places[:, None] - middles).argmin(axis=1)
    return {int(text.get_text()): places[nearest == i].min() for i, text in enumerate(numbers)}


def test_networks_without_room_in_narrow_panels_have_it_in_wide_ones():
    figure = figure_of(costing(1.25**n for n in range(14)))
    assert len(figure.axes) == 2
    assert figure.axes[0].get_position().x0 == figure.axes[1].get_position().x0, "one below the other"
    for axes in figure.axes:
        found = drawn_at(axes)
        assert len(found) == 14
        true = chart_axes.on_paper(axes, np.array([(1.3 * 1.25 ** (n - 1), 0.5) for n in found]))[:, 0]
        assert np.abs(true - [*found.values()]).max() < 1


def test_networks_that_have_no_room_anywhere_are_a_scatter():
    figure = figure_of(costing(1.001**n for n in range(14)))
    (axes,) = figure.axes
    assert not [text for text in axes.texts if text.get_text().isdecimal()]
    assert len(lines(axes, FRONT["color"])) >= 1


def test_networks_that_moved_on_stand_in_a_band_and_the_note_says_so():
    def notes(figure):
        return " ".join(text.get_text() for text in figure.texts)

    crowded = figure_of(costing([1, 1.001, 2.5, 6, 15]))
    assert all(axes.patches for axes in crowded.axes)
    assert "the first at what it costs or, in a shaded band, further right." in notes(crowded)
    alone = figure_of(costing([1, 2.5, 6, 15, 40]))
    assert not any(axes.patches for axes in alone.axes)
    assert "the first at what it costs. " in notes(alone)


def test_rows_of_no_panel_are_said_to_stand_in_the_nearest():
    pairs = [("csq", 16), ("csq", 32), ("dch", 32), ("dch", 64)]
    records = [
        priced(recorded.make_record(f"student_{n}", method, *pair), 1.3e6 * 2**n, 0.5 + 0.02 * n + 0.01 * i)
        for n in range(8)
        for i, method in enumerate(("none", "cukd", "ranking"))
        for pair in pairs
    ]
    teacher = priced(recorded.make_record("efficientnet_lite0", "none", "dch", 16), 9e8, 0.97)
    figure = figure_of([*records, teacher])
    stars = [sum(line.get_marker() == "*" for line in axes.lines) for axes in figure.axes]
    assert stars == [1, 0, 1, 1], "its loss or its length"
    said = " ".join(text.get_text() for text in figure.texts)
    assert "Rows of no panel's loss and code length stand in the panels nearest to them." in said


def test_a_rate_goes_the_other_way_and_seems_no_quicker_than_it_is():
    def timed(record):
        value = 1e9 / record.metrics["macs"].value
        rate = Measured(value=value, unit="images/s", higher_is_better=True, noise="timed")
        return record.model_copy(update={"metrics": {**record.metrics, "throughput_ips@64": rate}})

    figure = figure_of([timed(record) for record in tradeoff(seeds=1)], cost="throughput_ips")
    for axes in figure.axes:
        corners = lines(axes, ALL_FRONT["color"])[0].get_xydata()
        assert np.all(np.diff(corners[:, 0]) <= 0)
        assert np.all(np.diff(corners[:, 1]) >= 0)
        assert corners[-1, 0] == axes.get_xlim()[0]
        places = np.concatenate([line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 7])
        assert places.max() <= 1e9 / 1.29e6


def test_what_was_measured_elsewhere_stands_in_the_panels_of_its_length():
    macs = recorded.make_record().metrics["macs"].model_copy(update={"value": 9e6})
    other = recorded.make_external(bits=16, metrics={"macs": macs})
    figure = figure_of([*tradeoff(seeds=1), other])
    numbers = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert ["4" in found for found in numbers] == [True, False, True, False]
    assert any(text.get_text().startswith("My method · 9 M") for text in figure.texts)
