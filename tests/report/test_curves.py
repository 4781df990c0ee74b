"""Curves as people see them: the picture, its tables, and what the page shows."""

import functools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.comparison.gains import gains
from bench.report.charts import axes as chart_axes
from bench.report.charts.curve_facets import facets_of
from bench.report.charts.curve_panel import spread
from bench.report.charts.curves import curve_chart
from bench.report.charts.files import FORMATS
from bench.report.charts.text import SMALL, WIDTH
from bench.report.render import render
from tests.curved import LABELS, PATH, labelled, split_of, write_curved
from tests.report.charts import words
from tests.report.curves import curve_of, figure_of
from tests.scored import MAP

STEM = f"curve_map_{PATH}"


@pytest.fixture
def curve(tmp_path):
    return functools.partial(curve_of, tmp_path / "labels")


def svg_of(one, styles):
    return curve_chart("labels", one, styles, ["svg"])["svg"]


# -- The picture ---------------------------------------------------------------------------------


def test_the_chart_says_what_it_shows(curve):
    text = words(svg_of(*curve(labelled())))
    for expected in (
        "mAP@all against labelled images a class · fashion_mnist",
        "Grid labels · cukd_v1 · loss csq · 32 bit · images of 64 px · 3 seeds",
        "labelled images a class (dataset.train_per_class)",
        "mAP@all, more is better",
        "cukd",
        "no distillation",
        "teacher · efficientnet_lite0",
    ):
        assert expected in text
    notes = " ".join(text)
    assert "Bars: 95 % interval over seeds (Student's t, n = 3)" in notes
    assert "Queries and database are the same images at every value." in notes


def test_the_same_records_give_the_same_bytes(curve, monkeypatch):
    one, styles = curve(labelled())
    first = curve_chart("labels", one, styles, FORMATS)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert curve_chart("labels", one, styles, FORMATS) == first
    assert first.keys() == set(FORMATS)


def test_ticks_stand_at_exactly_the_values_that_were_run(curve):
    (axes,) = figure_of(*curve(labelled())).axes
    assert axes.get_xscale() == "log"
    assert list(axes.get_xticks()) == list(LABELS)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10", "20", "50", "200", "500"]
    assert list(axes.get_xticks(minor=True)) == []


def test_values_of_less_than_a_decade_stand_on_a_linear_axis(curve):
    (axes,) = figure_of(*curve(labelled((5, 10, 40)))).axes
    assert axes.get_xscale() == "linear"
    assert list(axes.get_xticks()) == [5, 10, 40]


def test_labels_that_would_run_into_each_other_are_left_out(curve):
    values = (100_000, 140_000, 900_000)
    (axes,) = figure_of(*curve(labelled(values, seeds=1))).axes
    assert list(axes.get_xticks()) == list(values)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["", "140,000", "900,000"]


def test_lines_of_equal_accuracy_stand_beside_each_other(curve):
    one, styles = curve(labelled(methods=("none", "cukd", "ranking"), losses=("csq", "dch")))
    (axes,) = figure_of(one, styles).axes
    points = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert len(points) == 7 * len(LABELS)
    places = chart_axes.on_paper(axes, np.array([(x, 0.5) for x in points]))[:, 0]
    true = chart_axes.on_paper(axes, np.array([(x, 0.5) for x in LABELS]))[:, 0]
    nearest = np.abs(places[:, None] - true).argmin(axis=1)
    for value in range(len(LABELS)):
        mine = np.sort(places[nearest == value])
        assert len(mine) == 7
        assert np.diff(mine).min() > 3
        assert np.ptp(mine) < 0.5 * np.diff(true).min()


def test_names_at_line_ends_do_not_touch(curve):
    one, styles = curve(labelled(methods=("none", "cukd", "ranking"), losses=("csq", "dch")))
    figure = figure_of(one, styles)
    assert len(figure.axes) == 1
    ends = sorted(text.get_position()[1] for text in figure.texts if text.get_position()[0] > WIDTH - 2.7)
    assert len(ends) == 7
    assert min(np.diff(ends)) > SMALL / 72


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9), st.floats(0.1, 30))
def test_names_are_apart_in_order_and_inside(wanted, step):
    places = spread(np.sort(wanted), step, 0, 100)
    least = min(step, 100 / max(1, len(wanted) - 1))
    assert (np.diff(places) >= least - 1e-6).all()
    assert places[0] >= -1e-6
    assert places[-1] <= 100 + 1e-6


def test_names_that_have_room_stay_where_they_are():
    assert spread(np.array([1.0, 20.0, 50.0]), 5, 0, 100).tolist() == [1, 20, 50]
    assert spread(np.array([50.0, 50.0]), 10, 0, 100).tolist() == [45, 55]


def test_many_lines_become_small_multiples_with_one_vertical_axis(curve):
    one, styles = curve(
        labelled(methods=("none", "cukd", "ranking"), losses=("csq", "dch"), bits=(16, 32), teacher=True)
    )
    assert len(one.lines) == 13
    assert facets_of(one) in {("loss",), ("bits",)}
    figure = figure_of(one, styles)
    assert len(figure.axes) == 2
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    text = [text.get_text() for text in figure.texts]
    assert {"loss csq", "loss dch"} <= set(text)
    assert text.count("16 bit · cukd") == 1


def test_teachers_stand_beside_every_student(curve):
    students = ("cukd_v1", "cukd_v2", "resnet18", "resnet34")
    one, styles = curve(labelled((5, 50), students=students, methods=("none", "cukd", "ranking")))
    assert facets_of(one) == ("student",)
    figure = figure_of(one, styles)
    assert len(figure.axes) == len(students)
    for axes in figure.axes:
        assert sum(len(line.get_xdata()) == 1 for line in axes.lines) == 2 * 4


def test_points_of_one_value_are_said_to_stand_side_by_side_with_and_without_bars(curve):
    def without(cells):
        for record, split in cells:
            metrics = {**record.metrics, MAP: record.metrics[MAP].model_copy(update={"interval": None})}
            yield record.model_copy(update={"metrics": metrics}), split

    text = " ".join(words(svg_of(*curve([*without(labelled((5, 10), seeds=1))]))))
    assert "Bars" not in text
    assert "Points of one value stand side by side." in text


def test_configurations_that_have_no_such_number_are_counted(curve):
    one, styles = curve(labelled((5, 10), seeds=1))
    assert "and no line" not in " ".join(words(svg_of(one, styles)))
    text = " ".join(words(svg_of(replace(one, lacking=2), styles)))
    assert f"2 configurations have no number {PATH}, and no line." in text


def test_bars_cut_by_the_frame_are_said_to_be(curve):
    text = " ".join(words(svg_of(*curve(labelled(seeds=2)))))
    assert ", some cut by the frame:" in text
    assert "two seeds cannot tell" in text


def test_points_of_the_drawing_tell_their_numbers(curve):
    one, styles = curve(labelled())
    root = ET.fromstring(svg_of(one, styles))
    told = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(told) == 3 * len(LABELS)
    assert all(re.fullmatch(r".+, labelled images a class \d+: mAP@all 0\.\d{3} ± 0\.\d{3}", text)
               for text in told)  # fmt: skip
    assert "tip-" not in ET.tostring(root, encoding="unicode")


def test_names_of_others_are_text_and_nothing_else(curve):
    one, styles = curve(labelled((5, 10), students=("<b>&amp;$x_1$",)))
    root = ET.fromstring(svg_of(one, styles))
    assert any("<b>&amp;$x_1$" in text for text in words(ET.tostring(root)))


def test_limited_runs_say_so(curve):
    one, styles = curve(labelled((5, 10), protocol={"limit": 50}))
    assert "LIMITED RUN, NOT COMPARABLE" in words(svg_of(one, styles))


# -- The report ----------------------------------------------------------------------------------


def test_a_report_has_files_tables_and_drawings(tmp_path):
    write_curved(tmp_path, labelled(), scored=True)
    made = render([tmp_path], gains=gains)
    names = [path.name for path in made.paths]
    assert [name for name in names if "curve" in name] == [f"{STEM}.{form}" for form in FORMATS]
    with Image.open(tmp_path / "report" / f"{STEM}.png") as picture:
        assert picture.width == 2 * 830
    assert made.problems == []
    table = (tmp_path / "report/table.md").read_text()
    section = table[table.index("## mAP@all against labelled images a class · fashion_mnist") :]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in rows[0]] == ["student", "method", *map(str, LABELS)]
    assert len(rows) == 2 + 3 + 2 + 1
    assert re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", rows[2][2].strip())
    assert "### What distillation adds" in section
    assert re.fullmatch(r"\*\*\+0\.\d{3} \\\[\+0\.\d{3}, \+0\.\d{3}\\\]\*\*", rows[-1][2].strip())
    assert "after correction for asking 6 times (Holm)" in section
    page = (tmp_path / "report/index.html").read_text()
    assert page.count("<svg") > page.count('<svg class="mark') == page.count("<svg") - 1
    assert "What distillation adds" in page
    assert f'href="{STEM}.svg"' in page


def test_asked_formats_alone_are_written(tmp_path):
    write_curved(tmp_path, labelled((5, 10)))
    names = [path.name for path in render([tmp_path], formats=["png"]).paths]
    assert [name for name in names if name.startswith("curve")] == [f"{STEM}.png"]
    assert "<title>cukd, labelled images a class 5" in (tmp_path / "report/index.html").read_text()


def test_data_sets_have_curves_of_their_own(tmp_path):
    cells = [*labelled((5, 10)), *labelled((5, 10), dataset="digits")]
    write_curved(tmp_path, cells)
    names = [path.name for path in render([tmp_path], formats=["svg"]).paths]
    assert [name for name in names if name.startswith("curve")] == [
        f"{STEM}_digits.svg",
        f"{STEM}_fashion_mnist.svg",
    ]


def test_what_cannot_be_drawn_is_a_line_of_the_report(tmp_path, bench):
    write_curved(tmp_path / "labels", labelled((5, 10), split=lambda n: split_of(n, queries=n)))
    done = bench("report", tmp_path / "labels")
    assert done.code == 2
    assert f"report: curves: [map, {PATH}]: fashion_mnist: {PATH} 5 and 10 are on no common curve" in done.err
    assert not [*(tmp_path / "labels/report").glob("curve*")]


def test_a_report_without_curves_is_as_it_was(tmp_path):
    cells = labelled((5, 10))
    write_curved(tmp_path, cells, curves=())
    made = render([tmp_path])
    assert not [path for path in made.paths if "curve" in path.name]
    page = (tmp_path / "report/index.html").read_text()
    assert "curves-section" not in page
    assert "labelled images a class" not in (tmp_path / "report/table.md").read_text()


def test_colours_are_those_of_the_other_charts(curve):
    one, styles = curve(labelled(methods=("none", "cukd", "ranking")))
    (axes,) = figure_of(one, styles).axes
    colours = {line.get_color() for line in axes.lines if len(line.get_xdata()) == len(LABELS)}
    assert colours == {"#0072B2", "#D55E00", "#7F7F7F", "#000000"}
