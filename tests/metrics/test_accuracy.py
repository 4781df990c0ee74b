"""Metrics on codes against loops over queries and items, for single and for multi-hot labels."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.hamming import average_precision, evaluate, pack_codes, popcount_distances
from bench.metrics import _histograms as histograms
from bench.metrics._histograms import counted
from bench.metrics.distinct_codes import DistinctCodes
from bench.metrics.map import MeanAveragePrecision
from bench.metrics.map_hamming2 import MapHamming2
from bench.metrics.pr_curve import PrecisionRecallCurve
from bench.metrics.precision_at_k import PrecisionAtK
from bench.metrics.precision_hamming2 import PrecisionHamming2
from bench.metrics.recall_at_k import RecallAtK
from bench.types import RankingRule, Retrieval

QUERIES, ITEMS = 9, 80
METRICS: list[Any] = [PrecisionAtK, RecallAtK, PrecisionHamming2, MapHamming2, PrecisionRecallCurve]


@pytest.fixture(params=["single", "multi"])
def retrieval(request: pytest.FixtureRequest) -> Retrieval:
    """Codes of 7 bits; the first query has nothing to find, the second an empty ball."""
    rng = np.random.default_rng(0)
    u = rng.standard_normal((QUERIES + ITEMS, 7))
    u[1], u[QUERIES:, :3] = -1, 1
    if request.param == "single":
        labels: NDArray[Any] = rng.integers(3, size=QUERIES + ITEMS)
        labels[0] = 7
    else:
        labels = (rng.random((QUERIES + ITEMS, 9)) < 0.2).astype(np.uint8)
        labels[0] = 0
    codes = pack_codes(u)
    return Retrieval(codes[:QUERIES], codes[QUERIES:], labels[:QUERIES], labels[QUERIES:], 7, RankingRule())


def arrays(subject: Retrieval) -> tuple[Any, ...]:
    return subject.query, subject.database, subject.query_labels, subject.database_labels


def shared(subject: Retrieval) -> NDArray[np.bool_]:
    if subject.query_labels.ndim == 1:
        return np.asarray(subject.query_labels[:, None] == subject.database_labels)
    return np.asarray(subject.query_labels.astype(int) @ subject.database_labels.T.astype(int) > 0)


def hits(subject: Retrieval, k: int, ties: str) -> list[float]:
    """Relevant items among the first k, of each query."""
    found = []
    for row, relevant in zip(
        popcount_distances(subject.query, subject.database), shared(subject), strict=True
    ):
        if ties == "expected":
            # An item is among the first k with the share of its tie group that is.
            closer = (row[:, None] > row).sum(axis=1)
            tied = (row[:, None] == row).sum(axis=1)
            found.append(float((relevant * np.clip((k - closer) / tied, 0, 1)).sum()))
        else:
            order = np.lexsort([relevant if ties == "worst" else ~relevant, row])
            found.append(float(relevant[order][:k].sum()))
    return np.array(found)


@pytest.mark.parametrize("metric", [PrecisionAtK, RecallAtK])
def test_cuts(retrieval: Retrieval, metric: Any) -> None:
    name = "precision_at_k" if metric is PrecisionAtK else "recall_at_k"
    measurement = metric(metric.Params(ks=(1, 7, ITEMS, ITEMS + 1))).compute(retrieval)
    assert list(measurement.values) == [f"{name}@{k}" for k in (1, 7, ITEMS)]
    total = shared(retrieval).sum(axis=1)
    for k in (1, 7, ITEMS):
        norm = k if metric is PrecisionAtK else np.maximum(total, 1)
        value = measurement.values[f"{name}@{k}"]
        expected, best, worst = (hits(retrieval, k, ties) / norm for ties in ("expected", "best", "worst"))
        assert measurement.per_query[f"{name}@{k}"] == pytest.approx(expected)
        assert value.value == pytest.approx(expected.mean())
        assert value.detail["best_ties"] == pytest.approx(best.mean())
        assert value.detail["worst_ties"] == pytest.approx(worst.mean())
        assert value.detail["hitless"] == np.count_nonzero(total == 0) >= 1
        assert value.interval is not None
        assert value.interval[0] <= value.value <= value.interval[1]


@pytest.mark.parametrize("metric", [PrecisionAtK, RecallAtK])
@pytest.mark.parametrize("ks", [(), (0,), (-1,)])
def test_ranks_start_at_one(metric: Any, ks: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        metric.Params(ks=ks)


def test_balls_of_radius_two(retrieval: Retrieval) -> None:
    measurement = PrecisionHamming2(PrecisionHamming2.Params()).compute(retrieval)
    precision, recall, empty = [], [], 0
    for row, relevant in zip(
        popcount_distances(retrieval.query, retrieval.database), shared(retrieval), strict=True
    ):
        ball = [bool(relevant[i]) for i in range(ITEMS) if row[i] <= 2]
        empty += not ball
        precision.append(sum(ball) / len(ball) if ball else 0.0)
        recall.append(sum(ball) / relevant.sum() if relevant.any() else 0.0)
    assert measurement.per_query["precision_hamming2"] == pytest.approx(precision)
    assert measurement.per_query["recall_hamming2"] == pytest.approx(recall)
    value = measurement.values["precision_hamming2"]
    assert value.value == pytest.approx(np.mean(precision))
    assert value.detail["empty_balls"] == empty >= 1


def test_map_within_radius_two_ranks_the_ball_alone(retrieval: Retrieval) -> None:
    measurement = MapHamming2(MapHamming2.Params()).compute(retrieval)
    distances = popcount_distances(retrieval.query, retrieval.database)
    for ties in ("expected", "best", "worst"):
        scores = []
        for row in range(QUERIES):
            ball = distances[row] <= 2
            one = slice(row, row + 1)
            scores += average_precision(
                retrieval.query[one],
                retrieval.database[ball],
                retrieval.query_labels[one],
                retrieval.database_labels[ball],
                bits=retrieval.bits,
                ties=ties,  # type: ignore[arg-type]
            ).tolist()
        assert measurement.per_query[f"map_hamming2:{ties}"] == pytest.approx(scores)
        assert measurement.values[f"map_hamming2:{ties}"].value == pytest.approx(np.mean(scores))


def test_curves(retrieval: Retrieval) -> None:
    measurement = PrecisionRecallCurve(PrecisionRecallCurve.Params(points=6)).compute(retrieval)
    total = np.maximum(shared(retrieval).sum(axis=1), 1)
    by_rank = measurement.values["pr_curve:rank"].detail
    assert by_rank["rank"][0] == 1
    assert by_rank["rank"][-1] == ITEMS
    for at, k in enumerate(by_rank["rank"]):
        for ties, ending in (("expected", ""), ("best", "_best_ties"), ("worst", "_worst_ties")):
            found = hits(retrieval, k, ties)
            assert by_rank[f"precision{ending}"][at] == pytest.approx((found / k).mean())
            assert by_rank[f"recall{ending}"][at] == pytest.approx((found / total).mean())
    by_radius = measurement.values["pr_curve:radius"].detail
    distances = popcount_distances(retrieval.query, retrieval.database)
    assert by_radius["radius"] == list(range(8))
    for radius in range(8):
        ball = distances <= radius
        found, size = (shared(retrieval) & ball).sum(axis=1), ball.sum(axis=1)
        assert by_radius["precision"][radius] == pytest.approx((found / np.maximum(size, 1)).mean())
        assert by_radius["recall"][radius] == pytest.approx((found / total).mean())
        assert by_radius["empty_balls"][radius] == pytest.approx((size == 0).mean())
    np.testing.assert_array_equal(measurement.per_query["distance_counts"].sum(axis=1), [ITEMS] * QUERIES)


def test_a_perfect_ranking_has_area_one() -> None:
    codes = pack_codes(np.array([[1.0] * 8, [-1.0] * 8]))
    items, labels = codes[[0, 0, 1, 1, 1]], np.array([0, 0, 1, 1, 1])
    subject = Retrieval(codes, items, np.array([0, 1]), labels, 8, RankingRule())
    values = PrecisionRecallCurve(PrecisionRecallCurve.Params()).compute(subject).values
    assert values["pr_curve:radius"].value == pytest.approx(1)
    # By rank the curve goes on behind the last hit, at recall 1, where no area is.
    assert values["pr_curve:rank"].value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("metric", [MeanAveragePrecision, *METRICS])
@pytest.mark.parametrize("byte", [0, 1])
def test_codes_of_a_collapsed_network_are_scored_like_any_others(byte: int, metric: Any) -> None:
    """Nobody asks whether bytes of 0 and 1 are packed: the length is known."""
    codes, labels = np.full((30, 2), byte, np.uint8), np.arange(30) % 3
    subject = Retrieval(codes[:6], codes, labels[:6], labels, 16, RankingRule(ties="index"))
    other = dataclasses.replace(subject, query=codes[:6] + 40, database=codes + 40)
    values = [metric(metric.Params()).compute(one).values for one in (subject, other)]
    assert values[0] == values[1]


@pytest.mark.parametrize("metric", METRICS)
def test_values_are_plain_json_and_between_zero_and_one(retrieval: Retrieval, metric: Any) -> None:
    for value in metric(metric.Params()).compute(retrieval).values.values():
        json.dumps(dataclasses.asdict(value), allow_nan=False)
        assert 0 <= value.value <= 1
        assert value.noise == "seeded"


def test_one_call_gives_the_numbers_of_all_metrics(retrieval: Retrieval) -> None:
    """What people get for codes of their own is what records hold, to the bit."""
    measured: dict[str, Any] = {}
    for metric in (MeanAveragePrecision, *METRICS, DistinctCodes):
        measured |= metric(metric.Params()).compute(retrieval).values
    found = evaluate(*arrays(retrieval), bits=retrieval.bits)
    counts = {"distinct_codes": found.distinct_codes, "commonest_code": found.commonest_code}
    assert measured.keys() == found.scores.keys() | counts.keys()
    for name, value in measured.items():
        if name in counts:
            assert value.value == counts[name]
        else:
            assert (value.value, value.interval) == (found.scores[name].value, found.scores[name].interval)


def test_counts_that_are_known_are_not_counted_again(retrieval: Retrieval, monkeypatch: Any) -> None:
    found = counted(retrieval)
    known = dataclasses.replace(retrieval, histograms=lambda: found)
    expected = [metric(metric.Params()).compute(retrieval).values for metric in METRICS]
    monkeypatch.setattr(histograms, "distance_histograms", None)
    assert [metric(metric.Params()).compute(known).values for metric in METRICS] == expected
