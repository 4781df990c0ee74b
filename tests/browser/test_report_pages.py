"""The web report as a reader meets it: in a browser, from the disk, by mouse, finger and keyboard."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.report.web.site import site
from bench.results import commands, fronts
from bench.results.summary import summarise
from tests.browser import material
from tests.recorded import cost, make_external

pytestmark = pytest.mark.slow

GRIDS = ["methods", "everything", "hostile"]
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

DRAWN = """kind => document.getElementById("chart").data
    .filter(trace => trace.meta === kind).flatMap(trace => trace.customdata)"""


def drawn(page, kind="points"):
    """Places of the rows that the chart shows."""
    return page.evaluate(DRAWN, kind)


def column(page, head):
    """The visible texts of a column of the table that is shown."""
    return page.evaluate(
        """head => {
            const table = [...document.querySelectorAll("table.board")].find(one => one.offsetParent);
            const heads = [...table.tHead.rows[0].cells];
            const place = heads.findIndex(cell => cell.querySelector("button")?.textContent === head);
            return [...table.tBodies[0].rows].filter(row => !row.hidden)
                .map(row => row.cells[place].textContent.trim());
        }""",
        head,
    )


def main_group(results):
    return max(summarise(results).groups, key=lambda group: len(group.rows))


def number(text):
    return float(text.rstrip("†").split()[0])


@pytest.mark.parametrize("grid", GRIDS)
def test_index_shows_every_row(visit, sites, grid):
    folder, results = sites(grid)
    page = visit(folder / "index.html")
    rows = main_group(results).rows
    assert sorted(drawn(page)) == list(range(len(rows)))
    assert page.inner_text("#count") == f"{len(rows)} of {len(rows)} configurations shown"
    assert page.locator("table.board:visible tbody tr:visible").count() == len(rows)
    assert page.locator("#chart .scatterlayer .points path").count() >= len(rows)


@pytest.mark.parametrize("grid", [*GRIDS, "seedless"])
def test_every_axis_draws_points_and_the_front_that_the_tables_have(visit, sites, grid):
    folder, results = sites(grid)
    page = visit(folder / "index.html")
    group = main_group(results)
    accuracies, costs = (
        page.eval_on_selector_all(f"#{axis} option", "all => all.map(one => one.value)") for axis in "yx"
    )
    for y, x in [(y, costs[0]) for y in accuracies] + [(accuracies[0], x) for x in costs]:
        page.select_option("#y", y)
        page.select_option("#x", x)
        expected = fronts.front_of(group, y, x, 0.02)
        places = {id(row): i for i, row in enumerate(group.rows)}
        assert len(drawn(page)) == len(expected.rows) > 0
        assert set(drawn(page, "front")) == {places[id(row)] for row in expected.standing("front")}
        close = expected.standing("close") if any(row.estimates[y].interval for row in expected.rows) else []
        assert set(drawn(page, "close")) == {places[id(row)] for row in close}
        assert drawn(page, "pick") == [places[id(expected.recommended)]]


def test_the_staircase_is_drawn_through_the_front(visit, sites):
    folder, results = sites("one_seed")
    page = visit(folder / "index.html")
    front = fronts.front_of(main_group(results), "map", "macs", 0.02)
    line = page.evaluate("document.getElementById('chart').data.find(trace => trace.meta === 'front')")
    expected = sorted(
        (row.estimates[front.cost].value / 1e6, row.estimates[front.accuracy].value)
        for row in front.standing("front")
    )
    points = list(zip(line["x"], line["y"], strict=True))[: len(expected)]
    np.testing.assert_allclose(points, expected)
    assert line["line"]["shape"] == "hv"


def test_filters_narrow_chart_front_and_table(visit, sites):
    folder, results = sites("everything")
    page = visit(folder / "index.html")
    rows = main_group(results).rows
    page.get_by_role("checkbox", name="teacher", exact=True).uncheck()
    page.get_by_role("checkbox", name="16 bit").uncheck()
    left = {i for i, row in enumerate(rows) if row.role != "teacher" and row.configuration.bits != 16}
    assert set(drawn(page)) == left
    assert set(drawn(page, "front")) <= left
    assert page.inner_text("#count") == f"{len(left)} of {len(rows)} configurations shown"
    assert page.locator("table.board:visible tbody tr:visible").count() == len(left)
    assert "best teacher" not in page.inner_html("#chart")
    page.get_by_role("button", name="None of Student").click()
    assert drawn(page) == []
    assert "No point to show" in page.inner_text("#chart-words")
    page.get_by_role("button", name="Show all").click()
    assert len(drawn(page)) == len(rows)


def test_a_view_can_be_linked(visit, sites):
    folder, _ = sites("everything")
    page = visit(folder / "index.html")
    page.select_option("#x", "params")
    page.select_option("#scale", "log")
    page.get_by_role("checkbox", name="csq").uncheck()
    page.fill("#within", "0.05")
    again = visit(folder / "index.html", page.evaluate("location.hash"))
    for control in ("x", "y", "scale", "within"):
        assert again.input_value(f"#{control}") == page.input_value(f"#{control}")
    assert sorted(drawn(again)) == sorted(drawn(page))
    assert again.evaluate("document.getElementById('chart').layout.xaxis.type") == "log"
    assert not again.get_by_role("checkbox", name="csq").is_checked()


def test_an_address_that_means_nothing_is_ignored(visit, sites):
    folder, results = sites("everything")
    page = visit(folder / "index.html", "#x=<b>&y=absent&scale=cubic&within=-1&group=no&no-loss=none")
    assert len(drawn(page)) == len(main_group(results).rows)


def test_groups_are_never_in_one_chart(visit, sites):
    folder, _ = sites("everything")
    page = visit(folder / "index.html")
    page.select_option("#group", index=0)
    assert len(drawn(page)) == 1
    assert page.locator("table.board:visible").count() == 1
    assert page.locator("#examples-section").is_hidden()
    assert page.get_by_role("checkbox", name="csq").count() == 0


def test_the_recommendation_follows_the_margin(visit, sites):
    folder, results = sites("one_seed")
    page = visit(folder / "index.html")
    group = main_group(results)
    for within in (0.0, 0.02, 0.1):
        page.fill("#within", str(within))
        expected = fronts.front_of(group, "map", "macs", within).recommended
        assert str(expected.configuration) in page.inner_text("#recommendation")
        assert page.inner_text("#takeaway code") == commands.export(results, expected.records[0])
        assert page.inner_text("tr:has(.badge.pick) .name") == str(expected.configuration)


def test_without_a_student_to_take_the_page_says_why(visit, tmp_path):
    some = [make_external(name, metrics={"macs": cost(1e6, "multiply-adds")}) for name in ("A", "B")]
    results = material.write(tmp_path / "results", some)
    for path, content in site(summarise(results), results, within=0.02, downloads=[]).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    page = visit(tmp_path / "index.html")
    assert page.inner_text("#recommendation").startswith(
        "No point shown is a student to take: teachers, what was"
    )
    assert page.locator("#takeaway").is_hidden()


def test_sorting(visit, sites):
    folder, _ = sites("one_seed")
    page = visit(folder / "index.html")
    assert column(page, "mAP@all") == sorted(column(page, "mAP@all"), key=number, reverse=True)
    button = page.locator("table.board:visible thead button", has_text="latency, batch 1")
    for direction in ("ascending", "descending", "ascending"):
        button.click()
        assert button.locator("..").get_attribute("aria-sort") == direction
        values = [number(text) for text in column(page, "latency, batch 1")]
        assert values == sorted(values, reverse=direction == "descending")
    assert page.locator("table.board:visible [aria-sort]").count() == 1


def test_searching(visit, sites):
    folder, _ = sites("one_seed")
    page = visit(folder / "index.html")
    page.fill("#search", "RKD csq")
    assert column(page, "configuration") == ["cukd_v1 · rkd · csq · 32 bit"]
    assert page.inner_text("#found") == "1 of 18 rows"
    assert len(drawn(page)) == 18


def test_a_column_appears_while_it_is_an_axis(visit, sites):
    folder, _ = sites("one_seed")
    page = visit(folder / "index.html")
    head = page.locator("table.board:visible th[data-metric='precision_at_k@10']")
    assert head.is_hidden()
    page.select_option("#y", "precision_at_k@10")
    assert head.is_visible()
    assert len(column(page, "precision@10")) == 18


def test_a_click_leads_to_the_cell(visit, sites):
    folder, _ = sites("one_seed")
    page = visit(folder / "index.html")
    star = page.locator("#chart .points path").last
    star.scroll_into_view_if_needed()
    box = star.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#chart .hoverlayer .hovertext")
    assert "mAP@all: 0." in page.text_content("#chart .hoverlayer")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/cells/*.html")


def test_keyboard_alone(visit, sites):
    folder, results = sites("everything")
    page = visit(folder / "index.html")

    def tab_to(condition):
        for _ in range(300):
            page.keyboard.press("Tab")
            if page.evaluate(f"(e => {condition})(document.activeElement)"):
                return
        raise AssertionError(f"Tab never reaches {condition}")

    tab_to('e.className === "skip"')
    tab_to('e.id === "theme"')
    page.keyboard.press("Enter")
    assert page.get_attribute("html", "data-theme") == "dark"
    tab_to('e.type === "checkbox" && e.value === "cukd"')
    page.keyboard.press("Space")
    shown = [row for row in main_group(results).rows if row.configuration.method != "cukd"]
    assert len(drawn(page)) == len(shown)
    tab_to('e.dataset.key === "macs"')
    page.keyboard.press("Enter")
    values = [number(text) for text in column(page, "MACs")]
    assert values == sorted(values)
    tab_to('e.matches(".seeds a")')
    page.keyboard.press("Enter")
    page.wait_for_url("**/cells/*.html")


@pytest.mark.parametrize("grid", GRIDS)
def test_hostile_names_do_nothing(visit, sites, grid):
    folder, _ = sites(grid)
    page = visit(folder / "index.html")
    for option in page.eval_on_selector_all("#shown option", "all => all.map(one => one.value)"):
        page.select_option("#shown", option)
    for place in range(page.locator("#chart .points path").count()):
        page.locator("#chart .points path").nth(place).hover(force=True)
    assert page.locator("img").count() == 0
    assert page.locator("#chart a").count() == 0
    page.wait_for_timeout(200)


def test_hostile_names_are_shown_as_they_are(visit, sites):
    folder, _ = sites("hostile")
    page = visit(folder / "index.html")
    assert any("<img src=x onerror=alert(1)>" in name for name in column(page, "configuration"))
    assert any("{{7*7}}" in name for name in column(page, "configuration"))
    hovers = page.evaluate(
        "document.getElementById('chart').data.filter(t => t.meta === 'points').flatMap(t => t.hovertext)"
    )
    assert any("&lt;img src=x onerror=alert(1)&gt;" in text for text in hovers)
    for cell in sorted((folder / "cells").iterdir()):
        page.goto(cell.as_uri())
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("grid", GRIDS)
def test_phones_need_no_sideways_scrolling(visit, sites, grid):
    folder, _ = sites(grid)
    cells = sorted((folder / "cells").iterdir())
    for path in [folder / "index.html", cells[0], cells[-1]]:
        page = visit(path, **PHONE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_finger_gets_a_link(visit, sites):
    folder, _ = sites("one_seed")
    page = visit(folder / "index.html", **PHONE)
    star = page.locator("#chart .points path").last
    star.scroll_into_view_if_needed()
    box = star.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#picked a").click()
    page.wait_for_url("**/cells/*.html")


def test_dark_and_light(visit, sites):
    folder, _ = sites("everything")
    page = visit(folder / "index.html", color_scheme="dark")

    def colours():
        chart = "document.getElementById('chart')"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return ground, page.evaluate(f"{chart}.layout.font.color")

    dark = colours()
    page.get_by_role("button", name="Light colours").click()
    assert (light := colours()) != dark
    page.reload()
    assert colours() == light, "the choice is remembered"
    page.get_by_role("button", name="Dark colours").click()
    assert colours() == dark


CONTRAST = """() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = element => {
        for (let one = element; one; one = one.parentElement) {
            const colour = parse(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const element of document.querySelectorAll("body *:not(svg, svg *, script, option)")) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!own || !element.offsetParent) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push(`${element.tagName} ${element.className}: ${ratio.toFixed(2)}`);
    }
    return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit, sites, scheme):
    folder, _ = sites("everything")
    for path in (
        folder / "index.html",
        folder / "cells" / "013-ok.html",
        folder / "cells" / "046-failed.html",
    ):
        assert visit(path, color_scheme=scheme).evaluate(CONTRAST) == []


def test_cell_pages_show_their_curves(visit, sites):
    folder, _ = sites("everything")
    page = visit(folder / "cells" / "013-ok.html")
    titles = page.locator("#figures h3").all_inner_texts()
    assert titles[:2] == ["Step 1: distillation", "Step 2: hashing"]
    assert len(titles) == 4
    points = page.eval_on_selector_all(
        "#figures .plot", "all => all.map(plot => plot.data.map(trace => trace.x.length))"
    )
    assert all(itertools.chain.from_iterable(points))
    assert "features<img src=x onerror=alert(1)>" in page.locator("#figures .plot").first.inner_text()
    assert page.locator("#strips .tile").count() == 4 * 11


def test_pictures_are_told_in_words_and_loaded_only_when_shown(visit, sites):
    folder, _ = sites("everything")
    page = visit(folder / "index.html")
    tile = page.locator("#strips .tile").nth(1)
    assert tile.get_attribute("aria-label") == "result 1, image 0, distance 0, right"
    assert tile.inner_text() == "✓"
    used = "new Set([...document.querySelectorAll('.tile')].map(one => one.style.backgroundImage)).size"
    assert page.evaluate(used) == 3
    page.select_option("#shown", "best-method")
    assert page.evaluate(used) == 4
    page.select_option("#shown", "0")
    assert page.evaluate(used) == 1


def test_pages_without_scripts_still_have_the_numbers(visit, sites):
    folder, results = sites("one_seed")
    page = visit(folder / "index.html", java_script_enabled=False)
    assert page.locator("table.board tbody tr:visible").count() == 18
    group = main_group(results)
    best = max(row.estimates[group.accuracy].value for row in group.rows)
    assert f"{best:.3f} ± " in page.inner_text("table.board")
