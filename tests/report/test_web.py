"""The pages as files: what is in them, and that names of records stay names."""

from __future__ import annotations

import io
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from bench.report.web import examples as web_examples
from bench.report.web.cells import CellPages
from bench.report.web.site import site
from bench.results.folder import load_results
from bench.results.records import Failure, Measured
from bench.results.summary import summarise
from tests.browser import material

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


def make(results, **options):
    return site(summarise(results), results, **{"within": 0.02, "downloads": ["table.csv"], **options})


def text(files, name="index.html"):
    return files[name].decode()


def data(files, element="report-data", name="index.html"):
    found = re.search(rf'<script type="application/json" id="{element}">(.*?)</script>', text(files, name))
    return json.loads(found[1])


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text outside of scripts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.words, self._script = [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_endtag(self, tag):
        self._script = False

    def handle_data(self, data):
        self.words += "" if self._script else data

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.found if attribute in attributes]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return material.write(tmp_path_factory.mktemp("everything"), material.everything(), missing=("a-cell",))


@pytest.fixture(scope="module")
def files(everything):
    return make(everything)


def test_every_cell_has_a_page_and_every_link_leads_somewhere(everything, files):
    assert sum(name.startswith("cells/") for name in files) == len(everything.records)
    offered = {*files, "table.csv"}
    for name in [name for name in files if name.endswith(".html")]:
        page = Elements(text(files, name))
        ids = set(page.values("id"))
        for link in [*page.values("href"), *page.values("src")]:
            if link.startswith("data:"):
                continue
            path, _, fragment = link.partition("#")
            target = (Path(name).parent / path).as_posix().replace("cells/../", "")
            assert target in offered if path else fragment in ids, f"{name}: {link}"


def test_same_records_give_the_same_bytes(everything, files):
    assert make(load_results(everything.folder)) == files


def test_groups_are_kept_apart(files):
    groups = data(files)["groups"]
    assert sorted(len(group["rows"]) for group in groups) == [1, 15]
    assert "fashion_mnist: 2 groups, not ranked together: precision bf16 against fp32." in text(files)


def test_axes_offered(files):
    (group,) = [group for group in data(files)["groups"] if len(group["rows"]) > 1]
    assert group["pairs"][0] == ["map@all:expected:relevant", "macs"]
    assert group["accuracies"][0] == "map@all:expected:relevant"
    assert group["costs"][:4] == ["macs", "params", "latency_ms@1", "latency_ms@64"]
    assert not {"map@all:worst:relevant", "map@all:best:relevant"} & set(group["accuracies"])
    row = next(row for row in group["rows"] if row["name"] == "cukd_v1 · cukd · csq · 16 bit")
    value, low, high, seeds, *by_seed = row["values"][group["names"].index("map@all:expected:relevant")]
    assert low < value < high
    assert seeds == len(by_seed) == 3
    assert sum(by_seed) / 3 == pytest.approx(value)
    assert row["doubts"] == {"latency_ms@1": "†"}


def test_published_grids_fit():
    for folder in sorted(PUBLISHED.iterdir()):
        if (folder / "grid.json").is_file():
            results = load_results(folder)
            made = make(results)
            first = [name for name in made if not name.startswith("cells/") and not name.endswith(".zip")]
            assert sum(len(made[name]) for name in first) < 8e6
            assert sum(map(len, made.values())) < 8e6 + 50e3 * len(results.records)
            assert all(group["rows"] for group in data(made)["groups"])
            assert "flops" not in data(made)["groups"][0]["costs"]


def test_a_single_seed_is_no_count(make_record, write_results):
    page = " ".join(Elements(text(make(load_results(write_results([make_record()]))))).words.split())
    assert "seed 0" in page
    several = [make_record(seed=seed) for seed in (0, 3)]
    page = " ".join(Elements(text(make(load_results(write_results(several))))).words.split())
    assert "seeds 0 3" in page


def test_a_cost_that_the_grid_charts_is_offered_whatever_its_direction(make_record, write_results):
    rate = Measured(value=900.0, unit="images/s", higher_is_better=True, noise="timed")
    record = make_record()
    record = record.model_copy(update={"metrics": {**record.metrics, "throughput_ips@1": rate}})
    assert "throughput_ips@1" not in data(make(load_results(write_results([record]))))["groups"][0]["costs"]
    charted = load_results(write_results([record], pareto=[("map", "throughput_ips")]))
    group = data(make(charted))["groups"][0]
    assert "throughput_ips@1" in group["costs"]
    assert group["pairs"] == [["map@all:expected:relevant", "throughput_ips@1"]]


def test_limited_runs_say_so(make_record, write_results):
    made = make(load_results(write_results([make_record(protocol={"limit": 100})])))
    assert "no front is drawn" in text(made)
    assert data(made)["groups"][0]["limited"]
    assert "How much the fronts cover" not in text(made)


def test_cells_without_numbers_are_listed(files):
    words = Elements(text(files)).words
    assert "finetune: RuntimeError: loss is not finite at step 12" in words
    assert "needs features, which failed" in words
    assert "1 cell not run yet" in words
    assert "46 of 49 cells finished" in words


def test_without_any_number(make_record, write_results):
    failed = make_record(status="failed", error=Failure(type="E", stage="distill", message="broken"))
    made = make(load_results(write_results([failed])))
    assert "No cell has numbers yet" in text(made)
    (page,) = [name for name in made if name.startswith("cells/")]
    assert "broken" in text(made, page)
    assert "plotly" not in text(made, page)


def test_a_cell_page_tells_everything(everything, files):
    page = Elements(text(files, "cells/013-ok.html"))
    for words in ("loss.epochs", "Example CPU 16-Core", "split", "latency_ms@1", "12.5", "epoch 229"):
        assert words in page.words
    assert "epoch 29 " not in page.words, "the log is cut to its last lines"
    charts = data(files, "curve-data", "cells/013-ok.html")
    assert [curve["title"] for curve in charts["training"]] == ["Step 1: distillation", "Step 2: hashing"]
    assert set(charts["training"][1]["terms"]) == {"center", "quantization", "pairs"}
    assert len(charts["training"][1]["rate"]) == 20
    assert charts["training"][1]["scores"]["val_map"][:5] == [None, None, None, None, 0.64]
    assert [curve["along"] for curve in charts["recall"]] == ["radius", "rank"]


def test_warnings_are_shown_where_there_are_any(make_record, write_results):
    warned = make_record().model_copy(update={"warnings": ["12 of 90 <b>queries</b>"]})
    made = make(load_results(write_results([warned, make_record(seed=1)])))
    assert '<p class="warning">12 of 90 &lt;b&gt;queries&lt;/b&gt;.</p>' in text(made, "cells/000.html")
    assert 'class="warning"' not in text(made, "cells/001.html")
    assert "Warning, 1 of 2 cells: 12 of 90 &lt;b&gt;queries" in text(made)


@pytest.mark.parametrize("broken", ["text", [1, "two"], [[1.0]], None, {"a": 1}])
def test_damaged_curves_are_left_out(make_record, write_results, broken):
    record = material.rich(make_record())
    curve = record.metrics["pr_curve:rank"]
    damaged = curve.model_copy(update={"detail": curve.detail | {"precision": broken}})
    record = record.model_copy(update={"metrics": {**record.metrics, "pr_curve:rank": damaged}})
    made = make(load_results(write_results([record])))
    charts = data(made, "curve-data", next(name for name in made if name.startswith("cells/")))
    assert [curve["along"] for curve in charts["recall"]] == ["radius"]


def test_hostile_names_stay_text(tmp_path):
    made = make(material.write(tmp_path, material.hostile()))
    for name in [name for name in made if name.endswith(".html")]:
        page = Elements(text(made, name))
        assert "img" not in {tag for tag, _ in page.found}
        assert not any(key.startswith("on") for _, attributes in page.found for key in attributes)
        assert not any("javascript:" in link for link in page.values("href"))
        scripts = [attributes for tag, attributes in page.found if tag == "script"]
        assert all("src" in one or one["type"] == "application/json" for one in scripts)
        assert re.fullmatch(r"(cells/)?[A-Za-z0-9._-]+", name)
    assert "{{7*7}}" in Elements(text(made)).words
    assert "<img src=x onerror=alert(1)>" in Elements(text(made)).words
    assert "\u2028" not in text(made)


def test_file_names_are_safe_and_unique(make_record, write_results):
    folder = write_results([make_record(seed=seed) for seed in range(4)])
    names = ["..x", "UP", "up", "a b\\é" + "x" * 200]
    for i, name in enumerate(names):
        (folder / "records" / f"{i:03d}.json").rename(folder / "records" / f"{name}.json")
    made = make(load_results(folder))
    pages = [name for name in made if name.startswith("cells/")]
    assert len({name.lower() for name in pages}) == 4
    assert all(re.fullmatch(r"cells/[A-Za-z0-9_-][A-Za-z0-9._-]{0,170}\.html", name) for name in pages)


def test_the_archive_is_a_results_folder(everything, files, tmp_path):
    with zipfile.ZipFile(io.BytesIO(files["records.zip"])) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        archive.extractall(tmp_path)
    unpacked = load_results(tmp_path)
    assert unpacked.records == everything.records
    assert unpacked.missing == everything.missing


def test_pictures_of_finished_cells_are_shown(everything, files):
    strips = data(files, "strip-data")
    ((slug, own),) = strips.items()
    (group,) = [group for group in data(files)["groups"] if group["slug"] == slug]
    assert len(own) == len(group["rows"])
    strip = own["0"]
    assert files[strip["sprite"]][:4] == b"RIFF"
    assert Image.open(io.BytesIO(files[strip["sprite"]])).size == (11 * strip["tile"], 4 * strip["tile"])
    assert strip["columns"] == 11
    query, results = strip["rows"][0]
    assert query == 0
    assert [right for *_, right in results] == [1] * 6 + [0] * 3 + [None]


def test_pictures_of_the_best_come_first(everything):
    summary = summarise(everything)
    names = everything.stems
    size = len(everything.sprite(everything.records[0]))
    chosen = web_examples.choose(summary, everything, names, limit=6 * size)
    kept = {record.key: record.cell for record in everything.records if record.key in chosen.strips}
    assert {cell.seed for cell in kept.values()} == {0}
    assert len({(cell.student, cell.method) for cell in kept.values()}) == len(kept) >= 4
    assert chosen.left_out == 45 - len(kept)
    assert sum(map(len, chosen.files.values())) <= 6 * size


def test_without_pictures_there_is_no_section(make_record, write_results):
    assert "first results" not in text(make(load_results(write_results([make_record()]))))


def speeds(what="step 1", **more):
    row = {"what": what, "unit": "images/s", "plain": [5.0, 6.0, 7.0], "ours": [20.0, 24.0, 42.0]}
    row["alone"] = [25.0, 30.0, 45.0]
    case = {
        "title": "v1 <b>from</b> lite",
        "peak_memory_mb": {},
        "rows": [{**row, "ratios": [4.0, 4.5, 6.0]}],
        "accuracies": [{"what": "mAP by csq", "seeds": 5, "plain": 0.6, "ours": 0.61, "difference": 0.01,
                        "half_width": 0.02}],
    }  # fmt: skip
    machine = {"cpu": "a <i>processor", "gpu": None, "threads": 2, "precision": "fp32"}
    return {"schema_version": 1, "machine": machine, "compared": [case], **more}


def test_the_speed_of_training_is_shown_where_it_was_measured(tmp_path):
    results = material.write(tmp_path, material.everything())
    assert "Speed of training" not in text(make(results))
    (tmp_path / "perf_train.json").write_text(json.dumps(speeds("<script>")))
    page = text(make(results))
    assert "a &lt;i&gt;processor, 2 threads, fp32" in page
    assert "v1 &lt;b&gt;from&lt;/b&gt; lite</tr>" in page
    assert "&lt;script&gt;<td" in page
    values = "4.5 (4.0 to 6.0)", "6.0 images/s", "24.0 images/s", "30.0 images/s", "3"
    assert '<td class="num">'.join(values) in page
    assert "mAP by csq (+0.010 ± 0.020)" in page
    assert '<td class="num">'.join(("–", "0.600", "0.610", "", "5 seeds")) in page


@pytest.mark.parametrize(
    "damage", ["{", json.dumps(speeds(schema_version=2)), json.dumps(speeds(compared=3))]
)
def test_speeds_that_cannot_be_read_are_one_line(tmp_path, damage):
    results = material.write(tmp_path, material.everything())
    (tmp_path / "perf_train.json").write_text(damage)
    assert "Speed of training" not in text(make(results))
    (fault,) = results.faults
    assert fault.endswith("perf_train.json: damaged; delete it, or measure again with make perf-train")


def test_cell_pages_mark_what_is_not_fully_counted(make_record):
    record = make_record()
    macs = record.metrics["macs"].model_copy(update={"detail": {"fully_counted": False}})
    record = record.model_copy(update={"metrics": {**record.metrics, "macs": macs}})
    page = CellPages().context(record, "")
    assert page["metrics"].count("‡") == 1
    assert [note for title, _, note in page["headline"] if title == "MACs"] == [
        "not fully counted, at least so many; the record names the operators that have no count"
    ]
