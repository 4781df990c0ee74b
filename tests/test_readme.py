"""The README is true: its plug-in trains, its commands exist, its table is that of published records."""

from __future__ import annotations

import re
from pathlib import Path

from bench.compare import compare
from bench.records import load_results
from bench.report.rows import summarise

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PUBLISHED = ROOT / "results/published/tradeoff"


def test_the_loss_in_the_readme_trains(tiny, folder):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (folder / "my_loss.py").write_text(code)
    result = tiny(
        "run", "--include", "my_loss.py", "--only", "loss=my_loss", edit=("[csq, dch]", "[my_loss]")
    )
    assert result.code == 0, result.err
    assert {record.cell.loss for record in load_results(Path("results/tiny")).records} == {"my_loss"}


def test_every_command_exists(bench):
    for verb in set(re.findall(r"python -m bench ([a-z]+)", README)):
        assert bench(verb, "--help").code == 0, verb


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_table_is_that_of_the_published_records():
    (group,) = summarise(load_results(PUBLISHED)).groups
    values = {
        (row.configuration.student, row.configuration.method): row.estimates[group.accuracy]
        for row in group.rows
        if row.configuration.bits == 32
    }
    rows = re.findall(r"^\| ([^|]+) \| (\w+) \| (0\.\d+) ± (0\.\d+) ", README, re.MULTILINE)
    assert len(rows) == len(values) == 7
    for student, method, mean, half in rows:
        assert f"{values[student, method].value:.3f}" == mean
        assert f"{values[student, method].half_width:.3f}" == half


def test_the_comparison_is_that_of_the_published_records():
    results = load_results(PUBLISHED)
    found = compare(results, results, base_only={"method": "none"}, new_only={"method": "cukd"})
    low, high = found.overall.interval
    claim = f"{found.overall.difference:+.3f} [{low:+.3f}, {high:+.3f}]"
    assert f"{claim} on average over the nine students and code lengths\n(p = {found.overall.p:.2g}" in README
    assert [one.verdict for one in found.pairs].count("better") == 1
    assert len(found.pairs) == 9
