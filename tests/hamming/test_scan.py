"""Whatever is asked, working memory stays below its bound."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from bench.hamming import (
    average_precision,
    distance_histograms,
    hamming_search,
    scan,
)
from tests.hamming.problems import TIES, problem


def labelled(kind: str) -> tuple[Any, ...]:
    """40 queries and 5000 items with one of 4 labels, or with about 2 of 70."""
    query, database, *labels = problem(11, queries=40, items=5000, bits=24)
    if kind == "multi":
        rng = np.random.default_rng(12)
        labels = [(rng.random((len(part), 70)) < 2 / 70).astype(int) for part in (query, database)]
    return query, database, *labels


@pytest.mark.parametrize("kind", ["single", "multi"])
class TestMemory:
    """Blocks of items and chunks of queries, forced by a small allowance, change no number."""

    @pytest.mark.parametrize("k", [None, 700])
    @pytest.mark.parametrize("ties", TIES)
    def test_average_precision(self, kind: str, ties: Any, k: Any) -> None:
        arrays = labelled(kind)
        assert len(list(scan.chunks(40, 160 * 25, 0.02))) > 1
        assert len(list(scan.blocks(5000, 100, 0.02))) > 1
        small = average_precision(*arrays, ties=ties, k=k, memory_mb=0.04)
        np.testing.assert_allclose(small, average_precision(*arrays, ties=ties, k=k), rtol=1e-12)

    def test_histograms(self, kind: str) -> None:
        arrays = labelled(kind)
        whole = distance_histograms(*arrays)
        np.testing.assert_array_equal(distance_histograms(*arrays, memory_mb=0.04), whole)

    @pytest.mark.parametrize("k", [1, 30, 5000])
    def test_search(self, kind: str, k: int) -> None:
        query, database, *_ = labelled(kind)
        whole = hamming_search(query, database, k)
        for one, two in zip(whole, hamming_search(query, database, k, memory_mb=0.04), strict=True):
            np.testing.assert_array_equal(one, two)

    @pytest.mark.parametrize("ties", ["expected", "index"])
    def test_the_allowance_is_kept(self, kind: str, ties: Any) -> None:
        """Codes that are not whole words, so that FAISS cannot have them as they are."""
        query, database, query_labels, database_labels = problem(13, 20, 400_000, bits=24)
        if kind == "multi":
            one_hot = np.eye(100, dtype=np.uint8)
            query_labels, database_labels = one_hot[query_labels], one_hot[database_labels]
        tracemalloc.start()
        average_precision(query, database, query_labels, database_labels, ties=ties, memory_mb=6)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6e6


class TestMemoryOfManyQueries:
    """Beside the result, which grows with them."""

    @pytest.mark.parametrize("classes", [0, 500])
    def test_histograms(self, classes: int) -> None:
        query, database, *labels = problem(16, 20_000, 50, bits=64)
        if classes:
            labels = [np.zeros((n, classes), np.uint8) for n in (20_000, 50)]
        assert self.peak(lambda: distance_histograms(query, database, *labels, memory_mb=6)) < 6e6

    def test_of_one_code(self) -> None:
        query, database, *labels = problem(16, 20_000, 500, bits=64)
        database[:] = 0
        assert self.peak(lambda: distance_histograms(query, database, *labels, memory_mb=6)) < 6e6

    def test_of_few_codes_that_many_sets_of_labels_share(self) -> None:
        """Queries that ask for the same class: what answers them is counted for all of them at once."""
        query, database, *_ = problem(19, 4000, 10_000, bits=64)
        database, numbers = database[np.arange(10_000) % 10], np.arange(10_000)[:, None] // 50
        labels = [np.eye(1, 9, dtype=bool).repeat(4000, axis=0), numbers >> np.arange(9) & 1]
        labels[1][:, 0] = 1
        assert self.peak(lambda: distance_histograms(query, database, *labels, memory_mb=6)) < 6e6

    def test_scores(self) -> None:
        arrays = problem(17, 20_000, 50, bits=64)
        assert self.peak(lambda: average_precision(*arrays, memory_mb=6)) < 6e6

    def test_search(self) -> None:
        query, database, *_ = problem(18, 20_000, 2000, bits=24)
        assert self.peak(lambda: hamming_search(query, database, 3, memory_mb=6)) < 6e6

    def test_a_cut_through_a_large_group(self) -> None:
        codes, labels = np.zeros((10**6, 1), np.uint8), np.arange(10**6) % 2
        rule: dict[str, Any] = {"bits": 8, "k": 500_000, "normalizer": "hits", "memory_mb": 10}
        score = average_precision(codes[:1], codes, labels[:1], labels, **rule)
        # Half of the first k are hits, in random order.
        assert score == pytest.approx([0.5], abs=1e-4)
        assert self.peak(lambda: average_precision(codes[:1], codes, labels[:1], labels, **rule)) < 10e6

    def peak(self, call: Any) -> float:
        """Bytes that ``call`` needs beyond what it returns."""
        tracemalloc.start()
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        parts = result if isinstance(result, tuple) else (result,)
        owners = {id(part if part.base is None else part.base): part for part in parts}
        kept = sum(part.nbytes if part.base is None else part.base.nbytes for part in owners.values())
        return float(peak - kept)
