import subprocess
import sys
import zipfile

import pytest

from bench.errors import UsageError
from bench.merge import merged
from bench.records import load_results
from bench.report.render import render
from bench.report.rows import summarise


def test_report_of_a_run(run_records, write_results):
    folder = write_results(run_records, pareto=[("map", "macs"), ("map", "latency_ms")])
    written = render([folder]).paths
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
    render([folder])
    first = {path: path.read_bytes() for path in folder.rglob("report/*") if path.is_file()}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    render([folder])
    assert {path: path.read_bytes() for path in folder.rglob("report/*") if path.is_file()} == first


def test_charts_drawn_in_other_processes_are_the_same(run_records, write_results, bench):
    folder = write_results(run_records)
    render([folder])
    drawn = {path.name: path.read_bytes() for path in (folder / "report").glob("pareto_*")}
    assert bench("report", folder).code == 0
    assert {path.name: path.read_bytes() for path in (folder / "report").glob("pareto_*")} == drawn
    assert len(drawn) == 9


def test_of_many_charts_the_first_of_each_group_is_drawn(make_record, write_results):
    records = [make_record(dataset=f"data{i}") for i in range(7)]
    folder = write_results(records, pareto=[("map", "macs"), ("map", "params")])
    assert [path.name for path in render([folder]).paths][5:] == [
        f"pareto_map_macs_data{i}.svg" for i in range(7)
    ]
    drawn = [path for path in render([folder], formats=["png"]).paths if "pareto" in path.name]
    assert {path.suffix for path in drawn} == {".png"}
    assert len(drawn) == 14
    assert render([folder], formats=["png", "png"]) == render([folder], formats=["png"])
    assert not list(folder.rglob("*.svg"))


def test_groups_get_their_own_charts(make_record, write_results):
    records = [make_record(), make_record(dataset="digits"), make_record(environment={"precision": "bf16"})]
    names = [
        path.name
        for path in render([write_results(records, pareto=[("map", "macs")])]).paths
        if path.suffix == ".svg"
    ]
    assert names[0] == "pareto_map_macs_digits.svg"
    assert len(set(names)) == 3
    assert all(name.startswith("pareto_map_macs_fashion_mnist-") for name in names[1:])


def test_without_numbers_there_are_tables_only(run_records, write_results):
    unfinished = [record for record in run_records if record.status != "ok"]
    folder = write_results(unfinished, missing=["a-cell"])
    assert [path.name for path in render([folder]).paths][1:] == [
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
    render([folder])
    assert not stale.exists()
    assert kept.exists()


def test_the_recommendation_is_printed_before_the_paths(run_records, write_results, bench):
    done = bench("report", write_results(run_records), "--within", "0.01")
    assert done.code == 0
    title, *lines = done.out.splitlines()
    assert title == "fashion_mnist · Example CPU 16-Core · 8 threads · fp32"
    assert lines[0].startswith("  mAP@all against MACs: Smallest student within 0.01 of the best (0.8")
    assert [line for line in lines if "student within 0.01" in line] == lines[:3]
    assert lines[3].endswith("index.html")


def test_a_chart_of_what_nothing_has_is_an_error_after_all_else(run_records, write_results, bench):
    folder = write_results(run_records, pareto=[("map", "macs"), ("mine", "macs"), ("map", "latency")])
    done = bench("report", folder)
    assert done.code == 2
    assert (
        "report: pareto: no record has the metric 'mine'; there are: map@all:expected:relevant, " in done.err
    )
    assert "no record has the metric 'latency'" in done.err
    assert (folder / "report/pareto_map_macs.png").is_file()


def test_several_folders_make_one_report(make_record, write_results, bench, tmp_path):
    """A cell counts once, others stand beside it, and what was measured besides is no matter."""
    first = write_results([make_record(seed=seed) for seed in (0, 1)], pareto=[("map", "macs")])
    first = first.rename(tmp_path / "first")
    more = {"measure": {"search": {}}}
    second = write_results(
        [make_record(seed=seed, params=more) for seed in (1, 2)] + [make_record("cukd_v2", seed=0)],
        pareto=[("map", "params")],
    )
    assert bench("report", first, second).code == 2
    done = bench("report", first, second, "--out", tmp_path / "both")
    assert done.code == 0
    assert "left out: 1 record of cells that another folder has, too, with a newer record" in done.err
    names = {path.name for path in (tmp_path / "both").glob("pareto*.svg")}
    assert names == {"pareto_map_macs.svg", "pareto_map_params.svg"}
    results = merged([load_results(first), load_results(second)])
    rows = [row for group in summarise(results).groups for row in group.rows]
    assert [(row.configuration.student, row.seeds) for row in rows] == [("cukd_v1", 3), ("cukd_v2", 1)]
    with zipfile.ZipFile(tmp_path / "both/records.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert len(load_results(tmp_path / "unpacked").records) == 4


def test_a_folder_that_is_no_report_loses_nothing(make_record, write_results, tmp_path):
    mine = tmp_path / "mine/table.txt"
    mine.parent.mkdir()
    mine.touch()
    render([write_results([make_record()])], out=mine.parent)
    assert mine.exists()


def test_an_empty_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no results in it"):
        render([tmp_path])


def test_reports_need_no_torch():
    code = "import sys, bench.report.render; print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
