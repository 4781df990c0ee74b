"""Embeddings ranked by cosine, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import _histograms as histograms
from bench.metrics._histograms import by_query
from bench.metrics.map import MeanAveragePrecision
from bench.metrics.precision_at_k import PrecisionAtK
from bench.types import RankingRule, Retrieval


def retrieval(*, multi: bool = False, duplicates: bool = False, k: int | None = None, ties="expected"):
    rng = np.random.default_rng(0)
    query, database = (rng.normal(size=(size, 8)) for size in (7, 60))
    # Small whole numbers have exact products, and many equal ones.
    unit = [
        x.round() if duplicates else x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, database)
    ]
    labels = rng.integers(2, size=(67, 3)) if multi else rng.integers(4, size=67)
    rule = RankingRule(k, ties)
    return Retrieval(*(x.astype(np.float32) for x in unit), labels[:7], labels[7:], 0, rule)


def relevance_of(subject, query):
    wanted, labels = subject.query_labels[query], subject.database_labels
    return labels == wanted if labels.ndim == 1 else (labels & wanted).any(axis=1)


def naive_ap(subject, query, tie_break, k=None):
    """Mean over relevant items of the precision at their rank, ties in the order ``tie_break``."""
    similarity = (subject.database @ subject.query[query])[tie_break]
    relevant = relevance_of(subject, query)[tie_break]
    ranked = relevant[np.argsort(-similarity, kind="stable")][:k]
    precisions = ranked.cumsum() / np.arange(1, len(ranked) + 1)
    return (precisions * ranked).sum() / max(relevant.sum(), 1)


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("k", [None, 10])
def test_map_of_embeddings_is_that_of_a_sort(multi, k):
    subject = retrieval(multi=multi, k=k)
    measured = MeanAveragePrecision(MeanAveragePrecision.Params()).compute(subject)
    expected = [naive_ap(subject, query, np.arange(60), k) for query in range(7)]
    name = f"map@{k or 'all'}:expected:relevant"
    np.testing.assert_allclose(measured.per_query[name], expected, atol=1e-12)
    assert measured.values[name].detail["database"] == 60


def test_equal_similarities_are_ties():
    subject = retrieval(duplicates=True)
    measured = MeanAveragePrecision(MeanAveragePrecision.Params()).compute(subject)
    rng = np.random.default_rng(1)
    orders = [rng.permutation(60) for _ in range(3000)]
    own = measured.per_query["map@all:expected:relevant"]
    for query in range(7):
        drawn = [naive_ap(subject, query, order) for order in orders]
        assert own[query] == pytest.approx(np.mean(drawn), abs=5 * np.std(drawn) / len(orders) ** 0.5 + 1e-9)
    best, worst = (measured.values[f"map@all:{ties}:relevant"].value for ties in ("best", "worst"))
    assert worst < own.mean() < best


@pytest.mark.parametrize("similarity", ["cosine", "l2"])
def test_equal_rows_are_ties_wherever_they_stand(similarity):
    """Products of matrices round equal rows differently, so that rows read back from codes came apart."""
    rng = np.random.default_rng(0)
    query, kinds = (rng.normal(size=(size, 50)).astype(np.float32) for size in (5, 16))
    number, labels = rng.integers(16, size=1003), rng.integers(4, size=1003)
    subject = Retrieval(
        query, kinds[number], np.arange(5) % 4, labels, 0, RankingRule(), similarity=similarity
    )
    (found,) = by_query(subject)
    asked, there = (vectors.astype(np.float64) for vectors in (query, kinds))
    near = asked @ there.T if similarity == "cosine" else -((asked[:, None] - there) ** 2).sum(axis=2)
    for row, order in enumerate(np.argsort(-near, axis=1)):
        relevant = np.bincount(number[labels == row % 4], minlength=16)
        assert found.counts[row][:16].tolist() == np.bincount(number)[order].tolist()
        assert found.relevant[row][:16].tolist() == relevant[order].tolist()
        assert not found.counts[row][16:].any()


def test_rows_that_differ_are_compared_in_their_order(monkeypatch):
    """Products round by where a row stands: records without equal rows stay what they are."""
    seen, right = [], histograms.similarities

    def watched(query, database, kind):
        seen.append(database)
        return right(query, database, kind)

    monkeypatch.setattr(histograms, "similarities", watched)
    subject = retrieval()
    assert len(list(by_query(subject))) == len(seen) == 1
    np.testing.assert_array_equal(seen[0], subject.database)


def test_the_order_of_the_database_can_break_ties():
    subject = retrieval(duplicates=True, ties="index")
    measured = MeanAveragePrecision(MeanAveragePrecision.Params()).compute(subject)
    expected = [naive_ap(subject, query, np.arange(60)) for query in range(7)]
    np.testing.assert_allclose(measured.per_query["map@all:index:relevant"], expected, atol=1e-9)


def test_blocks_of_queries_change_nothing(monkeypatch):
    subject = retrieval(duplicates=True)
    whole = list(by_query(subject))
    monkeypatch.setattr(histograms, "_RANK_BYTES", 3_000_000)
    parts = list(by_query(subject))
    assert len(whole) == 1
    assert len(parts) > 2
    for field in ("counts", "relevant", "ranked"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole[0], field))


def test_precision_of_embeddings():
    subject = retrieval(multi=True)
    measured = PrecisionAtK(PrecisionAtK.Params(ks=(5,))).compute(subject)
    for query in range(7):
        nearest = np.argsort(-(subject.database @ subject.query[query]))[:5]
        expected = relevance_of(subject, query)[nearest].mean()
        assert measured.per_query["precision_at_k@5"][query] == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1, 1e5), (2.0**80, 0), (2.0**-80, 0)])
def test_euclidean_distances_are_exact_wherever_vectors_lie(scale, offset):
    """Whole numbers that are moved and stretched have the distances that they had, ties included."""
    rng = np.random.default_rng(0)
    query, database = (rng.integers(0, 4, (n, 5)).astype(np.float64) for n in (6, 300))
    moved = ((vectors * scale + offset).astype(np.float32) for vectors in (query, database))
    found = histograms.similarities(*moved, "l2")
    np.testing.assert_array_equal(found / scale**2, -((query[:, None] - database) ** 2).sum(axis=2))
