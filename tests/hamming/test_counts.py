"""Histograms against counting one by one."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from bench.errors import BenchError
from bench.hamming import (
    average_precision,
    distance_histograms,
    popcount_distances,
)
from tests.hamming.problems import TIES, problem, some


class TestHistograms:
    @pytest.mark.parametrize("bits", [3, 16, 64, 72, 128, 300])
    @pytest.mark.parametrize("classes", [1, 5, 80])
    def test_counts(self, bits: int, classes: int) -> None:
        query, database, *_ = problem(6, bits=bits)
        rng = np.random.default_rng(7)
        query_labels, database_labels = (rng.random((n, classes)) < 2 / (classes + 1) for n in (7, 90))
        counts, relevant = distance_histograms(query, database, query_labels, database_labels)
        distances = popcount_distances(query, database)
        shared = query_labels.astype(int) @ database_labels.T.astype(int) > 0
        for row in range(7):
            size = 8 * query.shape[1] + 1
            np.testing.assert_array_equal(counts[row], np.bincount(distances[row], minlength=size))
            hits = np.bincount(distances[row][shared[row]], minlength=size)
            np.testing.assert_array_equal(relevant[row], hits)

    @some
    @given(
        st_numpy.arrays(
            np.int64,
            12,
            elements=st.sampled_from([0, 1, 256, 65536, -1, -256, 2**62, 2**62 + 1, 2**53 + 1, 2**53]),
        )
    )
    def test_class_indices_are_equal_or_not(self, labels: Any) -> None:
        """Bytes of zero anywhere in an index must not blur it."""
        database = np.zeros((12, 1), np.uint8)
        relevant = distance_histograms(database, database, labels, labels, bits=8)[1]
        np.testing.assert_array_equal(relevant[:, 0], (labels[:, None] == labels).sum(axis=1))

    def test_class_indices_of_other_types(self) -> None:
        """Neither a common float type nor a narrow one may blur them."""
        database = np.zeros((3, 1), np.uint8)
        wide = np.array([2**60 + 1, 2**60 + 2, 5], np.uint64)
        for labels in (wide.astype(np.int64), wide):
            relevant = distance_histograms(database, database, labels, wide, bits=8)[1]
            assert relevant[:, 0].tolist() == [1, 1, 1]
        small = np.array([5, 5, 200], np.uint8)
        assert distance_histograms(database, database, wide, small, bits=8)[1][:, 0].tolist() == [0, 0, 2]
        with pytest.raises(BenchError, match="database labels must be below 2.63"):
            distance_histograms(database, database, small, np.full(3, 2**64 - 1, np.uint64), bits=8)

    def test_class_indices_and_one_hot_rows_agree(self) -> None:
        query, database, query_labels, database_labels = problem(8)
        one_hot = np.eye(4, dtype=np.uint8)
        for one, two in zip(
            distance_histograms(query, database, query_labels, database_labels),
            distance_histograms(query, database, one_hot[query_labels], one_hot[database_labels]),
            strict=True,
        ):
            np.testing.assert_array_equal(one, two)

    def test_threads_change_nothing(self) -> None:
        before, results = faiss.omp_get_max_threads(), []
        try:
            for threads in (1, 3):
                faiss.omp_set_num_threads(threads)
                results.append([average_precision(*problem(10), ties=ties) for ties in TIES])
        finally:
            faiss.omp_set_num_threads(before)
        np.testing.assert_array_equal(results[0], results[1])

    def test_more_threads_than_queries_count_items_of_few_codes(self) -> None:
        query, database, *labels = problem(12, queries=20)
        database[:] = database[0]
        alone = distance_histograms(query, database, *labels)
        before = faiss.omp_get_max_threads()
        try:
            faiss.omp_set_num_threads(40)
            np.testing.assert_array_equal(distance_histograms(query, database, *labels), alone)
        finally:
            faiss.omp_set_num_threads(before)
