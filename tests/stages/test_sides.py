"""Metrics among seen and among unseen classes: each is what it would be of these codes alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.hamming import average_precision, pack_codes
from bench.hamming.measures import map_name
from bench.metrics._histograms import counted
from bench.registry import METRICS
from bench.results.sides import SIDES, with_side
from bench.stages.sides import counted_once, on_each_side, sides
from bench.types import RankingRule, Retrieval, Unseen
from tests.hamming.problems import NORMALIZERS, score

BITS = 12


def retrieval(embeddings: bool = False, queries: int = 30, items: int = 80) -> tuple[Retrieval, Unseen]:
    """Random codes of five classes, of which the last two are unseen; places interleaved."""
    generator = np.random.default_rng(3)
    labels = generator.integers(5, size=queries + items)
    order = generator.permutation(queries + items)
    query, database = np.sort(order[:queries]), np.sort(order[queries:])
    vectors = generator.normal(size=(queries + items, BITS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = vectors if embeddings else pack_codes(vectors)
    whole = Retrieval(
        query=codes[query],
        database=codes[database],
        query_labels=labels[query],
        database_labels=labels[database],
        bits=0 if embeddings else BITS,
        protocol=RankingRule(k=20),
        query_index=query,
        database_index=database,
    )
    return whole, Unseen(np.array([3, 4]), 5, np.flatnonzero(labels >= 3))


def naive(whole, side, **rule):
    """mAP of a side, by codes that a loop picks out."""
    wanted = side.startswith("unseen")
    asked = [i for i, label in enumerate(whole.query_labels) if (label >= 3) == wanted]
    there = [i for i, label in enumerate(whole.database_labels) if "all" in side or (label >= 3) == wanted]
    return average_precision(
        whole.query[asked], whole.database[there], whole.query_labels[asked], whole.database_labels[there],
        bits=BITS, k=20, **rule,
    )  # fmt: skip


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("ties", ["expected", "best", "worst"])
def test_map_is_that_of_the_side_alone(side, ties):
    whole, unseen = retrieval()
    plugin = METRICS.get("map")
    found = on_each_side(
        plugin(plugin.Params()).compute, counted_once(whole), sides(counted_once(whole), unseen)
    )
    name, expected = f"map@20:{ties}:relevant[{side}]", naive(whole, side, ties=ties)
    np.testing.assert_allclose(found.per_query[name], expected, atol=1e-12)
    assert found.values[name].value == pytest.approx(expected.mean())
    assert found.values[name].detail["queries"] == len(expected)


@pytest.mark.parametrize("embeddings", [False, True])
def test_the_whole_is_as_without_sides_and_the_mean_of_both_in_all(embeddings):
    whole, unseen = retrieval(embeddings)
    plugin = METRICS.get("map")
    compute, name = plugin(plugin.Params()).compute, "map@20:expected:relevant"
    found = on_each_side(compute, whole, sides(whole, unseen))
    assert found.values[name] == compute(whole).values[name]
    both = [found.per_query[f"{name}[{side}]"] for side in ("seen_in_all", "unseen_in_all")]
    assert np.sort(np.concatenate(both)) == pytest.approx(np.sort(found.per_query[name]))
    assert on_each_side(compute, whole, sides(whole, None)).values.keys() == compute(whole).values.keys()


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("k", [None, 20])
def test_chance_is_what_random_orders_score(k, normalizer):
    whole, unseen = retrieval()
    whole = replace(whole, protocol=RankingRule(k, "expected", normalizer))
    plugin, generator = METRICS.get("map"), np.random.default_rng(0)
    found = on_each_side(plugin(plugin.Params()).compute, whole, sides(whole, unseen))
    for side, part in {"": whole, **sides(whole, unseen)}.items():
        items = len(part.database)
        drawn = [
            score(part.database_labels[generator.permutation(items)] == label, k or items, normalizer)
            for label in part.query_labels
            for _ in range(100)
        ]
        for ties in ("expected", "best", "worst"):
            value = found.values[with_side(map_name(k, ties, normalizer), side)]
            assert value.detail["chance"] == pytest.approx(
                np.mean(drawn), abs=5 * np.std(drawn) / len(drawn) ** 0.5
            )


def test_a_side_without_queries_is_left_out():
    whole, _ = retrieval()
    nothing = Unseen(np.array([4]), 5, np.setdiff1d(np.arange(110), whole.query_index))
    assert [*sides(whole, nothing)] == ["seen_in_all"]


def test_distances_are_counted_once_for_each_side():
    whole, unseen = retrieval()
    part = sides(counted_once(whole), unseen)["unseen"]
    assert counted(part)[0] is counted(part)[0]


def test_only_what_labels_judge_is_taken_on_each_side():
    by_side = {name for name in METRICS.names() if METRICS.get(name).by_side}
    measured = {"map", "precision_at_k", "recall_at_k", "precision_hamming2", "map_hamming2", "rescore"}
    assert measured == by_side
    assert all(METRICS.get(name).subject == "codes" for name in by_side)
    assert all(METRICS.get(name).judges == "labels" for name in by_side)
