"""``report``: from the records of a run to files."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.deployment.cells import find_cell
from bench.results import commands
from tests import cited
from tests.browser import material
from tests.left import loaded


def test_report_follows_run(tiny, bench):
    assert tiny("run").code == 0
    result = bench("report")
    assert result.code == 0, result.err
    finding, title, advice, *lines = result.out.splitlines()
    assert finding.startswith("On synthetic, in one training each, ")
    assert title.startswith("synthetic · ")
    assert advice.startswith("  mAP@all against MACs: Smallest student within 0.02 of the best student (")
    (taken,) = (line for line in lines if line.startswith("  take "))
    name, _, command = taken.removeprefix("  take ").partition(" away: ")
    assert name in advice
    found = find_cell(shlex.split(command)[4])
    assert found.record == find_cell(None, Path("results/tiny")).record
    assert f"- {name}: `{command}`" in Path("results/tiny/report/table.md").read_text()
    for record in loaded(Path("results/tiny")):
        page = (Path("results/tiny/report/cells") / f"{found.results.stems[record.key]}.html").read_text()
        assert commands.export(found.results, record) in page
    paths = [Path(line) for line in lines if not line.startswith("  ")]
    assert {path.name for path in paths} >= {"table.csv", "table.md", "table.tex"}
    assert any(path.suffix == ".png" for path in paths)
    assert all(path.stat().st_size > 0 for path in paths)


def test_report_leaves_out_records_of_an_earlier_grid_and_says_so(tiny, bench):
    only = ("--only", "method=none")
    assert tiny("run", *only, edit=("finetune: {epochs: 2", "finetune: {epochs: 1")).code == 0
    assert tiny("run", *only).code == 0
    result = bench("report")
    assert result.err == (
        "left out: 2 records of an earlier version of a cell (its parameters, data or plug-ins were others)\n"
    )
    (table,) = [Path(line) for line in result.out.splitlines() if line.endswith(".csv")]
    assert len(table.read_text().splitlines()) == 1 + 2


def test_published_figures_stand_beside_records_when_asked_for(bench, tmp_path):
    material.write(tmp_path / "run", [cited.record("alexnet", "dch", 48, seed) for seed in range(2)])
    asked = ["report", tmp_path / "run", "--published", "--format", "svg"]
    result = bench(*asked)
    assert result.code == 0, result.err
    title = "cifar10 · Example CPU 16-Core · 8 threads · fp32"
    assert f"{title}: 12 published figures stand beside these rows\n" in result.out
    assert result.out.count("Published figures of this data set that are left out: 11 of other splits") == 1
    chart = (tmp_path / "run/report/pareto_map@all-index-hits_params.svg").read_text()
    assert "published by others, not ranked" in chart
    assert "0.810, best on test" in chart
    plain = bench(*[part for part in asked if part != "--published"])
    assert "published figures" not in plain.out
    # An earlier report's charts of them go.
    assert not list((tmp_path / "run/report").glob("*index-hits*"))
