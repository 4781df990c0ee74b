"""Codes that pile up are scanned once: the same numbers as from every item."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hamming import (
    average_precision,
    average_precision_from_histograms,
    distance_histograms,
    evaluate,
    pack_codes,
    popcount_distances,
)
from bench.hamming import copies as module
from bench.hamming import counts as counting
from bench.hamming.copies import as_words, copies, identical
from bench.hamming.gathered import pairs
from tests.hamming.problems import NORMALIZERS, TIES, some


def piled(seed: int, kinds: int, items: int = 400) -> tuple[Any, Any]:
    """Codes of 100 queries and of items: so many different ones of 24 bits, of which few are common."""
    rng = np.random.default_rng(seed)
    codes = pack_codes(rng.standard_normal((kinds, 24)))
    weights = rng.random(kinds) ** 4
    query, database = (codes[rng.choice(kinds, n, p=weights / weights.sum())] for n in (100, items))
    return query, database


def labels(seed: int, kind: str, queries: int = 100, items: int = 400) -> tuple[Any, Any]:
    """Classes, some of one side alone; sets of classes, some empty; or lists of items, one without any."""
    rng = np.random.default_rng(seed)
    if kind == "single":
        return rng.integers(-2, 4, queries), rng.integers(-1, 6, items)
    if kind == "multi":
        sets = rng.random((5, 70)) < 0.03
        return sets[rng.integers(5, size=queries)], sets[rng.integers(5, size=items)]
    listed = rng.integers(-1, items, (queries, 9))
    listed[0] = -1
    return listed, None


def one_by_one(codes: tuple[Any, Any], judged: tuple[Any, Any]) -> tuple[Any, Any]:
    """Counts and relevant items at each distance, by the definition."""
    distances = popcount_distances(*codes, bits=24)
    if judged[1] is None:
        relevant = np.stack([np.isin(np.arange(distances.shape[1]), row) for row in judged[0]])
    elif judged[0].ndim == 1:
        relevant = judged[0][:, None] == judged[1]
    else:
        relevant = judged[0].astype(int) @ judged[1].T.astype(int) > 0
    every = np.stack([np.bincount(row, minlength=25) for row in distances])
    hits = [np.bincount(row[of], minlength=25) for row, of in zip(distances, relevant, strict=True)]
    return every, np.stack(hits)


@some
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 7, 30, 90]),
    st.sampled_from(["single", "multi", "list"]),
)
def test_histograms_are_those_of_every_item(seed: int, kinds: int, kind: str) -> None:
    codes, judged = piled(seed, kinds), labels(seed + 1, kind)
    found = distance_histograms(*codes, *judged, bits=24)
    for got, expected in zip(found, one_by_one(codes, judged), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("kind", ["single", "multi", "list"])
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("ties", TIES)
def test_scores_are_those_of_one_query_at_a_time(kind: str, normalizer: Any, ties: Any) -> None:
    """One query shares nothing with others, and is too few for its items to be gathered."""
    codes, judged = piled(3, 12), labels(4, kind)
    for k in (None, 30):
        rule: dict[str, Any] = {"k": k, "ties": ties, "normalizer": normalizer, "bits": 24}
        alone = [
            average_precision(codes[0][row : row + 1], codes[1], judged[0][row : row + 1], judged[1], **rule)
            for row in range(len(codes[0]))
        ]
        np.testing.assert_allclose(
            average_precision(*codes, *judged, **rule), np.concatenate(alone), rtol=1e-12
        )


def test_small_blocks_change_nothing() -> None:
    codes, judged = piled(5, 9, items=5000), labels(6, "single", items=5000)
    whole = distance_histograms(*codes, *judged, bits=24)
    np.testing.assert_array_equal(distance_histograms(*codes, *judged, bits=24, memory_mb=0.04), whole)


@pytest.mark.parametrize("kind", ["single", "multi", "list"])
def test_codes_that_pile_up_are_gathered_and_others_are_not(kind: str, monkeypatch: Any) -> None:
    """Or the tests above would say nothing."""
    gathered: list[bool] = []

    def watched(*arguments: Any) -> Any:
        found = plain(*arguments)
        gathered.append(found is not None)
        return found

    plain = counting._gathered
    monkeypatch.setattr(counting, "_gathered", watched)
    distance_histograms(*piled(1, 30), *labels(2, kind), bits=24)
    distance_histograms(*piled(1, 3900), *labels(2, kind), bits=24)
    assert gathered == [True, False]


def test_items_of_one_code_that_differ_in_all_else_are_not_gathered() -> None:
    rng = np.random.default_rng(0)
    codes = piled(1, 9)
    sets = [rng.random((n, 70)) < 0.3 for n in (100, 400)]
    every, hits = distance_histograms(*codes, *sets, bits=24)
    expected = one_by_one(codes, (sets[0], sets[1]))
    np.testing.assert_array_equal(every, expected[0])
    np.testing.assert_array_equal(hits, expected[1])


@some
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 3), st.booleans())
def test_copies_against_sorting(seed: int, kinds: int, words: int, alike: bool) -> None:
    """Rows that differ in one bit, whichever it is, differ."""
    rng = np.random.default_rng(seed)
    different = np.zeros((kinds, words), np.uint64)
    if alike:
        different[np.arange(kinds), rng.integers(words, size=kinds)] = np.uint64(1) << np.arange(
            kinds, dtype=np.uint64
        )
    else:
        different[:] = rng.integers(1 << 63, size=different.shape, dtype=np.uint64)
    rows = different[rng.integers(kinds, size=200)]
    found = identical(rows)
    np.testing.assert_array_equal(rows[found.first[found.number]], rows)
    values, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(found.first) == len(values)
    assert sorted(found.counts()) == sorted(counts)
    assert all((found.number[:row] != kind).all() for kind, row in enumerate(found.first))
    assert copies(rows, len(values) - 1) is None


def test_rows_that_no_round_tells_apart_are_not_called_alike(monkeypatch: Any) -> None:
    """Whatever the hash, only equal rows are."""
    monkeypatch.setattr(module, "_mixed", lambda rows, odd: np.zeros(rows.shape[1], np.uint64))
    rows = np.arange(100, dtype=np.uint64)[:, None]
    assert copies(rows, 100) is None
    np.testing.assert_array_equal(identical(rows).number, np.arange(100))


def test_masks_of_any_width_become_words() -> None:
    masks = np.array([[1], [2]], np.uint16)
    assert as_words(masks).shape == (2, 1)
    assert as_words(np.ones((3, 9), np.uint8)).shape == (3, 2)


def test_an_evaluation_of_piled_codes_is_that_of_the_definition() -> None:
    codes, judged = piled(7, 20), labels(8, "single")
    found = evaluate(*codes, *judged, bits=24)
    every, hits = one_by_one(codes, judged)
    expected = average_precision_from_histograms(every, hits)
    scores = found.map.by_query
    assert scores is not None
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    assert found.distinct_codes == len(np.unique(codes[1], axis=0))


@some
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 1000]))
def test_pairs_are_counted_whether_few_or_many_are_possible(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    places, belongs = rng.integers(12, size=40), rng.integers(groups, size=40)
    found = pairs(places, belongs, 40)
    assert found is not None
    counted = zip(found.places.tolist(), found.groups.tolist(), found.weights.tolist(), strict=True)
    expected = Counter(zip(places.tolist(), belongs.tolist(), strict=True))
    assert {(place, group): weight for place, group, weight in counted} == expected
    assert pairs(places, belongs, len(expected) - 1) is None
