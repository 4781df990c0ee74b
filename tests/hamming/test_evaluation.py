"""All numbers of one set of codes in one call, against loops over queries and ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.hamming import average_precision, evaluate, pack_codes, popcount_distances
from tests.hamming.problems import problem, score

Arrays = tuple[Any, Any, Any, Any]


def field_layout(bits: int, classes: int = 20, queries: int = 12, items: int = 300) -> Arrays:
    """Codes of -1 and +1 as floats, multi-hot labels, the database sorted by its first class."""
    rng = np.random.default_rng(bits)
    labels = (rng.random((queries + items, classes)) < 0.12).astype(np.int64)
    codes = np.sign(labels @ rng.standard_normal((classes, bits)) + rng.standard_normal((len(labels), bits)))
    order = np.argsort(labels[queries:].argmax(axis=1), kind="stable")
    return codes[:queries], codes[queries:][order], labels[:queries], labels[queries:][order]


def ranked(arrays: Arrays, query: int) -> NDArray[np.int64]:
    """Relevance by rank, ties in the order of the database."""
    codes = [pack_codes(part) for part in arrays[:2]]
    order = np.argsort(popcount_distances(codes[0][query : query + 1], codes[1])[0], kind="stable")
    return (arrays[3][order] @ arrays[2][query] > 0).astype(int)


@pytest.mark.parametrize("bits", [12, 48])
@pytest.mark.parametrize("k", [None, 40])
def test_codes_of_the_fields_layout_have_the_scores_of_a_loop(bits: int, k: int | None) -> None:
    arrays = field_layout(bits)
    found = evaluate(*arrays, k=k, ties="index")
    rankings = [ranked(arrays, query) for query in range(12)]
    for normalizer, name in (("relevant", "relevant"), ("hits", "hits")):
        expected = [score(ranking, k or 300, normalizer) for ranking in rankings]
        one = found.scores[f"map@{k or 'all'}:index:{name}"]
        np.testing.assert_allclose(one.by_query, expected, atol=1e-12)
        assert one.value == pytest.approx(np.mean(expected))
    assert found.map is found.scores[f"map@{k or 'all'}:index:relevant"]
    worst, best = (found.scores[f"map@{k or 'all'}:{order}:relevant"].value for order in ("worst", "best"))
    assert worst <= found.map.value <= best
    distances = popcount_distances(*(pack_codes(part) for part in arrays[:2]))
    relevant = arrays[2] @ arrays[3].T > 0
    nearest = [right[row == row.min()].mean() for row, right in zip(distances, relevant, strict=True)]
    np.testing.assert_allclose(found.scores["precision_at_k@1"].by_query, nearest)
    assert (found.queries, found.items, found.bits) == (12, 300, bits)


@pytest.mark.parametrize("seed", range(5))
def test_a_ball_is_what_lies_within_it(seed: int) -> None:
    arrays = problem(seed)
    found = evaluate(*arrays)
    inside = popcount_distances(*arrays[:2]) <= 2
    relevant = arrays[2][:, None] == arrays[3]
    hits = (inside & relevant).sum(axis=1)
    precision, recall = (found.scores[f"{name}_hamming2"].by_query for name in ("precision", "recall"))
    np.testing.assert_allclose(precision, hits / np.maximum(inside.sum(axis=1), 1))
    np.testing.assert_allclose(recall, hits / np.maximum(relevant.sum(axis=1), 1))
    assert found.hitless == np.count_nonzero(relevant.sum(axis=1) == 0)


def test_intervals_hold_their_means() -> None:
    found = evaluate(*problem(1))
    for name, one in found.scores.items():
        if name.startswith("pr_curve"):
            assert one.interval is None
        else:
            assert one.interval is not None
            assert one.interval[0] <= one.value <= one.interval[1]


def test_ranks_beyond_the_database_are_left_out() -> None:
    found = evaluate(*problem(2, items=90))
    assert {"precision_at_k@10", "precision_at_k@1"} <= found.scores.keys()
    assert not {"precision_at_k@100", "recall_at_k@100"} & found.scores.keys()


def test_copies_and_constant_bits_are_told() -> None:
    codes = np.ones((6, 12))
    codes[:, [3, 11]] = -1
    codes[0, 5] = codes[1, 5] = codes[2, 6] = -1
    found = evaluate(codes[:2], codes, [0, 1], [0, 1, 0, 1, 0, 1])
    assert found.distinct_codes == 3
    assert found.commonest_code == 0.5
    assert found.constant_bits == (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)


def test_lists_of_relevant_items_are_labels_of_another_kind() -> None:
    query, database, query_labels, database_labels = problem(3)
    listed = np.full((len(query), len(database) + 3), -1)
    for row, label in enumerate(query_labels):
        answers = np.flatnonzero(database_labels == label)
        listed[row, : len(answers)] = answers[::-1]
    listed[0, -1] = listed[0, 0]  # what is listed twice counts once
    for ties in ("expected", "index"):
        expected = evaluate(query, database, query_labels, database_labels, ties=ties)
        assert evaluate(query, database, listed, None, ties=ties) == expected


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([[0, 90]], "numbers of the 90 in the database, or -1 for none, not 0 to 90"),
        ([[0, -2]], "not -2 to 0"),
        ([0], r"int \(1, m\), the items that answer each query, not int64 \(1,\)"),
        ([[0.5]], "not float64"),
        ([[0], [1]], r"int \(1, m\)"),
    ],
)
def test_lists_that_cannot_be_are_one_line(listed: Any, message: str) -> None:
    query, database, *_ = problem(4, queries=1)
    with pytest.raises(BenchError, match=message):
        average_precision(query, database, listed, None)


def test_a_cut_beyond_the_database_is_one_line() -> None:
    with pytest.raises(BenchError, match="k is 91, but the database has 90 items; give at most that"):
        evaluate(*problem(5), k=91)


def test_nothing_to_find_is_one_line() -> None:
    query, database, query_labels, database_labels = problem(6)
    with pytest.raises(BenchError, match="nothing in the database is relevant to any of the 7 queries"):
        evaluate(query, database, query_labels + 10, database_labels)


@pytest.mark.parametrize("one", [np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64])
def test_signs_of_any_type_are_codes(one: type[np.generic]) -> None:
    query, database, *labels = problem(7, bits=12)
    signs = [2 * np.unpackbits(part, axis=1, count=12).astype(one) - 1 for part in (query, database)]
    assert evaluate(*signs, *labels) == evaluate(query, database, *labels, bits=12)


@pytest.mark.parametrize(
    "one", [np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int64, np.float32, np.float64]
)
def test_bits_of_any_type_are_codes(one: type[np.generic]) -> None:
    query, database, *labels = problem(8, bits=12)
    bits = [np.unpackbits(part, axis=1, count=12).astype(one) for part in (query, database)]
    assert evaluate(*bits, *labels, bits=12) == evaluate(query, database, *labels, bits=12)


def test_a_database_in_the_order_of_its_classes_favours_the_first_in_index_order_alone() -> None:
    """Values of a plain loop over ranks, and of one that takes every place of a tie for its expectation."""
    rng = np.random.default_rng(0)
    labels, asked = np.repeat(np.arange(10), 500), np.arange(200) % 10
    centers = rng.choice([-1, 1], (10, 16))
    database = centers[labels] * np.where(rng.random((5000, 16)) < 0.2, -1, 1)
    queries = centers[asked] * np.where(rng.random((200, 16)) < 0.2, -1, 1)
    arrays = pack_codes(queries), pack_codes(database), asked, labels
    index, expected = (average_precision(*arrays, ties=ties) for ties in ("index", "expected"))
    assert index.mean() == pytest.approx(0.462008306931195, abs=1e-12)
    assert expected.mean() == pytest.approx(0.46273944089050373, abs=1e-12)
    first, last = index[0::10].mean(), index[9::10].mean()
    assert (first, last) == pytest.approx((0.5022816992425276, 0.4045845725717772), abs=1e-12)
    first, last = expected[0::10].mean(), expected[9::10].mean()
    assert (first, last) == pytest.approx((0.39873362365378784, 0.4835008774067447), abs=1e-12)
