"""mAP after rescoring: against a plain loop over rankings, and where cells have it."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bench.errors import ConfigError
from bench.hamming import pack_signs, scan
from bench.metrics._histograms import counted
from bench.metrics.map import MeanAveragePrecision
from bench.metrics.rescore import Rescore
from bench.results.folder import load_results
from bench.types import RankingRule, Retrieval
from tests.planning.conftest import GRID, make

__all__ = ["make"]

QUERIES, ITEMS, WIDTH, BITS = 7, 60, 5, 6


def retrieval(queries=QUERIES, items=ITEMS, **rule):
    generator = np.random.default_rng(0)
    features = generator.standard_normal((queries + items, WIDTH)).astype(np.float32)
    codes = pack_signs(features @ generator.standard_normal((WIDTH, BITS)))
    labels = generator.integers(0, 3, queries + items)
    places = generator.permutation(queries + items)
    return Retrieval(
        query=codes[places[:queries]],
        database=codes[places[queries:]],
        query_labels=labels[places[:queries]],
        database_labels=labels[places[queries:]],
        bits=BITS,
        protocol=RankingRule(**rule),
        query_index=places[:queries],
        database_index=places[queries:],
        features=lambda some: features[some],
    )


def plain(subject, r, orders):
    """The mean over random orders of what is equally near behind the first ``r``."""
    found, generator = [], np.random.default_rng(1)
    for query in range(QUERIES):
        far = np.bitwise_count(subject.query[query] ^ subject.database).sum(axis=1)
        first = np.lexsort((np.arange(ITEMS), far))[:r]
        asked = subject.features(subject.query_index[[query]])[0]
        items = subject.features(subject.database_index)
        cosine = items @ asked / np.linalg.norm(items, axis=1) / np.linalg.norm(asked)
        ahead = first[np.argsort(-cosine[first])]
        rest = np.setdiff1d(np.arange(ITEMS), first)
        scores = []
        for _ in range(orders):
            behind = rest[np.lexsort((generator.random(len(rest)), far[rest]))]
            right = subject.database_labels[[*ahead, *behind]] == subject.query_labels[query]
            precision = right.cumsum() / np.arange(1, ITEMS + 1)
            scores.append(precision[right].mean())
        found.append(np.mean(scores))
    return np.array(found)


@pytest.mark.parametrize("r", [1, 10, 59])
def test_the_first_are_in_the_order_of_features(r):
    subject = retrieval()
    measurement = Rescore(Rescore.Params(r=(r,))).compute(subject)
    scores = measurement.per_query[f"map_rescored@{r}"]
    np.testing.assert_allclose(scores, plain(subject, r, 2000), atol=0.01)
    assert measurement.values[f"map_rescored@{r}"].detail["feature_bytes"] == 4 * WIDTH


def test_all_rescored_is_the_ranking_of_embeddings():
    subject = retrieval()
    unit = [
        features / np.linalg.norm(features, axis=1, keepdims=True)
        for features in map(subject.features, (subject.query_index, subject.database_index))
    ]
    floats = Retrieval(*unit, subject.query_labels, subject.database_labels, 0, RankingRule())
    expected = MeanAveragePrecision(MeanAveragePrecision.Params()).compute(floats)
    for r in (ITEMS, 10 * ITEMS):
        (scores,) = Rescore(Rescore.Params(r=(r,))).compute(subject).per_query.values()
        np.testing.assert_allclose(scores, expected.per_query["map@all:expected:relevant"])


def test_it_keeps_the_counts_of_other_metrics_and_takes_every_rule():
    for rule in ({"ties": "index"}, {"ties": "best", "k": 5}, {"normalizer": "min", "k": 20}):
        subject = retrieval(**rule)
        before = MeanAveragePrecision(MeanAveragePrecision.Params()).compute(subject)
        found = Rescore(Rescore.Params(r=(3, 8))).compute(subject)
        after = MeanAveragePrecision(MeanAveragePrecision.Params()).compute(subject)
        assert before.values == after.values
        assert all(0 <= value.value <= 1 for value in found.values.values())


def test_memory_is_bounded_and_changes_nothing(monkeypatch):
    """Ranks and counts of all queries at once take 8 MB."""
    subject = retrieval(normalizer="min", k=700, queries=40, items=3000)
    counts = counted(subject)
    subject = dataclasses.replace(subject, histograms=lambda: counts)
    metric = Rescore(Rescore.Params(r=(5, 1200, 3000)))
    whole = metric.compute(subject).per_query
    monkeypatch.setattr(scan, "MEMORY_MB", 2)
    tracemalloc.start()
    parts = metric.compute(subject).per_query
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5e6
    assert whole.keys() == parts.keys()
    for name, scores in whole.items():
        np.testing.assert_array_equal(parts[name], scores)


def test_cells_with_a_frozen_trunk_have_it(make):
    text = GRID.replace("[csq, dch]", "[csq, {name: dch, params: {train: head}}, lsh, none]")
    plan = make(text + "measure: {rescore: {}}\n")
    has = {(cell.info.loss, "measure/rescore" in cell.leaves) for cell in plan.cells}
    assert has == {("csq", False), ("dch", True), ("lsh", True), ("none", False)}
    for cell in plan.cells:
        if stage := cell.leaves.get("measure/rescore"):
            assert stage.inputs["trunk"] is stage.inputs["encode"].inputs["trunk"]
    with pytest.raises(ConfigError, match="metric 'rescore' applies to no cell of this grid: it needs"):
        make(GRID + "measure: {rescore: {}}\n")


def test_a_run_measures_it(tiny):
    losses = ("loss: [csq, dch]\n  bits: [16]", "loss: [pca]\n  bits: [[4, 8]]")
    asked = ("--set", "measure.rescore={r: [20]}", "--set", "measure.latency=false", "--only", "method=none")
    assert tiny("run", *asked, "--set", "measure.search=false", edit=losses).code == 0
    results = load_results(Path("results/tiny"))
    assert len(results.records) == 2
    for record in results.records:
        assert record.status == "ok", record.error
        assert record.metrics["map_rescored@20"].detail["feature_bytes"] == 48
        assert record.metrics["map_rescored@20"].value > record.metric("map")[1].value
        scores = results.per_query(record)  # so that compare finds them query by query
        assert scores["map_rescored@20"].mean() == pytest.approx(record.metrics["map_rescored@20"].value)
        assert scores.keys() == {record.accuracy, "map_rescored@20"}
