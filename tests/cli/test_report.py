"""``report``: from the records of a run to files."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.deployment.cells import find_cell
from bench.results import commands
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
