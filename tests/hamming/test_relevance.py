"""Which items answer a query: counts and masks of blocks against sets of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.hamming.relevance import relevance
from tests.hamming.problems import some


@some
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 130))
def test_blocks_against_sets_of_labels(seed: int, several: bool, classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels: list[Any]
    if several:
        labels = [(rng.random((n, classes)) < 0.1).astype(np.uint8) for n in (4, 60)]
        sets = [[set(np.flatnonzero(row)) for row in part] for part in labels]
    else:
        labels = [rng.integers(-3, classes, n) for n in (4, 60)]
        sets = [[{int(label)} for label in part] for part in labels]
    judged = relevance(*labels, 4, 60)
    for part in (slice(0, 60), slice(7, 8), slice(20, 55)):
        block = judged.block(part)
        distances = rng.integers(0, 9, 60).astype(np.int32)[part]
        for query in range(4):
            expected = np.array([bool(sets[0][query] & one) for one in sets[1][part]])
            np.testing.assert_array_equal(block.relevant(query), expected)
            ordered = distances if block.order is None else distances[block.order]
            counted = np.zeros((2, 9), np.int32)
            block.count(query, ordered.copy(), np.empty_like(ordered), counted)
            np.testing.assert_array_equal(counted[0], np.bincount(distances, minlength=9))
            np.testing.assert_array_equal(counted[1], np.bincount(distances[expected], minlength=9))


@pytest.mark.parametrize(
    ("query", "database", "message"),
    [
        ([0.5, 1.0], [0, 1], "query labels must be int .n,. or 0/1 .n, classes., not float64 .2,."),
        ([0, 1, 2], [0, 1], "2 query codes have 3 labels"),
        ([0, 1], [[0, 1], [1, 0]], "query labels int64 .2,. and database labels int64 .2, 2. do not match"),
        ([[0, 2], [1, 0]], [[0, 1], [1, 0]], "query labels must be int"),
        ([0, 1], np.array([0, 2**63], np.uint64), "database labels must be below 2.63"),
        ([[0], [0, 1]], [0, 1], "query labels are nothing that numpy can read"),
    ],
)
def test_labels_that_cannot_be_are_one_line(query: Any, database: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        relevance(query, database, 2, 2)
