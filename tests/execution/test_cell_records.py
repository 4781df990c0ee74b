"""From the stages of a cell to its record and the files beside it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from bench.losses.csq import Csq
from bench.results.folder import load_results
from tests.left import loaded
from tests.recorded import assert_in_catalogue


def test_every_cell_gets_a_record_with_all_its_numbers(done, folder):
    assert done.out.startswith("4 of 4 cells ok in results/tiny")
    found = loaded(Path("results/tiny"))
    expected = {("none", "csq"), ("none", "dch"), ("cukd", "csq"), ("cukd", "dch")}
    assert {(r.cell.method, r.cell.loss) for r in found} == expected
    for record in found:
        assert record.status == "ok"
        assert next(iter(record.metrics)) == "map@all:expected:relevant"
        assert_in_catalogue(record.metrics)
        ties = {f"map@all:{rule}" for rule in ("index:hits", "best:relevant", "worst:relevant")}
        assert ties <= set(record.metrics)
        assert {"precision_at_k@10", "params", "macs", "weights_mb", "code_bytes"} <= set(record.metrics)
        assert {"recall_at_k@100", "precision_hamming2", "map_hamming2:worst", "pr_curve:radius"} <= set(
            record.metrics
        )
        assert {"peak_memory_mb@64", "search_qps", "index_bytes"} <= set(record.metrics)
        encode, search = record.metrics["latency_ms@1"], record.metrics["search_ms@1"]
        assert record.metrics["query_ms@1"].value == encode.value + search.value
        assert {"distance_counts", "recall_at_k@100"} <= set(record.per_query)
        assert len(record.metrics["latency_ms@1"].samples) >= 5
        assert record.environment["device"] == "cpu"
        assert record.environment["threads"] == 2
        assert record.params["loss"]["lr"] == 1e-3
        assert list(record.stages)[-2].startswith("measure/")
        assert [set(epoch) for epoch in record.stages["finetune"].history] == [
            {"lr", *(["center" if record.cell.loss == "csq" else "pairs", "quantization"])}
        ] * 2
        assert ("distill" in record.stages) == (record.cell.method == "cukd")
    (manifest,) = Path("results/tiny/splits").iterdir()
    assert found[0].cell.protocol["manifest"] in manifest.name


def test_what_is_too_long_for_a_record_lies_beside_it(done, folder):
    results = load_results(Path("results/tiny"))
    for record in results.records:
        name, metric = record.metric("map")
        ((kept, scores),) = results.per_query(record).items()
        assert kept == name
        assert scores.mean() == pytest.approx(metric.value, abs=1e-6)
        examples = results.examples(record)
        assert len(examples.rows) == 8
        assert Image.open(io.BytesIO(results.sprite(record))).size == (11 * examples.tile, 8 * examples.tile)
        assert "finetune" in results.log(record)


def test_what_a_stage_warns_of_stands_in_the_record_and_at_the_end_of_the_run(tiny, folder, monkeypatch):
    sentence = "half of the centers are one"
    monkeypatch.setattr(Csq, "summary", lambda self: {"constant_bits": 1, "warnings": [sentence]})
    told = f"\nwarning: 2 cells: {sentence}\n"
    assert told in tiny("run").out
    for record in loaded(Path("results/tiny")):
        assert record.warnings == ([sentence] if record.cell.loss == "csq" else [])
        assert "warnings" not in record.stages["finetune"].summary
    assert told in tiny("run").out, "what has a record already is not forgotten"


def test_limited_records_say_so(tiny):
    assert tiny("run", "--limit", 12, "--only", "method=none").code == 0
    assert {r.cell.protocol["limit"] for r in loaded(Path("results/tiny"))} == {12}


def test_records_say_which_codes_no_seed_changes(tiny, folder):
    chosen = ("--set", "axes.method=[none]", "--set", "axes.loss=[sign, itq]", "--set", "axes.bits=[8]")
    assert tiny("run", *chosen).code == 0
    said = {
        record.cell.loss: record.stages["fit"].summary.get("draws") for record in loaded(Path("results/tiny"))
    }
    assert said == {"sign": False, "itq": None}
