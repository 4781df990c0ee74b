import subprocess
import sys

import pytest

from bench.errors import UsageError
from bench.report.render import render


def test_report_of_a_run(run_records, write_results):
    folder = write_results(run_records, pareto=[("map", "macs"), ("map", "latency_ms")])
    written = render(folder)
    assert [path.name for path in written] == [
        "index.html",
        "table.csv",
        "table.parquet",
        "table.md",
        "table.tex",
        *(f"pareto_map_{cost}.{form}" for cost in ("macs", "latency_ms") for form in ("png", "svg", "pdf")),
    ]
    assert all(path.stat().st_size > 0 for path in written)
    assert len(list((folder / "report/cells").iterdir())) == len(run_records)
    assert set(written) < set((folder / "report").rglob("*"))


def test_the_same_records_give_the_same_bytes(run_records, write_results, monkeypatch):
    folder = write_results(run_records, pareto=[("map", "macs")])
    render(folder)
    first = {path: path.read_bytes() for path in folder.rglob("report/*") if path.is_file()}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    render(folder)
    assert {path: path.read_bytes() for path in folder.rglob("report/*") if path.is_file()} == first


def test_charts_drawn_in_other_processes_are_the_same(run_records, write_results, bench):
    folder = write_results(run_records)
    render(folder)
    drawn = {path.name: path.read_bytes() for path in (folder / "report").glob("pareto_*")}
    assert bench("report", folder).code == 0
    assert {path.name: path.read_bytes() for path in (folder / "report").glob("pareto_*")} == drawn
    assert len(drawn) == 9


def test_of_many_charts_the_first_of_each_group_is_drawn(make_record, write_results):
    records = [make_record(dataset=f"data{i}") for i in range(7)]
    folder = write_results(records, pareto=[("map", "macs"), ("map", "params")])
    assert [path.name for path in render(folder)][5:] == [f"pareto_map_macs_data{i}.svg" for i in range(7)]
    drawn = [path for path in render(folder, formats=["png"]) if "pareto" in path.name]
    assert {path.suffix for path in drawn} == {".png"}
    assert len(drawn) == 14
    assert render(folder, formats=["png", "png"]) == render(folder, formats=["png"])
    assert not list(folder.rglob("*.svg"))


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
    assert [path.name for path in render(folder)][1:] == [
        f"table.{form}" for form in ("csv", "parquet", "md", "tex")
    ]
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
    with pytest.raises(UsageError, match="no results in it"):
        render(tmp_path)


def test_reports_need_no_torch():
    code = "import sys, bench.report.render; print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
