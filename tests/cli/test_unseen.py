"""Unseen classes from the grid to the report: in words, as numbers of their own, and compared in pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.data import loading
from bench.hamming import average_precision
from bench.results.folder import load_results
from bench.results.sides import SIDES
from tests.left import loaded

DATASET = "[synthetic]"
UNSEEN = "[{name: synthetic, params: {unseen_classes: 2}}]"
MAIN = "map@all:expected:relevant"


def grid(tiny, verb, *arguments, dataset=UNSEEN, pareto=""):
    """A verb on the tiny grid with unseen classes, and what it charts."""
    sets = ["--set", f"axes.dataset={dataset}", "--set", "axes.method=[none]"]
    return tiny(verb, *sets, *(["--set", f"report.pareto={pareto}"] if pareto else []), *arguments)


@pytest.fixture
def run(tiny, folder):
    result = grid(tiny, "run", pareto='[["map[unseen]", macs]]')
    assert result.code == 0, result.err
    return Path("results/tiny")


def test_each_side_is_a_number_of_its_own_with_its_own_queries(run, bench):
    for record in loaded(run):
        scores = load_results(run).per_query(record)
        assert scores.keys() == {MAIN, *(f"{MAIN}[{side}]" for side in SIDES)}
        queries = {name: len(found) for name, found in scores.items()}
        assert queries[MAIN] == 20
        assert queries[f"{MAIN}[unseen]"] == queries[f"{MAIN}[seen_in_all]"] == 10
        for name, found in scores.items():
            assert record.metrics[name].value == pytest.approx(found.mean(), abs=1e-6)
        assert record.accuracy == MAIN
        assert "pr_curve:rank[unseen]" not in record.metrics
        assert "precision_at_k@10[unseen]" in record.metrics
        assert record.cell.protocol["split"].endswith("-u2")


def test_reports_have_them_side_by_side_and_compare_pairs_their_queries(run, bench):
    assert bench("report", run).code == 0
    table = (run / "report/table.md").read_text()
    heads = [f"mAP@all, {words}" for words in ("seen classes", "unseen classes", "unseen among all")]
    assert all(head in table for head in heads)
    assert "mAP@all, unseen classes (chance 0.5" in table
    assert "### Fronts" in table
    assert "mAP@all, unseen classes against MACs" in table
    assert (run / "report/pareto_map-unseen_macs.svg").exists()
    sides = ["compare", run, "--a", "loss=csq", "--b", "loss=dch", "--metric", "map[unseen]"]
    found = json.loads(bench(*sides, "--json").out)
    (pair,) = found["pairs"]
    assert pair["metric"] == f"{MAIN}[unseen]"
    assert pair["queries"] == 10
    means = {
        record.cell.loss: load_results(run).per_query(record)[pair["metric"]].mean() for record in loaded(run)
    }
    assert pair["difference"] == pytest.approx(means["dch"] - means["csq"], abs=1e-6)


def test_the_gate_judges_them_where_asked(run, bench):
    asked = ["check", "--baseline", "gate", run, "--metric", "map[unseen]", "--weak"]
    assert bench(*asked, "--update").code == 0
    result = bench(*asked)
    assert result.code == 0, result.err
    assert f"{MAIN}[unseen]" in result.out


def test_another_protocol_is_never_compared(run, tiny, bench):
    assert tiny("run", "--only", "method=none", "--out", "plain").code == 0
    result = bench("compare", "plain", run)
    assert result.code == 4
    assert "split" in result.err


def test_plan_and_prepare_say_which_classes(tiny, bench, folder):
    data = loading.load("synthetic", {"unseen_classes": 2}, Path("data"), None)
    words = f"2 of 4 classes unseen: {', '.join(map(str, data.splits.unseen.classes))}"
    assert f"Unseen: {data.splits.protocol}: {words}" in grid(tiny, "plan").out
    told = json.loads(grid(tiny, "plan", "--json").out)["unseen_classes"]
    assert told == {data.splits.protocol: words}
    assert f"unseen: {words}" in bench("data", "prepare", "synthetic", "--set", "unseen_classes=2").out
    assert "unseen" not in tiny("plan").out


@pytest.mark.parametrize(
    ("dataset", "pareto", "message"),
    [
        (UNSEEN, '[["map[unsene]", macs]]', "there is no side 'unsene'; did you mean 'unseen'?"),
        (DATASET, '[["map[unseen]", macs]]', "no cell has 'map[unseen]', as no class is unseen"),
        (UNSEEN, "[[map[unseen], macs]]", 'what has brackets in itself takes quotes: "map[unseen]"'),
        (UNSEEN.replace("2", "3"), "", "unseen_classes 3 leaves 1 of 4 classes to train on"),
    ],
)
def test_faults_are_told_before_any_work(tiny, dataset, pareto, message):
    result = grid(tiny, "plan", dataset=dataset, pareto=pareto)
    assert result.code == 2
    assert message in result.err


def test_values_are_those_of_the_stored_codes_alone(run, folder):
    from safetensors.numpy import load_file

    record = loaded(run)[0]
    data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
    key = record.stages["encode"].key[:12]
    (encode,) = (path for path in (folder / "cache/encode").iterdir() if key in path.name)
    codes, parts = load_file(encode / "codes.safetensors"), data.splits
    rows = {part: np.isin(getattr(parts, part), parts.unseen.images) for part in ("query", "database")}
    labels = {part: data.images.labels[getattr(parts, part)][rows[part]] for part in rows}
    asked = (codes[part][rows[part]] for part in rows)
    expected = average_precision(*asked, *labels.values()).mean()
    assert record.metrics[f"{MAIN}[unseen]"].value == pytest.approx(expected)
