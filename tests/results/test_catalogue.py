"""The catalogue: it has whatever is measured, and learns what plug-ins say of theirs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import RecordError, UsageError
from bench.registry import METRICS
from bench.results import catalogue, records
from bench.results.entries import ENTRIES
from bench.results.folder import load_results
from bench.types import MetricEntry
from tests.recorded import assert_in_catalogue

RESULTS = Path(__file__).parents[2] / "results"
FOLDERS = [path.parent for path in sorted(RESULTS.glob("*/*/grid.json"))]

CHANNELS = MetricEntry(
    "channels", "channels of activations", "channels", "cost", "exact", shown=("table", "compare"),
    prefixes=("M",), definition="{title}: what layers write for one image.",
)  # fmt: skip

#: A metric of somebody else, who says what it gives.
PLUGIN = f"""
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Measurement, MetricEntry, MetricValue, Parameters


@METRICS.register_as("channels")
class Channels(Metric):
    version, subject, noise = 1, "network", "exact"
    entries = ({CHANNELS!r},)
    Params = Parameters

    def __init__(self, params):
        pass

    def compute(self, subject):
        count = sum(parameter.shape[0] for parameter in subject.net.parameters())
        return Measurement({{"channels": MetricValue(1e6 * count, "channels", False, "exact")}})
"""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_has_every_number_of_results_that_are_kept(folder):
    for record in load_results(folder).records:
        assert_in_catalogue(record.metrics)


def test_the_dictionary_of_columns_has_every_entry_with_its_unit():
    text = (RESULTS / "README.md").read_text()
    table = text.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    units = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            names, listed = line.split("|")[1:3]
            bases = [catalogue.base_name(name) for name in re.findall("`([^`]+)`", names)]
            words = [word.strip() for word in listed.split(",")]
            units |= dict(zip(bases, words if len(words) > 1 else words * len(bases), strict=True))
    assert units == {entry.name: entry.unit for entry in ENTRIES}


def test_entries_point_at_what_there_is():
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    assert {*catalogue.SIZES} <= set(catalogue.of_role("cost"))
    assert set(catalogue.shown_in("paper")) <= set(catalogue.shown_in("table"))
    accuracies = set(catalogue.of_role("accuracy"))
    for entry in ENTRIES:
        assert {catalogue.base_name(entry.main), entry.beside} <= {*accuracies, ""}
        assert not entry.main or catalogue.base_name(entry.main) == entry.name


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("map@all:expected:relevant", "mAP@all"),
        ("map_revisited:medium", "mAP (medium)"),
        ("latency_ms@64", "latency, batch 64"),
        ("latency_ms@1:bf16", "latency, batch 1 (bf16)"),
        ("search_qps:ivf", "search rate (ivf)"),
        ("unheard_of@3:x", "unheard_of@3 (x)"),
    ],
)
def test_titles_say_cut_batch_and_variant(name, title):
    assert catalogue.title(name) == title


def test_entries_of_plugins_are_learnt_once_and_may_be_corrected_by_their_own_source():
    catalogue.learn([CHANNELS], "metric 'channels'")
    catalogue.learn([CHANNELS], "results/x/grid.json")
    assert catalogue.title("channels") == CHANNELS.title
    assert catalogue.shown_in("table")[-1] == "channels"
    assert catalogue.learnt() == [CHANNELS]
    assert catalogue.learnt(["channels@3", "macs"]) == [CHANNELS]
    assert catalogue.learnt(["macs"]) == []
    better = replace(CHANNELS, title="channels")
    catalogue.learn([better], "metric 'channels'")
    assert catalogue.learnt() == [better]
    # Of older results, other words than those of the plug-in that is there are no contradiction.
    catalogue.learn([CHANNELS], "results/x/grid.json")
    assert catalogue.learnt() == [better]
    message = (
        "results/x/grid.json: metric 'channels' has unit 'bytes' there and 'channels' in metric 'channels'; "
        "rename one of them"
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        catalogue.learn([replace(CHANNELS, unit="bytes")], "results/x/grid.json")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            replace(CHANNELS, name="macs"),
            "metric 'macs' has unit .* and 'multiply-adds' in hash-pareto; rename one",
        ),
        (replace(CHANNELS, name="channels@1"), "'channels@1' is no name; write it without @, : and "),
        (replace(CHANNELS, title="two\nlines"), "entry 'channels': title should be one line of text"),
    ],
)
def test_entries_that_cannot_be_are_refused(entry, message):
    with pytest.raises(UsageError, match=message):
        catalogue.learn([entry], "mine.py")
    assert catalogue.learnt() == []


def test_a_metric_from_outside_is_shown_without_its_plugin(tiny, bench, monkeypatch):
    Path("channels.py").write_text(PLUGIN)
    ours = dict(catalogue._known)
    asked = ("--include", "channels.py", "--set", "measure.channels={}", "--set", "measure.macs=false")
    wrong = tiny("plan", *asked, "--set", "report.pareto=[[map,chanels]]")
    assert wrong.code == 2
    assert "no metric gives 'chanels'; did you mean 'channels'?" in wrong.err
    charted = ("--set", "report.pareto=[[map,channels]]")
    assert tiny("run", *asked, *charted, "--set", "axes.method=[none]").code == 0

    # Another day, somebody else has the results alone.
    del METRICS._registered["channels"]
    folder = Path("results/tiny")
    for reader in (["report", folder], ["check", "--update", "--weak", "--baseline", "base", folder]):
        monkeypatch.setattr(catalogue, "_known", dict(ours))
        assert bench(*reader).code == 0
    table = (folder / "report/table.md").read_text()
    assert "| channels of activations (M) |" in " ".join(table.split())
    assert "mAP@all against channels of activations" in table
    assert "channels of activations: what layers write for one image." in table
    chart = (folder / "report/pareto_map_channels.svg").read_text()
    assert "channels of activations (M), less is better" in chart, "drawn in another process"
    assert json.loads((folder / "grid.json").read_text())["metrics"] == [
        {
            "name": "channels", "title": "channels of activations", "unit": "channels", "role": "cost",
            "noise": "exact", "shown": ["table", "compare"], "prefixes": ["M"],
            "definition": "{title}: what layers write for one image.",
        }
    ]  # fmt: skip
    assert load_results(Path("base")).records
    assert catalogue.learnt() == [CHANNELS]

    (path, *_) = (folder / "records").glob("*csq*.json")
    record = records.load(path)
    larger = record.metrics["channels"].model_copy(update={"value": record.metrics["channels"].value + 1e6})
    records.save(record.model_copy(update={"metrics": {**record.metrics, "channels": larger}}), path)
    assert "- channels of activations: " in bench("compare", "base", folder).out
    verdict = bench("check", "--baseline", "base", folder)
    assert verdict.code == 3
    assert re.search(r"channels .*changed|changed.* channels", verdict.out)


def test_an_entry_that_is_none_is_a_fault_of_its_file(tmp_path):
    index = {"name": "x", "pareto": [], "cells": {}, "metrics": [{"name": "channels", "title": "channels"}]}
    (tmp_path / "grid.json").write_text(json.dumps(index))
    with pytest.raises(RecordError, match=r"metrics\.0\.unit: .*; run the grid again"):
        load_results(tmp_path)
    index["metrics"] = [catalogue.as_json(CHANNELS) | {"of a later version": 1}]
    (tmp_path / "grid.json").write_text(json.dumps(index))
    load_results(tmp_path)
    assert catalogue.learnt() == [CHANNELS]


def test_all_entries_are_learnt_or_none():
    with pytest.raises(UsageError, match="'macs' has unit"):
        catalogue.learn([CHANNELS, replace(CHANNELS, name="macs")], "mine.py")
    assert catalogue.learnt() == []


def test_results_of_an_earlier_version_of_a_metric_can_be_read_and_say_so(tmp_path, caplog):
    index = {"name": "x", "pareto": [], "cells": {}, "metrics": [catalogue.as_json(CHANNELS)]}
    (tmp_path / "grid.json").write_text(json.dumps(index))
    catalogue.learn([replace(CHANNELS, unit="bytes")], "metric 'channels'")
    load_results(tmp_path)
    assert "'channels' has unit 'channels' there and 'bytes' in metric 'channels'; it is shown" in caplog.text


def test_an_accuracy_of_a_plugin_may_judge_cells_that_have_no_other():
    own = MetricEntry("map_songs", "mAP of songs", "", "accuracy", "seeded", at="rank", main="map_songs@all")
    assert catalogue.full_name("map", ["params", "map_songs@5", "map_songs@all"]) is None
    catalogue.learn([own], "metric 'songs'")
    assert catalogue.full_name("map", ["params", "map_songs@5", "map_songs@all"]) == "map_songs@all"
    assert catalogue.full_name("map", ["map_songs@all", "map_reid"]) == "map_reid"
