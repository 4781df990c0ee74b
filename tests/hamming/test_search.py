"""Nearest neighbours against sorting, and wrong distances are noticed."""

from __future__ import annotations

import doctest
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import settings

from bench import hamming
from bench.errors import BenchError
from bench.hamming import (
    hamming_search,
    popcount_distances,
    scan,
)
from tests.hamming.problems import codes, problem

some = settings(max_examples=60, deadline=None)


class TestCrossCheck:
    def test_passes(self) -> None:
        query, database, *_ = problem(14, items=3000, bits=40)
        hamming.cross_check(query, database)
        hamming.cross_check(query[:0], database)
        hamming.cross_check(query, database[:0])

    def test_wrong_distances_are_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = scan.distances

        def wrong(query: Any, items: Any, out: Any) -> None:
            right(query, items, out)
            out[7] = 0

        query, database, *_ = problem(14, items=3000, bits=40)
        monkeypatch.setattr(scan, "distances", wrong)
        with pytest.raises(
            BenchError, match=r"FAISS 1.* disagree on the distances of query 0 from 3000 codes"
        ):
            hamming.cross_check(query, database)

    @pytest.mark.parametrize("claimed", [0, None], ids=["wrong distances", "far items"])
    def test_a_wrong_index_is_found(self, monkeypatch: pytest.MonkeyPatch, claimed: int | None) -> None:
        query, database, *_ = problem(15, items=3000, bits=40)
        farthest = np.argsort(-popcount_distances(query, database), axis=1)

        def search(index: Any, some: Any, k: int) -> tuple[Any, Any]:
            items = farthest[: len(some), :k]
            distances = np.take_along_axis(popcount_distances(query, database), items, axis=1)
            return (distances if claimed is None else np.zeros_like(distances)), items

        monkeypatch.setattr(faiss.IndexBinaryFlat, "search", search)
        with pytest.raises(BenchError, match="disagree on the distances of query 0"):
            hamming.cross_check(query, database)


class TestHammingSearch:
    @pytest.mark.parametrize("bits", [4, 12, 64, 72])
    @pytest.mark.parametrize("k", [1, 17, 200])
    def test_order_is_distance_then_index(self, bits: int, k: int) -> None:
        rng = np.random.default_rng(bits)
        query, database = codes(rng, 6, bits), codes(rng, 200, bits)
        distances, indices = hamming_search(query, database, k)
        everything = popcount_distances(query, database)
        order = np.argsort(everything, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(indices, order)
        np.testing.assert_array_equal(distances, np.take_along_axis(everything, order, axis=1))
        assert distances.dtype == np.int32
        assert indices.dtype == np.int64

    @pytest.mark.parametrize("k", [0, 201])
    def test_k_out_of_range(self, k: int) -> None:
        database = codes(np.random.default_rng(0), 200, 16)
        with pytest.raises(BenchError, match=f"k is {k}; it must be between 1 and the 200 codes"):
            hamming_search(database, database, k)


def test_the_example_of_the_package_runs() -> None:
    done = doctest.testmod(hamming, extraglobs={"np": np})
    assert done.attempted
    assert not done.failed
