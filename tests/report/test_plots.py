import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.report.charts import key as chart_key
from bench.report.charts.points import Points
from bench.report.charts.side_by_side import shifts
from bench.results.folder import load_results
from bench.results.records import Measured
from tests.report.charts import PUBLISHED, draw, figure_of, fronts_of, many, priced, two_students, words

# -- To be read by a stranger --------------------------------------------------------------------


def test_a_png_has_two_pixels_for_each_of_a_readme(run_records):
    (chart,) = draw(run_records)
    assert Image.open(io.BytesIO(chart["png"])).width == 2 * 830


def test_what_matters_is_named_and_nothing_that_all_share():
    (chart,) = draw(two_students())
    text = words(chart["svg"])
    for expected in (
        "mAP@all against multiply-adds per image · fashion_mnist",
        "Grid fashion · 32 bit · images of 32 px, teacher 64 px · 3 seeds",
        "timm:test_resnet (recommended)",
        "cukd_v1 · cukd",
        "cukd_v1 · no distillation",
        "efficientnet_lite0 (teacher, 64 px)",
        "best teacher",
        "multiply-adds per image (M), less is better",
        "mAP@all, more is better",
        "Pareto front",
        "no distillation",
        "loss csq",
        "single seeds",
        "about the same cost, side by side",
        "recommended: smallest student within 0.02 of the best one",
    ):
        assert expected in text
    assert "best without" in text
    assert not any("32 bit" in line for line in text[2:] if "Grid" not in line)
    # One cost for four points: it is said once.
    assert text.count("4.09") == text.count("22.6") == text.count("31.4") == 1


def test_names_of_one_network_tell_its_points_apart(run_records):
    (chart,) = draw(run_records)
    text = words(chart["svg"])
    assert {"cukd_v1 · 16 bit (recommended)", "cukd_v1 · 32 bit · cukd"} <= set(text)
    assert "cukd_v1 · 32 bit · no distillation" in text
    assert "0.842 ± 0.005" in text


def resized(record, size):
    return record.model_copy(update={"cell": record.cell.model_copy(update={"image_size": size})})


def test_sizes_of_images_are_said_by_point_where_students_differ():
    records = [resized(one, 48) if one.cell.student == "cukd_v1" else one for one in two_students()]
    (chart,) = draw(records)
    text = words(chart["svg"])
    assert {"efficientnet_lite0 (teacher, 64 px)", "timm:test_resnet (recommended, 32 px)"} <= set(text)
    assert "cukd_v1 · cukd (48 px)" in text
    assert "Grid fashion · 32 bit · 3 seeds" in text


def test_sizes_of_images_are_not_said_twice():
    some = two_students()
    (chart,) = draw([*some, *(resized(one, 48) for one in some if one.cell.student == "timm:test_resnet")])
    assert "timm:test_resnet[image_size=32] (recommended)" in words(chart["svg"])


# -- Points --------------------------------------------------------------------------------------


def lines_with(figure, **look):
    """The lines of the axes whose getters return these values."""
    (axes,) = figure.axes
    return [line for line in axes.lines if all(getattr(line, f"get_{k}")() == v for k, v in look.items())]


def test_what_each_seed_had_is_marked_on_the_bar():
    figure = figure_of(two_students())
    ticks = lines_with(figure, marker="_")
    assert len(ticks) == 10
    expected = {tuple(np.round([value - 0.006, value, value + 0.006], 6)) for value in (0.915, 0.962, 0.75)}
    assert expected <= {tuple(np.round(line.get_ydata(), 6)) for line in ticks}
    # As faint as they may be to be seen, and wider than the marker that would hide them.
    assert all(line.get_alpha() < 0.7 and line.get_markersize() > 11 for line in ticks)


def test_one_seed_has_no_marks_of_its_own(make_record):
    figure = figure_of([make_record(), make_record(bits=16)])
    assert lines_with(figure, marker="_") == []


def test_the_ring_of_the_recommended_point_is_apart_from_its_marker():
    _, (front,) = styles, fronts = fronts_of(two_students())
    points = Points.of(fronts[0])
    for records in (two_students(), many()):
        styles, (front,) = fronts_of(records)
        points = Points.of(front)
        around, marker = chart_key.marks(points, points.recommended, styles)
        diagonal = marker["markersize"] * 2**0.5  # of a square, which is the widest marker
        assert around["markersize"] - around["markeredgewidth"] > diagonal + marker["markeredgewidth"]
        assert around["markersize"] > chart_key.ring(marker["markersize"])["markersize"]


def test_distillation_is_joined_to_the_same_student_without():
    _, (front,) = fronts_of(two_students())
    points = Points.of(front)
    said = {
        tuple(
            f"{row.configuration.student} {row.configuration.method} {row.configuration.loss}" for row in pair
        )
        for pair in ([points.rows[i] for i in pair] for pair in points.gains)
    }
    assert said == {
        (f"{student} none {loss}", f"{student} cukd {loss}")
        for student in ("timm:test_resnet", "cukd_v1")
        for loss in ("csq", "dch")
    }


at_paper = st.lists(st.floats(0, 400), min_size=10, max_size=10)


@given(at_paper, st.booleans())
def test_points_of_one_cost_stand_side_by_side_away_from_the_front(at, rising):
    _, (front,) = fronts_of(TWO_STUDENTS)
    points = Points.of(front)
    if rising:
        axis = type(points.x)(points.x.name, True, 1e6, "", points.x.estimates)
        points = type(points)(**{**points.__dict__, "x": axis})
    at = np.array(at)
    moved = shifts(points, at, (0.0, 400.0))
    sign = -1 if rising else 1
    assert np.all(sign * moved > -4.1), "no point leaves the side that it dominates, but by a hair"
    after = sign * (at + moved)
    edge = 0.0 if rising else 400.0
    assert np.all(after <= np.maximum(sign * edge, sign * at) + 1e-9)
    far = [(i, j) for i in range(10) for j in range(10) if sign * (at[j] - at[i]) > 8.1]
    assert all(after[i] < after[j] + 1e-9 for i, j in far), "the order of costs stays"


TWO_STUDENTS = two_students()


def test_the_staircase_is_monotone_through_moved_points(run_records):
    for records in (run_records, two_students(), load_results(PUBLISHED / "quick").records):
        figure = figure_of([record for record in records if record.status == "ok"])
        (line,) = [
            line for line in figure.axes[0].lines if len(line.get_xdata()) > 2 and line.get_marker() == "None"
        ]
        assert np.all(np.diff(line.get_xdata()) >= 0)
        assert np.all(np.diff(line.get_ydata()) >= 0)


# -- Axes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "scale"), [(7.6, "linear"), (10.0, "linear"), (10.1, "log"), (1e4, "log")]
)
def test_costs_over_more_than_a_decade_get_a_logarithmic_axis_with_plain_numbers(make_record, factor, scale):
    records = [priced(make_record(f"s{i}"), 4e6 * factor**i, 0.6 + 0.1 * i) for i in range(2)]
    figure = figure_of(records)
    assert figure.axes[0].get_xscale() == scale
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    axis = figure.axes[0].xaxis
    ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
    labels = [(at, label.get_text()) for at, label in ticks if low <= at <= high]
    assert 2 <= len(labels) <= 9
    assert all(float(text.replace(",", "")) == pytest.approx(at) and "e" not in text for at, text in labels)
    if factor == 10.1:
        assert {"5", "10", "20", "30"} <= {text for _, text in labels}
    assert not any(text for text in (t.get_text() for t in figure.axes[0].get_xticklabels(minor=True)))


def test_an_accuracy_has_no_ticks_beyond_what_it_can_be(make_record):
    records = [make_record(f"s{i}") for i in range(2)]
    figure = figure_of([priced(record, 1e6 * (1 + i), 0.9 + 0.099 * i) for i, record in enumerate(records)])
    assert max(figure.axes[0].get_yticks()) <= 1 < figure.axes[0].get_ylim()[1]


# -- Words ---------------------------------------------------------------------------------------


def test_same_records_same_bytes(run_records, monkeypatch):
    first = draw(run_records)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert draw(run_records) == first


def test_limited_runs_have_no_front(make_record):
    (chart,) = draw([make_record(bits=bits, protocol={"limit": 10}) for bits in (16, 32)])
    text = "\n".join(words(chart["svg"]))
    assert "NOT COMPARABLE" in text
    assert "Pareto front" not in text


def test_a_cost_of_which_more_is_better(make_record):
    record = make_record()
    speed = Measured(value=500.0, unit="images/s", higher_is_better=True, noise="timed")
    record = record.model_copy(update={"metrics": {**record.metrics, "throughput_ips@64": speed}})
    (chart,) = draw([record], cost="throughput_ips")
    assert "throughput, batch 64 (images/s), more is better" in words(chart["svg"])


def test_any_name_can_be_drawn(make_record):
    hostile = r"_$x_1$ <b>&amp; \frac{1} 日本" + "\x00\n"
    records = [make_record(hostile, loss=hostile, bits=16), make_record(hostile, "_m", bits=16)]
    (chart,) = draw(records)
    assert any(r"_$x_1$ <b>&amp; \frac{1} 日本" in text for text in words(chart["svg"]))


def scattered(make_record, count, spread=0.002):
    """Configurations of falling accuracy and rising cost, one seed each."""
    return [
        priced(
            make_record(f"s{i:03d}", method="none" if i % 2 else "cukd", bits=16),
            1e6 * (i + 10),
            0.9 - spread * i,
        )
        for i in range(count)
    ]


def full_markers(figure):
    """Points that are drawn in full, not small and pale."""
    (axes,) = figure.axes
    return [line for line in axes.lines if line.get_zorder() == 3 and line.get_markerfacecolor() != "none"]


@pytest.mark.parametrize(
    ("count", "spread", "full", "rest"),
    [
        (24, 0.002, 24, None),
        # The first is on the front, and ten more have intervals that overlap with its own.
        (60, 0.002, 11, "49 behind the front"),
        (100, 0.0001, 24, "76 more not distinguishable"),
    ],
)
def test_of_many_rows_those_that_matter_are_drawn_in_full(make_record, count, spread, full, rest):
    records = scattered(make_record, count, spread)
    assert len(full_markers(figure_of(records))) == full
    (chart,) = draw(records)
    assert (rest in words(chart["svg"])) == (rest is not None)


def test_many_limited_rows(make_record):
    records = [make_record(f"s{i:03d}", protocol={"limit": 9}) for i in range(50)]
    assert len(full_markers(figure_of(records))) == 24
    (chart,) = draw(records)
    assert "26 others" in words(chart["svg"])


def changed(record, name, **detail):
    metric = record.metrics[name].model_copy(update={"detail": detail})
    return record.model_copy(update={"metrics": {**record.metrics, name: metric}})


def signs(figure):
    (axes,) = figure.axes
    return [line for line in axes.lines if line.get_zorder() == 3.5]


@pytest.mark.parametrize(
    ("name", "detail", "cost", "said"),
    [
        ("latency_ms@1", {"noisy": True}, "latency_ms", "† unsteady timings"),
        ("macs", {"fully_counted": False}, "macs", "‡ not fully counted, at least so many"),
    ],
)
def test_costs_that_are_in_doubt_are_marked(make_record, name, detail, cost, said):
    some = [changed(make_record(), name, **detail), make_record(loss="dch")]
    figure = figure_of(some, cost=cost)
    assert len(signs(figure)) == 1
    assert said in [text.get_text() for text in figure.texts]
    # Where all are in doubt, the axis is.
    figure = figure_of([changed(record, name, **detail) for record in some], cost=cost)
    assert signs(figure) == []
    assert figure.axes[0].get_xlabel().endswith(f"is better {said[0]}")
    assert said in [text.get_text() for text in figure.texts]
    figure = figure_of(some, cost="params")
    assert signs(figure) == []


def test_rows_that_are_warned_of_are_marked(make_record):
    warned = make_record(loss="dch").model_copy(update={"warnings": ["the codes have collapsed"]})
    figure = figure_of([make_record(), warned])
    assert len(signs(figure)) == 1
    assert "§ the record carries a warning" in [text.get_text() for text in figure.texts]


def test_what_the_bars_are(run_records, make_record):
    (chart,) = draw(run_records)
    assert "Bars and ±: 95 % interval over seeds (Student's t, n = 3)." in " ".join(words(chart["svg"]))
    two = [make_record(seed=seed) for seed in range(2)]
    (chart,) = draw([priced(record, 1e6, 0.6 + 0.2 * i) for i, record in enumerate(two)])
    assert "cut by the frame" in " ".join(words(chart["svg"]))


def test_pdf_embeds_truetype(run_records):
    (chart,) = draw(run_records)
    assert b"/FontFile2" in chart["pdf"]
    assert b"/Type3" not in chart["pdf"]
    for word in (b"CreationDate", b"Producer", b"Matplotlib"):
        assert word not in chart["pdf"]
