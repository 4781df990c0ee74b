"""What the page says of how sure places on a front are, for the rows and axes that were drawn alone."""

from __future__ import annotations

import json

import pytest

from bench.results.chances import percent
from tests.browser.test_report_pages import column
from tests.scored import grid as scored_grid
from tests.scored import write_scored

pytestmark = pytest.mark.slow


def test_the_page_says_how_sure_its_recommendation_is_for_what_was_drawn_alone(visit, bench, folder):
    results = write_scored(folder / "grid", scored_grid())
    assert bench("report", results.folder, "--format", "svg").code == 0
    page = visit(results.folder / "report/index.html")
    sure = "; it is this one in"
    assert sure in page.inner_text("#recommendation")
    page.fill("#within", "0.01")
    page.wait_for_function(f"!document.getElementById('recommendation').textContent.includes('{sure}')")
    page.fill("#within", "0.02")
    page.wait_for_function(f"document.getElementById('recommendation').textContent.includes('{sure}')")


def test_the_table_has_the_chances_of_the_axes_that_were_drawn(visit, bench, folder):
    results = write_scored(folder / "grid", scored_grid())
    assert bench("report", results.folder, "--format", "svg").code == 0
    page = visit(results.folder / "report/index.html")
    (front,) = json.loads((results.folder / "report/fronts.json").read_text())["fronts"]
    expected = {row["configuration"]: percent(row["p_front"]) for row in front["rows"]}
    shown = dict(zip(column(page, "configuration"), column(page, "P(front)"), strict=True))
    assert shown == expected
    page.locator("table.board:visible thead button", has_text="P(front)").click()
    shares = {row["configuration"]: row["p_front"] for row in front["rows"]}
    order = [shares[name] for name in column(page, "configuration")]
    assert order == sorted(order, reverse=True)
    page.select_option("#x", "params")
    assert page.locator("table.board:visible [data-chance]:visible").count() == 0
