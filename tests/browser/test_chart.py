"""The interactive chart as it is drawn: scales, seeds, and names that cover nothing."""

from __future__ import annotations

import pytest

from bench.published import load_published
from bench.report.charts.ticks import log_ticks, plain
from bench.report.web.site import site
from bench.results.published import beside
from bench.results.summary import summarise
from tests import cited
from tests.browser import material
from tests.browser.test_report_pages import PHONE, main_group

pytestmark = pytest.mark.slow

TRACE = "kind => document.getElementById('chart').data.find(trace => trace.meta === kind)"
LABELS = "axis => [...document.querySelectorAll(`#chart .${axis}tick text`)].map(one => one.textContent)"
BOXES = """selector => [...document.querySelectorAll(`#chart ${selector}`)].map(one => {
    const box = one.getBoundingClientRect();
    return [box.left, box.top, box.right, box.bottom, one.textContent];
})"""


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("ends", [(3.2, 38), (0.05, 70), (1.1, 1.9), (2, 3e7), (1e-5, 1e9)])
def test_ticks_of_a_logarithmic_axis_are_those_of_the_printed_chart(visit, sites, ends):
    folder, _ = sites("decades")
    page = visit(folder / "index.html")
    assert page.evaluate("ends => Report.logTicks(...ends)", ends) == pytest.approx(log_ticks(*ends))
    assert page.evaluate("ends => Report.logAxis(...ends).ticktext", ends) == [
        plain(tick) for tick in log_ticks(*ends)
    ]


@pytest.mark.parametrize(("grid", "scale"), [("decades", "log"), ("tradeoff", "log"), ("one_seed", "linear")])
def test_costs_over_more_than_a_decade_get_a_logarithmic_axis_with_plain_numbers(visit, sites, grid, scale):
    folder, _ = sites(grid)
    page = visit(folder / "index.html")
    assert page.evaluate("document.getElementById('chart').layout.xaxis.type") == scale
    shown = page.evaluate(LABELS, "x")
    assert len(shown) >= 2
    assert all(float(text.replace(",", "")) > 0 for text in shown)
    if scale == "log":
        assert {"5", "10", "20", *(["50"] if grid == "decades" else [])} <= set(shown)


def test_what_each_seed_had_is_marked(visit, sites):
    folder, results = sites("tradeoff")
    page = visit(folder / "index.html")
    group = main_group(results)
    marks = page.evaluate(TRACE, "seeds")
    expected = {
        (i, value) for i, row in enumerate(group.rows) for value in row.estimates[group.accuracy].by_seed
    }
    assert set(zip(marks["customdata"], marks["y"], strict=True)) == expected
    assert len(expected) == 3 * len(group.rows)


def test_one_seed_has_no_marks_of_its_own(visit, sites):
    folder, _ = sites("one_seed")
    assert visit(folder / "index.html").evaluate(TRACE, "seeds")["x"] == []


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 830, "height": 900}}, PHONE])
@pytest.mark.parametrize("grid", ["quick", "tradeoff", "methods"])
def test_names_of_lines_stand_in_the_margin(visit, sites, grid, options):
    folder, _ = sites(grid)
    page = visit(folder / "index.html", **options)
    names = [box for box in page.evaluate(BOXES, ".annotation-text") if box[4].startswith("best")]
    assert sorted(box[4] for box in names) == ["bestteacher", "bestwithoutdistillation"]
    (frame,) = page.evaluate(BOXES, ".bglayer .bg") or page.evaluate(BOXES, ".nsewdrag")
    assert not overlap(*names)
    width = page.evaluate("document.getElementById('chart').getBoundingClientRect().right")
    for name in names:
        assert name[0] >= frame[2]
        assert name[2] <= width
        assert not any(overlap(name, point) for point in page.evaluate(BOXES, ".points path"))


def test_rows_of_different_image_sizes_say_so(visit, sites):
    folder, results = sites("tradeoff")
    page = visit(folder / "index.html")
    (group,) = summarise(results).groups
    smallest, *larger = group.image_sizes
    assert larger
    for size in larger:
        page.get_by_role("checkbox", name=f"{size} px").uncheck()
    assert page.evaluate(TRACE, "points") is not None
    left = [i for i, row in enumerate(group.rows) if row.image_size == smallest]
    assert page.inner_text("#count") == f"{len(left)} of {len(group.rows)} configurations shown"
    said = page.evaluate(TRACE, "points")["hovertext"]
    assert all(f"images of {smallest} px" in text for text in said)
    page.get_by_role("button", name="Show all").click()
    page.locator("[data-key=size]").click()
    first = page.locator("table.board:visible tbody tr").first
    assert first.locator("td").first.inner_text() == str(smallest)
    page.locator("[data-key=size]").click()
    assert first.locator("td").first.inner_text() == str(larger[-1])


def test_published_figures_are_hollow_points_by_their_own_accuracy_alone(visit, tmp_path):
    results = material.write(tmp_path, cited.records())
    summary = summarise(results)
    own = {group.slug: beside(load_published(), group) for group in summary.groups}
    for path, content in site(summary, results, within=0.02, downloads=[], published=own).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    page = visit(tmp_path / "index.html")
    words = "document.getElementById('chart-words').textContent"
    assert page.evaluate(TRACE, "published")["x"] == []
    assert page.evaluate(words).startswith("Published figures are by mAP@all (index ties, ÷ hits): choose it")
    front = page.evaluate(TRACE, "front")
    page.select_option("#y", "map@all:index:hits")
    page.select_option("#x", "params")
    drawn = page.evaluate(TRACE, "published")
    assert len(drawn["y"]) == 13
    assert drawn["x"][0] == pytest.approx(57.2, abs=0.01)
    assert "published, best epoch on the test queries<br>DeepHash-pytorch" in drawn["hovertext"][0]
    assert "Hollow diamonds: 13 published by others, not ranked; 1 more too far below" in page.evaluate(words)
    # 0.921 would be above every row; the front ends where it did.
    assert max(page.evaluate(TRACE, "front")["y"]) < 0.85
    assert len(front["x"]) > 1


AT = """() => {
    const [chart, found] = [document.getElementById('chart'), []];
    const { xaxis } = chart._fullLayout;
    for (const trace of chart.data.filter((trace) => trace.meta === 'points'))
        trace.x.forEach((x, i) => found.push([trace.customdata[i], xaxis.d2p(x)]));
    return found;
}"""


@pytest.mark.parametrize(("options", "pixels"), [({}, 9), (PHONE, 3.8)])
def test_methods_of_one_cost_stand_side_by_side_where_points_are_many(visit, sites, options, pixels):
    folder, results = sites("crossed")
    page = visit(folder / "index.html", **options)
    group = main_group(results)
    at = dict(page.evaluate(AT))
    assert len(at) == 92
    for i, row in enumerate(group.rows):
        one = row.configuration
        if row.role != "undistilled":
            continue
        same = [
            other
            for other, candidate in enumerate(group.rows)
            if candidate.role == "distilled"
            and (candidate.configuration.student, candidate.configuration.loss, candidate.configuration.bits)
            == (one.student, one.loss, one.bits)
        ]
        # The plain student is last: nothing stands where it would cost less.
        assert len(same) == 2
        apart = sorted(at[i] - at[other] for other in same)
        assert apart == pytest.approx([pixels, 2 * pixels], abs=1.5)
    assert max(at.values()) < page.evaluate("document.getElementById('chart')._fullLayout.xaxis._length") - 4
    said = page.inner_text("#chart-words")
    assert "side by side" in said
    assert "Choose one loss or one code length for all bars." in said


def test_few_points_stand_at_what_they_cost(visit, sites):
    folder, _ = sites("crossed")
    page = visit(folder / "index.html", "#no-loss=dch&no-bits=64+bit")
    at = page.evaluate(AT)
    assert len(at) == 23
    assert len({round(x) for _, x in at}) <= 9
    assert "side by side" not in page.inner_text("#chart-words")
