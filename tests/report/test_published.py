"""Published figures in a report: hollow points and lines of their own, and nothing else changes."""

from __future__ import annotations

import json
import re

import pytest

from bench.published import load_published
from bench.report.charts import plots
from bench.report.charts.points import Points
from bench.report.charts.styles import Styles
from bench.report.render import render
from bench.report.tables.published import front_columns_beside, published_columns
from bench.report.web.site import site
from bench.results.folder import Results
from bench.results.published import beside
from bench.results.summary import summarise
from tests import cited, recorded
from tests.browser import material

ASKED = [("map", "macs"), ("map", "params")]


@pytest.fixture(scope="module")
def own():
    (group,) = summarise(Results(None, "x", [], cited.records(), [])).groups
    return beside(load_published(), group)


@pytest.fixture(scope="module")
def fronts(own):
    return {cost: front for (_, cost), front in own.fronts(ASKED)}


def cells(front, own):
    columns = front_columns_beside(front, own)
    heads = [column.head for column in columns]
    lines = zip(*(column.cells for column in columns), strict=True)
    return [dict(zip(heads, line, strict=True)) for line in lines]


def test_they_stand_below_the_rows_of_their_accuracy(own, fronts):
    lines = cells(fronts["params"], own)
    published = [line for line in lines if line["standing"].startswith("published")]
    assert lines[-len(published) :] == published
    assert len(published) == len(own.figures)
    assert {
        "standing": "published, last epoch", "student": "AlexNet", "method": "none", "loss": "DCH",
        "bits": "48", "mAP@all": "0.768", "parameters": "57.20",
    } in published  # fmt: skip
    assert published[0]["loss"] == "ADSH"


def test_a_chart_has_a_hollow_point_for_each_that_is_near(own, fronts):
    front = fronts["params"]
    points = own.points(front.accuracy, front.cost)
    drawn = Points.of(front, points)
    # The network with collapsed codes would squeeze all others.
    assert (len(drawn.published), drawn.outside) == (13, 1)
    assert {one.figure.loss for one in drawn.published if one.named} == {"dch", "csq"}
    with plots.look():
        figure = plots.draw("x", front, Styles([own.group]), points)
    (axes,) = figure.axes
    (hollow,) = (line for line in axes.lines if line.get_marker() == "d")
    assert hollow.get_markerfacecolor() == "white"
    assert list(hollow.get_ydata()) == pytest.approx([one.y for one in drawn.published])
    # They never seem to cost less than they do, nor as much as something dearer.
    assert min(hollow.get_xdata()) >= 57.20
    low, high = axes.get_xlim()
    assert low < min(hollow.get_xdata())
    assert max(hollow.get_xdata()) < high
    texts = {text.get_text() for text in axes.texts}
    assert "0.768, last epoch" in texts or "0.810, best on test" in texts


def test_without_them_a_chart_is_what_it_was(own, fronts):
    with plots.look():
        figure = plots.draw("x", fronts["params"], Styles([own.group]))
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "d"]


def test_a_report_has_them_when_asked_and_recommends_as_before(tmp_path):
    material.write(tmp_path / "run", cited.records())
    plain = render([tmp_path / "run"], out=tmp_path / "plain", formats=["svg"])
    made = render([tmp_path / "run"], out=tmp_path / "made", formats=["svg"], published=load_published())
    charts = {path.name for path in made.paths} - {path.name for path in plain.paths}
    assert charts == {"pareto_map@all-index-hits_macs.svg", "pareto_map@all-index-hits_params.svg"}
    said = [line for line in made.advice if line not in plain.advice]
    assert said[0] == f"{plain.advice[0]}: 14 published figures stand beside these rows"
    assert said[1].startswith(
        "  Published figures of this data set that are left out: 11 of other splits; 5 "
    )
    assert [line for line in made.advice if line not in said] == plain.advice
    without, with_them = ((tmp_path / name / "table.md").read_text() for name in ("plain", "made"))
    assert "published" not in without.lower()
    assert without.split("## What the words")[0] in with_them
    assert "| published, last epoch" in with_them
    assert "https://github.com/swuxyj/DeepHash-pytorch" in with_them
    assert (tmp_path / "plain/table.csv").read_bytes() == (tmp_path / "made/table.csv").read_bytes()
    assert "published, last epoch" in (tmp_path / "made/table.tex").read_text()
    for name in ("pareto_map_macs.svg", "pareto_map_params.svg"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "made" / name).read_bytes()


def test_shares_are_in_tables_beside_ours_and_in_no_chart(tmp_path):
    costs = {"params": 15.0, "params_before": 40.0, "macs": 6.0, "macs_before": 12.0}
    made = recorded.make_record(
        "torchvision:resnet101", "cdd", "none", 0, dataset="veri776", params={"dataset": {}},
        protocol={"split": "veri776-q1678-t37778"},
        metrics={
            "map_reid": recorded.accuracy(0.7, "expected"),
            **{name: recorded.cost(value, "parameters") for name, value in costs.items()},
        },
    )  # fmt: skip
    results = material.write(tmp_path / "run", [made])
    report = render([tmp_path / "run"], out=tmp_path / "out", formats=["svg"], published=load_published())
    assert not [path for path in report.paths if "saved" in path.name]
    lines = [line.split("|")[1:] for line in (tmp_path / "out/table.md").read_text().splitlines()]
    table = [[cell.strip() for cell in line[:6]] for line in lines if "saved" in "".join(line)]
    assert [line for line in table if line[0]] == [
        ["published", "ResNet-101", "CDD", "float", "67.13 % parameters saved, 65.67 % MACs saved", "–"],
        ["published", "ResNet-101", "JDP", "float", "80 % parameters saved, 78.52 % MACs saved", "–"],
        [
            *("measured here", "torchvision:resnet101", "cdd", "float"),
            *("62.5 % parameters saved, 50 % MACs saved", "–"),
        ],
    ]
    assert "67.13 \\% parameters saved" in (tmp_path / "out/table.tex").read_text()
    summary = summarise(results)
    beside_them = {group.slug: beside(load_published(), group) for group in summary.groups}
    page = site(summary, results, within=0.02, downloads=[], published=beside_them)["index.html"].decode()
    (group,) = json.loads(re.search(r'id="report-data">(.*?)</script>', page)[1])["groups"]
    assert group["published"] == []
    name = "CDD · ResNet-101 · float, 67.13 % parameters saved, 65.67 % MACs saved"
    assert f'<span class="name">{name}</span>' in page
    assert "62.5 % parameters saved, 50 % MACs saved, measured here." in page


def test_one_number_of_two_epochs_is_of_the_best_in_no_table():
    made = cited.record("alexnet", "hashnet", 48, protocol={"split": "cifar10-0-q100-t500-s0"})
    (group,) = summarise(Results(None, "x", [], [made], [])).groups
    columns = {column.head: column.cells for column in published_columns(beside(load_published(), group))}
    lines = zip(*(columns[head] for head in ("system", "figure", "of which epoch", "source")), strict=True)
    hashnet = [line[1:] for line in lines if line[0] == "HashNet"]
    assert [line[:2] for line in hashnet] == [
        ("mAP@all 0.782", "last epoch"),
        ("mAP@all 0.782", "–"),
        ("mAP@all 0.797", "best epoch on the test queries"),
    ]
    assert hashnet[1][2].endswith(
        "the best epoch, as the README says; the last, as the author's later run does"
    )


def test_the_page_has_them_below_its_table_and_for_its_chart(tmp_path):
    results = material.write(tmp_path, cited.records())
    summary = summarise(results)
    own = {group.slug: beside(load_published(), group) for group in summary.groups}
    page, without = (
        site(summary, results, within=0.02, downloads=[], published=asked)["index.html"].decode()
        for asked in (own, None)
    )
    data, plain = (
        json.loads(re.search(r'id="report-data">(.*?)</script>', one)[1]) for one in (page, without)
    )
    (group,), (bare,) = data["groups"], plain["groups"]
    assert bare["published"] == []
    assert 'tbody class="published"' not in without
    assert page.count('<span class="badge" title="DeepHash-pytorch (ab14068), ') == 14
    (first, *_), names = group["published"], group["names"]
    assert (first["name"], first["said"]) == (
        "ADSH · AlexNet · 48 bit",
        "published, best epoch on the test queries",
    )
    numbers = dict(zip(names, first["values"], strict=True))
    # By the accuracy that it is of and no other, whatever the same network scores here.
    assert numbers["map@all:index:hits"] == 0.921
    assert numbers["map@all:expected:relevant"] is None
    assert numbers["params"] == 57_069_392 + 32 * 4097
    assert [row["name"] for row in group["rows"]] == [row["name"] for row in bare["rows"]]
    assert group["pairs"][: len(bare["pairs"])] == bare["pairs"]
