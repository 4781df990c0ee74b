"""Instance retrieval against reference values, plain loops, and all orders of ties."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.hamming import pack_codes, popcount_distances
from bench.metrics import _instance as instance
from bench.metrics._instance import (
    chamfer_rows,
    distance_rows,
    junk_free_ranks,
    mean_over_ties,
    ranking,
    reid_scores,
    revisited_average_precision,
    revisited_precision_at,
    revisited_protocols,
    rows_of,
    tie_orders,
    truncated_average_precision,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "instance.json").read_text())


def unit(rng, count, width=5):
    values = rng.standard_normal((count, width)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def ints(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize("case", GOLDEN["revisited_oxford_paris_map"])
def test_revisited_reference_values(case):
    scores, precisions = [], []
    for column, gnd in zip(np.array(case["ranks_db_by_query"]).T, case["gnd"], strict=True):
        ranks = junk_free_ranks(column, ints(*gnd["ok"]), ints(*gnd["junk"]))
        scores.append(revisited_average_precision(ranks, len(gnd["ok"])))
        precisions.append([revisited_precision_at(ranks, k) for k in case["kappas"]])
    expected = [math.nan if ap is None else ap for ap in case["aps"]]
    assert any(map(math.isnan, expected))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    assert np.nanmean(scores) == pytest.approx(case["map"], abs=1e-9)
    np.testing.assert_allclose(np.nanmean(precisions, axis=0), case["mean_precision"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", GOLDEN["reid_map_cmc"])
def test_reid_reference_values(case):
    ids, cameras = np.array(case["gallery_ids"]), np.array(case["gallery_cameras"])
    scores = []
    for row, identity, camera in zip(
        case["distances"], case["query_ids"], case["query_cameras"], strict=True
    ):
        order = np.argsort(row)
        scores.append(reid_scores(ids[order], cameras[order], identity, camera, range(1, 21)))
    mean = np.nanmean(scores, axis=0)
    assert mean[0] == pytest.approx(case["map"], abs=1e-9)
    # The reference rounds its CMC to single precision.
    np.testing.assert_allclose(mean[1:].astype(np.float32), case["cmc_1_to_20"], rtol=0, atol=1e-9)


def walk(ranked, positives, junk):
    """Area under the curve, item by item, and the ranks, with sets and loops only."""
    area, found, place, before, ranks = 0.0, 0, 0, 1.0, []
    for item in ranked:
        if item in junk:
            continue
        place += 1
        found += item in positives
        precision = found / place
        if item in positives:
            area += (before + precision) / 2 / len(positives)
            ranks.append(place)
        before = precision
    return area, ranks


@pytest.mark.parametrize("seed", range(20))
def test_revisited_scores_walk_the_list(seed):
    rng = np.random.default_rng(seed)
    ranked, roles = rng.permutation(40), rng.integers(5, size=40)
    positives, junk = np.flatnonzero(roles == 0), np.flatnonzero(roles == 1)
    ranks = junk_free_ranks(ranked, positives, junk)
    area, places = walk(ranked.tolist(), set(positives.tolist()), set(junk.tolist()))
    assert (ranks + 1).tolist() == places
    assert revisited_average_precision(ranks, len(positives)) == pytest.approx(area, abs=1e-12)
    for k in (1, 5, 10):
        cut = min(k, places[-1])
        expected = sum(place <= cut for place in places) / cut
        assert revisited_precision_at(ranks, k) == pytest.approx(expected)


def test_revisited_corner_cases():
    assert revisited_average_precision(ints(0, 1, 2), 3) == 1
    assert revisited_precision_at(ints(0, 1), 10) == 1
    assert math.isnan(revisited_average_precision(ints(), 0))
    assert math.isnan(revisited_precision_at(ints(), 5))
    # One of two positives was not found; the other lies behind one wrong item: (0 + 1/2) / 2 / 2.
    assert revisited_average_precision(ints(1), 2) == pytest.approx(0.125)


def test_revisited_protocols_ignore_what_they_do_not_look_for():
    protocols = revisited_protocols(ints(1, 2), ints(3), ints(7, 8))
    assert {name: [part.tolist() for part in pair] for name, pair in protocols.items()} == {
        "easy": [[1, 2], [3, 7, 8]],
        "medium": [[1, 2, 3], [7, 8]],
        "hard": [[3], [1, 2, 7, 8]],
    }


def test_five_vehicles_with_same_camera_junk():
    # By rank: own camera (ignored), a stranger, a match, a stranger, a match.
    ids, cameras = np.array([7, 3, 7, 5, 7]), np.array([1, 1, 2, 3, 3])
    ap, first, second = reid_scores(ids, cameras, 7, 1, (1, 2))
    assert ap == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (first, second) == (0, 1)
    # A stranger by the query's camera stays in; with its only images by its own camera there is no match.
    assert np.isnan(reid_scores(ids, cameras, 5, 3, (1, 2))).all()
    assert reid_scores(ids, cameras, 3, 9, (1, 2)).tolist() == [0.5, 0, 1]


@pytest.mark.parametrize("k", [1, 3, 100, None])
def test_truncated_average_precision(k):
    rng = np.random.default_rng(1)
    for relevant in rng.random((30, 8)) < 0.3:
        hits, precisions = 0, []
        for rank, right in enumerate(relevant[:k], 1):
            hits += right
            if right:
                precisions.append(hits / rank)
        expected = sum(precisions) / len(precisions) if precisions else 0
        assert truncated_average_precision(relevant, k) == pytest.approx(expected)


@pytest.mark.parametrize("memory_mb", [512, 1e-3])
def test_distances(memory_mb):
    rng = np.random.default_rng(0)
    query, database = pack_codes(rng.standard_normal((7, 12))), pack_codes(rng.standard_normal((90, 12)))
    blocks = list(distance_rows(query, database, 12, memory_mb=memory_mb))
    assert [part.start for part, _ in blocks] == ([0] if memory_mb == 512 else list(range(7)))
    found = np.concatenate([block for _, block in blocks])
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, popcount_distances(query, database))
    query, database = unit(rng, 7), unit(rng, 90)
    found = np.concatenate([block for _, block in distance_rows(query, database, 0, memory_mb=memory_mb)])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, -(query @ database.T), atol=1e-6)


def test_near_duplicates_do_not_tie():
    query = np.array([[1, 0]], np.float32)
    angles = np.array([3e-3, 2e-3, 1e-3])
    database = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    ((_, distances),) = distance_rows(query, database, 0)
    assert ranking(distances[0], np.arange(3)).tolist() == [2, 1, 0]


def test_embeddings_that_are_not_numbers_are_refused():
    values = unit(np.random.default_rng(0), 4)
    values[2, 1] = np.nan
    with pytest.raises(BenchError, match="1 of 4 database embeddings hold NaN, the first is row 2"):
        list(distance_rows(values[:2], values, 0))
    with pytest.raises(BenchError, match="1 of 4 query embeddings"):
        list(chamfer_rows(values, values[:2], np.arange(4), np.arange(2), 0))


def test_ranking_breaks_ties_by_the_order():
    for distances in (np.array([300, 1, 300, 0, 1], np.int32), np.array([0.5, -1, 0.5, -2, -1], np.float32)):
        assert ranking(distances, np.arange(5)).tolist() == [3, 1, 4, 0, 2]
        assert ranking(distances, ints(4, 3, 2, 1, 0)).tolist() == [3, 4, 1, 2, 0]


def test_orders_are_seeded_permutations():
    orders = tie_orders(30, bits=8)
    assert len(orders) == instance.TIE_ORDERS
    assert len({tuple(order) for order in orders}) == len(orders)
    assert all(sorted(order.tolist()) == list(range(30)) for order in orders)
    np.testing.assert_array_equal(orders, tie_orders(30, bits=8))
    assert len(tie_orders(30, bits=0)) == 1


DISTANCES = np.array([[0, 1, 1, 1, 2, 2, 0], [2, 2, 2, 2, 2, 2, 2]], np.int32)
POSITIVES, JUNK = [ints(1, 4), ints(0, 3, 5)], [ints(2), ints(6)]


def score(number, ranked):
    ranks = junk_free_ranks(ranked, POSITIVES[number], JUNK[number])
    precisions = [revisited_precision_at(ranks, k) for k in (1, 3)]
    return np.array([revisited_average_precision(ranks, len(POSITIVES[number])), *precisions])


def test_ties_come_near_the_mean_over_all_orders(monkeypatch):
    exact, spread = [], []
    for number in range(2):
        scores = [
            score(number, ranking(DISTANCES[number], np.array(order)))
            for order in itertools.permutations(range(7))
        ]
        exact.append(np.mean(scores, axis=0))
        spread.append(np.std(scores, axis=0))
    assert np.min(np.max(spread, axis=1)) > 0.1
    for count in (instance.TIE_ORDERS, 2000):
        monkeypatch.setattr(instance, "TIE_ORDERS", count)
        found = mean_over_ties(iter([(slice(0, 2), DISTANCES)]), tie_orders(7, bits=2), score)
        assert (np.abs(found - exact) <= 4 * np.array(spread) / math.sqrt(count) + 1e-12).all()


def test_ties_that_do_not_matter_are_exact():
    distances = np.array([[1, 0, 0, 2, 1, 3]], np.int32)

    def all_right_at_zero(_, ranked):
        return np.array([revisited_average_precision(junk_free_ranks(ranked, ints(1, 2), ints()), 2)])

    rows = iter([(slice(0, 1), distances)])
    assert mean_over_ties(rows, tie_orders(6, bits=8), all_right_at_zero)[0, 0] == pytest.approx(1, abs=1e-15)


def test_rows_of_images_in_a_part():
    assert rows_of(ints(9, 4, 100), ints(2, 4, 5, 9)).tolist() == [1, 3]
    assert rows_of(ints(), ints(2, 4)).tolist() == []


@pytest.mark.parametrize("bits", [0, 12])
@pytest.mark.parametrize("memory_mb", [512, 1e-3])
@pytest.mark.parametrize("frames", [1 << 14, 5])
def test_chamfer_similarity_against_loops(monkeypatch, bits, memory_mb, frames):
    monkeypatch.setattr(instance, "_FRAMES", frames)
    rng = np.random.default_rng(3)
    query_videos, videos = rng.integers(3, 9, size=20), rng.integers(50, 63, size=70)
    query_videos[:4], videos[:9] = 4, 52  # some have many frames
    raw = [rng.standard_normal((size, 12)) for size in (20, 70)]
    if bits:
        query, database = map(pack_codes, raw)
        cosines = np.where(raw[0] >= 0, 1, -1) @ np.where(raw[1] >= 0, 1, -1).T / bits
    else:
        query, database = ((one / np.linalg.norm(one, axis=1, keepdims=True)).astype("f4") for one in raw)
        cosines = query @ database.T
    blocks = list(chamfer_rows(query, database, query_videos, videos, bits, memory_mb=memory_mb))
    expected = [
        [
            np.mean([max(cosines[f][videos == video]) for f in np.flatnonzero(query_videos == one)])
            for video in sorted(set(videos.tolist()))
        ]
        for one in sorted(set(query_videos.tolist()))
    ]
    assert len(blocks) == (1 if memory_mb == 512 else len(expected))
    assert [part.start for part, _ in blocks] == list(range(0, len(expected), blocks[0][0].stop))
    np.testing.assert_allclose(np.concatenate([block for _, block in blocks]), expected, atol=1e-6)
