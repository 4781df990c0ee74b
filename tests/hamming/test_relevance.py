"""Which items answer a query: counts and masks of blocks against sets of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.hamming.relevance import places_of, relevance
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
        (
            [0.5, 1.0],
            [0, 1, 2],
            "must be int .n,. or 0/1 .n, classes., not float64 .2,.; give each class a whole number$",
        ),
        ([0, 1, 2], [0, 1, 2], "2 queries have 3 labels; give each its own, in the same order$"),
        (
            [0, 1],
            [[0, 1, 0]] * 3,
            "query labels int64 .2,. and database labels int64 .3, 3. do not match; give "
            r"both as classes, or both as 0/1 by class: numpy\.eye\(3, dtype=bool\)\[labels\]$",
        ),
        ([[0, 1]] * 2, [[0, 1, 0]] * 3, "do not match; give both a column for each class of either$"),
        (
            [[0, 2], [1, 0]],
            [[0, 1]] * 3,
            "query labels must be int .* where an item has the class .* labels > 0$",
        ),
        ([0, 1, 2], [0, 1], "2 queries have 3 labels, and 3 items of the database 2; exchange the labels"),
        ([0, 1], [[0, 1, 0]], "3 items of the database have 1 labels; a row must be an image: labels.T$"),
        (["a", "b"], ["a"] * 3, r"not <U1 .2,.; number the classes of both sides at once: numpy\.unique"),
        ([0, 1], np.array([0, 2**63, 1], np.uint64), "database labels must be below 2.63"),
        ([[0], [0, 1]], [0, 1, 2], "query labels are nothing that numpy can read"),
    ],
)
def test_labels_that_cannot_be_are_one_line(query: Any, database: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message) as refused:
        relevance(query, database, 2, 3)
    assert "\n" not in str(refused.value)


def test_names_of_classes_are_numbered_as_the_message_says() -> None:
    """One numbering for both sides, although the queries lack a class."""
    query_labels, database_labels = np.array(["b", "c"]), np.array(["a", "b", "c"])
    with pytest.raises(BenchError) as refused:
        relevance(query_labels, database_labels, 2, 3)
    cure = str(refused.value).partition("at once: ")[2]
    names = {"numpy": np, "query_labels": query_labels, "database_labels": database_labels}
    numbers = eval(cure, names)
    judged = relevance(numbers[:2], numbers[2:], 2, 3).block(slice(0, 3))
    assert [judged.relevant(query).tolist() for query in range(2)] == [
        [False, True, False],
        [False, False, True],
    ]


INT64 = st.integers(-(2**63), 2**63 - 1)


@some
@given(st.sets(INT64 | st.integers(-9, 9), max_size=6), st.lists(INT64 | st.integers(-9, 9), max_size=20))
def test_places_of_labels_wherever_they_lie(distinct: set[int], others: list[int]) -> None:
    labels = [*others, *distinct, *(min(one + 1, 2**63 - 1) for one in distinct)]
    places = places_of(np.array(labels, np.int64), np.array(sorted(distinct), np.int64))
    order = {label: place for place, label in enumerate(sorted(distinct))}
    assert places.tolist() == [order.get(label, len(distinct)) for label in labels]
