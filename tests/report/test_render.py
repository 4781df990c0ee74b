import subprocess
import sys

import pytest

from bench.errors import UsageError
from bench.report.render import render


def test_report_of_a_run(run_records, write_results):
    folder = write_results(run_records, pareto=[("map", "macs"), ("map", "latency_ms")])
    written = render(folder)
    assert [path.name for path in written] == [
        "table.csv",
        "table.md",
        "table.tex",
        "pareto_map_macs.png",
        "pareto_map_macs.svg",
        "pareto_map_latency_ms.png",
        "pareto_map_latency_ms.svg",
    ]
    assert all(path.stat().st_size > 0 for path in written)
    assert sorted((folder / "report").iterdir()) == sorted(written)


def test_groups_get_their_own_charts(make_record, write_results):
    records = [make_record(), make_record(dataset="digits"), make_record(environment={"precision": "bf16"})]
    names = [
        path.name
        for path in render(write_results(records, pareto=[("map", "macs")]))
        if path.suffix == ".svg"
    ]
    assert names[0] == "pareto_map_macs_digits.svg"
    assert len(set(names)) == 3
    assert all(name.startswith("pareto_map_macs_fashion_mnist-") for name in names[1:])


def test_without_numbers_there_are_tables_only(run_records, write_results):
    unfinished = [record for record in run_records if record.status != "ok"]
    folder = write_results(unfinished, missing=["a-cell"])
    assert [path.name for path in render(folder)] == ["table.csv", "table.md", "table.tex"]
    text = (folder / "report" / "table.md").read_text()
    assert "No cell has numbers yet" in text
    assert "loss is not finite" in text
    assert "a-cell" in text


def test_charts_of_an_earlier_report_go(make_record, write_results):
    folder = write_results([make_record()], pareto=[("map", "macs")])
    stale, kept = folder / "report" / "pareto_map_params.svg", folder / "report" / "notes.txt"
    stale.parent.mkdir()
    stale.touch()
    kept.touch()
    render(folder)
    assert not stale.exists()
    assert kept.exists()


def test_an_empty_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no results here"):
        render(tmp_path)


def test_reports_need_no_torch():
    code = "import sys, bench.report.render; print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
