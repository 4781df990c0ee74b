"""Average precision against a loop over ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.hamming import (
    Normalizer,
    average_precision,
    pack_codes,
    popcount_distances,
)
from tests.hamming.problems import TIES, problem, score, some

GOLDEN = Path(__file__).parents[1] / "golden" / "hamming.json"
NORMALIZERS = get_args(Normalizer)


class TestAveragePrecision:
    @pytest.mark.parametrize("case", range(4))
    def test_published_evaluator(self, case: int) -> None:
        data = json.loads(GOLDEN.read_text())["hamming_map_index_order_ties"][case]
        query, database = (
            pack_codes(np.array(data[f"{part}_codes"]) - 0.5) for part in ("query", "database")
        )
        labels = np.array(data["query_labels"]), np.array(data["database_labels"])
        for k, value in data["map_at"].items():
            cut = None if k == "all" else int(k)
            scores = average_precision(query, database, *labels, k=cut, ties="index", normalizer="hits")
            assert scores.mean() == pytest.approx(value, abs=1e-9)

    @pytest.mark.parametrize("k", [1, 10, 45, 90, None, 1000])
    @pytest.mark.parametrize("normalizer", NORMALIZERS)
    def test_index_order_is_a_stable_sort(self, k: Any, normalizer: Any) -> None:
        query, database, query_labels, database_labels = problem(0)
        got = average_precision(*problem(0), k=k, ties="index", normalizer=normalizer)
        for row, distances in enumerate(popcount_distances(query, database)):
            order = np.argsort(distances, kind="stable")
            ranking = (database_labels[order] == query_labels[row]).astype(int)
            assert got[row] == pytest.approx(score(ranking, k or 90, normalizer))

    @pytest.mark.parametrize("normalizer", NORMALIZERS)
    @pytest.mark.parametrize("ties", TIES)
    def test_a_cut_beyond_the_last_item_is_none(self, ties: Any, normalizer: Any) -> None:
        rule = {"ties": ties, "normalizer": normalizer}
        whole = average_precision(*problem(0), **rule)
        for k in (90, 91, 10**6):
            np.testing.assert_array_equal(average_precision(*problem(0), k=k, **rule), whole)

    @some
    @given(
        st.integers(0, 2**32 - 1),
        st.integers(1, 40),
        st.sampled_from(NORMALIZERS),
        st.sampled_from(["expected", "best", "worst"]),
    )
    def test_database_order_is_irrelevant(self, seed: int, k: int, normalizer: Any, ties: Any) -> None:
        query, database, query_labels, database_labels = problem(seed, 3, 30, 5)
        order = np.random.default_rng(seed).permutation(30)
        options = {"k": k, "ties": ties, "normalizer": normalizer}
        one = average_precision(query, database, query_labels, database_labels, **options)
        two = average_precision(query, database[order], query_labels, database_labels[order], **options)
        np.testing.assert_array_equal(one, two)

    @pytest.mark.parametrize(("k", "normalizer"), [(None, "relevant"), (150, "min"), (150, "hits")])
    def test_expected_is_the_mean_over_shuffles(self, k: Any, normalizer: Any) -> None:
        query, database, query_labels, database_labels = problem(1, 4, 700, 16)
        rng = np.random.default_rng(2)
        shuffled = []
        for _ in range(200):
            order = rng.permutation(len(database))
            arrays = query, database[order], query_labels, database_labels[order]
            shuffled.append(average_precision(*arrays, k=k, ties="index", normalizer=normalizer))
        exact = average_precision(*problem(1, 4, 700, 16), k=k, normalizer=normalizer)
        error = np.std(shuffled, axis=0) / np.sqrt(len(shuffled))
        assert (np.abs(np.mean(shuffled, axis=0) - exact) < 4.5 * error).all()

    @pytest.mark.parametrize("ties", TIES)
    def test_the_last_item_counts(self, ties: Any) -> None:
        database = pack_codes(np.array([[1.0, 1, 1], [1, 1, -1], [1, -1, -1]]))
        scores = average_precision(database[:1], database, np.array([1]), np.array([0, 0, 1]), ties=ties)
        assert scores == pytest.approx([1 / 3])

    @pytest.mark.parametrize("normalizer", NORMALIZERS)
    @pytest.mark.parametrize("ties", TIES)
    def test_nothing_to_find_scores_zero(self, ties: Any, normalizer: Any) -> None:
        query, database, query_labels, database_labels = problem(3)
        query_labels[2] = 99
        scores = average_precision(
            query, database, query_labels, database_labels, k=20, ties=ties, normalizer=normalizer
        )
        assert scores[2] == 0
        assert len(scores) == 7

    @pytest.mark.parametrize("ties", TIES)
    def test_no_queries_or_no_items(self, ties: Any) -> None:
        query, database, query_labels, database_labels = problem(4)
        assert average_precision(query[:0], database, query_labels[:0], database_labels, ties=ties).shape == (
            0,
        )
        empty = average_precision(query, database[:0], query_labels, database_labels[:0], ties=ties)
        np.testing.assert_array_equal(empty, np.zeros(7))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"k": 0}, "k is 0; it must be at least 1"),
            ({"ties": "random"}, "unknown ties 'random' .choices: expected, index, best, worst"),
            ({"normalizer": "R"}, "unknown normalizer 'R'"),
            ({"query_codes": np.zeros((7, 9))}, "query codes have 2 bytes, database codes 1"),
            ({"query_codes": np.zeros((7, 2), np.uint8)}, "query codes have 2 bytes, database codes 1"),
            ({"database_codes": np.zeros(5, np.uint8)}, "database codes must be .* not uint8 .5,."),
            ({"database_codes": [["1"]]}, "database codes must be floats, bools or -1 and .1"),
            ({"database_codes": [[1], [1, 2]]}, "database codes are nothing that numpy can read"),
            ({"query_labels": np.zeros(6, int)}, "7 queries have 6 labels"),
            ({"query_labels": np.zeros(7)}, "query labels must be int .* not float64 .7,."),
            ({"query_labels": np.full((7, 3), 2)}, "query labels must be int"),
            ({"query_labels": np.zeros((7, 3), int)}, "do not match"),
            ({"database_labels": np.zeros((90, 0), int)}, "database labels must be int"),
        ],
    )
    def test_arguments_that_do_not_fit(self, change: dict[str, Any], message: str) -> None:
        names = "query_codes", "database_codes", "query_labels", "database_labels"
        arguments = dict(zip(names, problem(5), strict=True)) | change
        with pytest.raises(BenchError, match=message) as error:
            average_precision(**arguments)
        assert "\n" not in str(error.value)
