import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from bench.comparison.front_places import with_chances
from bench.errors import UsageError
from bench.report.render import render
from bench.results.folder import Results, load_results
from bench.results.fronts import front_of
from bench.results.merge import merged
from bench.results.records import Failure
from bench.results.summary import summarise
from tests.recorded import edit


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
    render([folder], judge=with_chances)
    drawn = {path.name: path.read_bytes() for path in (folder / "report").glob("pareto_*")}
    assert bench("report", folder).code == 0
    again = {path.name: path.read_bytes() for path in (folder / "report").glob("pareto_*")}
    assert again.keys() == drawn.keys()
    assert [name for name in drawn if again[name] != drawn[name]] == []
    assert len(drawn) == 9


@pytest.mark.slow
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
    finding, title, *lines = done.out.splitlines()
    assert finding.startswith(
        "On fashion_mnist, whether distillation with cukd changes mAP@all cannot be told"
    )
    assert ". No student reaches the teacher (efficientnet_lite0 · csq · 32 bit, mAP@all 0.9" in finding
    assert title == "fashion_mnist · Example CPU 16-Core · 8 threads · fp32"
    assert lines[0].startswith(
        "  mAP@all against MACs: Smallest student within 0.01 of the best student (0.8"
    )
    assert [line for line in lines if "student within 0.01" in line] == lines[:3]
    assert lines[3] == "2 cells failed or were skipped; the report says why"
    assert lines[4].endswith("index.html")


def test_the_page_begins_with_what_the_grid_is_for(run_records, write_results):
    folder = write_results(run_records)
    render([folder])
    (general,) = leads(folder)
    edit(folder / "grid.json", lambda index: index | {"description": "Small & easy."})
    render([folder])
    assert leads(folder) == ["Small &amp; easy."] != [general]
    copy = shutil.copytree(folder, folder.parent / "copy")
    edit(copy / "grid.json", lambda index: index | {"description": "Another."})
    render([folder, copy], out=folder.parent / "both")
    assert leads(folder.parent / "both", "") == ["Small &amp; easy.", "Another."]


def leads(folder, report="report"):
    return re.findall('<p class="lead">(.*)</p>', (folder / report / "index.html").read_text())


def test_what_the_records_say_stands_below_the_title(run_records, write_results):
    folder = write_results(run_records)
    said = ["On <b>, nothing & more.", "On another, something."]
    made = render([folder], find=lambda results: said if len(results.records) == len(run_records) else [])
    assert made.findings == said
    page = (folder / "report" / "index.html").read_text()
    paragraphs = re.search(r"</h1>\n((<p class=\"finding\">.*</p>\n)*)", page)[1]
    assert re.findall(">(.*)</p>", paragraphs) == ["On &lt;b&gt;, nothing &amp; more.", said[1]]
    assert render([folder]).findings == []
    assert 'class="finding"' not in (folder / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            ("mine", "macs"),
            "[mine, macs]: no record has the metric 'mine'; there are: map@all:expected:relevant, ",
        ),
        (("map", "mac"), "[map, mac]: no record has the metric 'mac'; did you mean 'map' or 'macs'"),
        (("params", "map"), "[params, map]: params is no accuracy; write the accuracy first, then the cost"),
        (("map", "map@all"), "[map, map@all]: both axes are map@all:expected:relevant; name a cost"),
        (("map", "only_elsewhere"), "[map, only_elsewhere]: no configuration has both"),
    ],
)
def test_a_chart_that_nobody_can_draw_is_an_error_after_all_else(
    make_record, write_results, bench, pair, message
):
    lonely = make_record(loss="dch")
    lonely = lonely.model_copy(update={"metrics": {"only_elsewhere": lonely.metrics["macs"]}})
    folder = write_results([make_record(), lonely], pareto=[("map", "params"), pair])
    done = bench("report", folder)
    assert done.code == 2
    assert f"report: pareto: {message}" in done.err
    assert (folder / "report/pareto_map_params.png").is_file()


def test_a_chart_of_what_was_switched_off_is_no_error_unless_somebody_asked_for_it(
    make_record, write_results, bench
):
    record = make_record()
    kept = {name: one for name, one in record.metrics.items() if not name.startswith(("latency", "weights"))}
    some = [record.model_copy(update={"metrics": kept})]
    assert bench("report", write_results(some), "--format", "svg").code == 0
    asked = write_results(some, pareto=[("map", "macs"), ("map", "weights_mb")])
    assert bench("report", asked, "--format", "svg").code == 2


def test_what_a_report_does_not_show_is_said(run_records, make_record, write_results, bench):
    unfinished = [record for record in run_records if record.status != "ok"]
    said = bench("report", write_results(unfinished, missing=["a", "b"])).out.splitlines()[:3]
    assert said == [
        "no cell has numbers yet, so there is nothing to rank",
        "2 cells failed or were skipped; the report says why",
        "2 cells have not been run yet",
    ]
    limited = write_results([make_record(protocol={"limit": 50})])
    assert "  nothing is ranked: these cells saw only a part of the data" in bench("report", limited).out


def test_only_files_that_a_report_made_are_removed(make_record, write_results, tmp_path):
    out, folder = (
        tmp_path / "mine",
        write_results([make_record()], pareto=[("map", "macs"), ("map", "params")]),
    )
    own = [out / name for name in ("table.notes", "cells/mine.html", "assets/logo.png", "assets/img/x.png")]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    render([folder], out=out)
    assert (out / "pareto_map_params.svg").is_file()
    render([write_results([make_record()], pareto=[("map", "macs")])], out=out)
    assert not (out / "pareto_map_params.svg").exists()
    assert all(path.exists() for path in own)


def test_a_finished_record_counts_more_than_a_newer_failed_one(make_record, write_results, tmp_path):
    good = write_results([make_record()]).rename(tmp_path / "good")
    failure = Failure(type="OSError", stage="measure", message="disk full")
    bad = make_record(status="failed", error=failure).model_copy(update={"created": "2030"})
    both = merged([load_results(good), load_results(write_results([bad]))])
    assert [record.status for record in both.records] == ["ok"]


def test_a_seed_that_was_run_again_on_such_a_machine_is_no_second_seed(make_record):
    values = {0: 0.80, 1: 0.82, 2: 0.84}
    records = []
    for fingerprint, created in (("a" * 12, "2025"), ("b" * 12, "2026")):
        for seed, value in values.items():
            record = make_record(seed=seed, environment={"fingerprint": fingerprint})
            metric = record.metrics["map@all:expected:relevant"].model_copy(update={"value": value})
            metrics = {**record.metrics, "map@all:expected:relevant": metric}
            records.append(record.model_copy(update={"metrics": metrics, "created": created}))
    ((row,),) = [group.rows for group in summarise(Results(None, "grid", [], records, [])).groups]
    assert (row.seeds, len(row.older)) == (3, 3)
    assert {record.created for record in row.records} == {"2026"}


def test_what_is_in_doubt_is_not_recommended(make_record):
    def with_macs(record, value, **detail):
        macs = record.metrics["macs"].model_copy(update={"value": value, "detail": detail})
        return record.model_copy(update={"metrics": {**record.metrics, "macs": macs}})

    sound, warned = with_macs(make_record(), 9e6), with_macs(make_record(loss="dch"), 5e6)
    partial = with_macs(make_record(bits=64), 1e6, fully_counted=False)
    records = [sound, warned.model_copy(update={"warnings": ["collapsed"]}), partial]
    (group,) = summarise(Results(None, "grid", [], records, [])).groups
    front = front_of(group, "map", "macs", within=0.5)
    assert front.recommended.records == front.best_student.records == [sound]


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
    assert "left out: 1 record of cells that another folder has, too, finished or newer" in done.err
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
