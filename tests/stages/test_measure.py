"""Metrics of stored codes, and searches that cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.hamming import average_precision, scan
from bench.metrics import _histograms
from bench.stages import sides
from tests.left import artifacts, loaded


def test_a_search_that_disagrees_with_popcount_fails_the_cell(tiny, folder, monkeypatch):
    right = scan.distances

    def wrong(query, items, out):
        right(query, items, out)
        out[3] += 1

    monkeypatch.setattr(scan, "distances", wrong)
    result = tiny("run", "--only", "loss=csq", "--only", "method=none")
    assert result.code == 1
    (record,) = loaded(Path("results/tiny"))
    assert record.status == "failed"
    assert record.error.stage == "measure"
    assert "disagree on the distances of query 0" in record.error.message


def test_map_in_the_record_is_that_of_the_stored_codes(done, folder):
    from bench.data import loading

    record = next(r for r in loaded(Path("results/tiny")) if r.cell.method == "cukd")
    data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
    (encode,) = (
        path for path in artifacts(folder, "encode") if record.stages["encode"].key[:12] in path.name
    )
    codes = load_file(encode / "codes.safetensors")
    labels = data.images.labels
    expected = average_precision(
        codes["query"], codes["database"], labels[data.splits.query], labels[data.splits.database]
    )
    name, metric = record.metric("map")
    assert metric.value == pytest.approx(expected.mean(), abs=1e-12)
    reference = record.per_query[name]
    kept = load_file(folder / "cache" / reference.artifact / "per_query.safetensors")[reference.tensor]
    np.testing.assert_allclose(kept, expected, atol=1e-12)


def test_distances_are_counted_once_for_all_metrics_of_a_cell(tiny, folder, monkeypatch):
    right, counted = sides.distance_histograms, []

    def watched(*arrays, **options):
        counted.append(len(arrays[1]))
        return right(*arrays, **options)

    monkeypatch.setattr(sides, "distance_histograms", watched)
    monkeypatch.setattr(_histograms, "distance_histograms", None)
    metrics = ("map", "precision_at_k", "distinct_codes")
    assert tiny("run", "--only", "method=none", *(f"--set=measure.{name}={{}}" for name in metrics)).code == 0
    records = loaded(Path("results/tiny"))
    assert len(records) > 1
    assert len(counted) == len(records)


#: A metric that is not a number where there is nothing to divide by.
DIVIDING = """
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.types import Measurement, MetricValue, Parameters


@METRICS.register_as("dividing")
class Dividing(Metric):
    version, subject, noise = 1, "codes", "seeded"
    Params = Parameters

    def __init__(self, params):
        pass

    def compute(self, subject):
        return Measurement({"share": MetricValue(float("nan"), "", True, "seeded")})
"""


def test_a_metric_that_finds_no_number_fails_its_cell(tiny, folder):
    Path("dividing.py").write_text(DIVIDING)
    result = tiny("run", "--include", "dividing.py", "--set", "measure.dividing={}", "--only", "method=none",
                  "--only", "loss=csq")  # fmt: skip
    assert result.code == 1
    (record,) = loaded(Path("results/tiny"))
    assert (record.status, record.error.stage) == ("failed", "measure")
    assert record.error.message == "metric dividing found no number for share: nan"
