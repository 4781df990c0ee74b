"""The README is true: its plug-in trains, its commands exist, its table is that of published records."""

from __future__ import annotations

import re
from pathlib import Path

from bench.records import load_results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


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
    records = load_results(ROOT / "results/published/fashion_mnist").records
    rows = re.findall(r"^\| (\S+)[^|]*\| (\S+) \| (\S+) \| +(\d+) \| (0\.\d+) ± ", README, re.MULTILINE)
    values = {
        (r.cell.student, r.cell.method, r.cell.loss, str(r.cell.bits)): r.metric("map")[1].value
        for r in records
    }
    assert len(rows) == len(values) == 6
    for *key, value in rows:
        assert abs(values[tuple(key)] - float(value)) <= 0.0005 + 1e-9, key
