"""Closed forms against every order of the ties."""

from __future__ import annotations

import math
from itertools import chain, combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from bench.errors import BenchError
from bench.hamming import (
    average_precision_from_histograms,
    hits_within,
)
from bench.hamming.ties import _reciprocals
from tests.hamming.problems import NORMALIZERS, score, some


def rankings(groups: list[tuple[int, int]]) -> list[list[int]]:
    """Every order of the ties; ``groups`` are (items, relevant items), nearest first."""
    placements = [
        [[int(i in chosen) for i in range(n)] for chosen in combinations(range(n), m)] for n, m in groups
    ]
    return [list(chain.from_iterable(parts)) for parts in product(*placements)]


def as_histograms(groups: list[tuple[int, int]]) -> tuple[Any, Any]:
    counts, relevant = np.array(groups, np.int64).reshape(1, -1, 2).transpose(2, 0, 1)
    return counts, relevant


group = st.integers(0, 5).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


histogram = st.lists(group, min_size=1, max_size=3)


class TestClosedForms:
    @some
    @given(histogram, st.integers(1, 16), st.sampled_from(NORMALIZERS))
    def test_equal_enumeration_of_all_orders(
        self, groups: list[tuple[int, int]], k: int, normalizer: Any
    ) -> None:
        counts, relevant = as_histograms(groups)
        first = [[1] * m + [0] * (n - m) for n, m in groups]
        expected: dict[Any, Any] = {
            "expected": np.mean([score(ranking, k, normalizer) for ranking in rankings(groups)]),
            "best": score(list(chain.from_iterable(first)), k, normalizer),
            "worst": score([r for part in first for r in reversed(part)], k, normalizer),
        }
        for ties, value in expected.items():
            got = average_precision_from_histograms(
                counts,
                relevant,
                k=k,
                ties=ties,
                normalizer=normalizer,
            )
            assert got == pytest.approx([value], abs=1e-12), ties

    @some
    @given(histogram, st.integers(1, 16), st.sampled_from(["relevant", "min"]))
    def test_best_and_worst_bound_every_order(
        self, groups: list[tuple[int, int]], k: int, normalizer: Any
    ) -> None:
        """Not so for ``hits``: another hit late in the first k enlarges the denominator."""
        counts, relevant = as_histograms(groups)
        worst, expected, best = (
            average_precision_from_histograms(counts, relevant, k=k, ties=ties, normalizer=normalizer)[0]
            for ties in ("worst", "expected", "best")
        )
        scores = [score(ranking, k, normalizer) for ranking in rankings(groups)]
        assert min(scores) == pytest.approx(worst)
        assert max(scores) == pytest.approx(best)
        assert worst - 1e-12 <= expected <= best + 1e-12

    @some
    @given(histogram, st.integers(1, 16))
    def test_hits_within(self, groups: list[tuple[int, int]], k: int) -> None:
        mean = np.mean([sum(ranking[:k]) for ranking in rankings(groups)])
        assert hits_within(*as_histograms(groups), k) == pytest.approx([mean])

    def test_a_large_cut_group_keeps_its_digits(self) -> None:
        a, c, n, m, t = 1000, 400, 20_000, 7_000, 5_000
        head = 400 * np.mean((1 + np.arange(1000) * 399 / 999) / (1 + np.arange(1000)))
        i, expected = np.arange(1, t + 1), 0.0
        for h in range(1500, 2001):
            gain = (h / t * (c + 1 + (i - 1) * (h - 1) / (t - 1)) / (a + i)).sum()
            expected += hypergeom.pmf(h, n, m, t) * (head + gain) / (c + h)
        got = average_precision_from_histograms(
            *as_histograms([(a, c), (n, m)]), k=a + t, ties="expected", normalizer="hits"
        )
        assert got == pytest.approx([expected], rel=1e-9)

    @pytest.mark.parametrize("last", [10, 4094, 10**6, 10**10])
    def test_digits_do_not_cancel_far_down_the_ranking(self, last: int) -> None:
        got = average_precision_from_histograms(*as_histograms([(last, 0), (2, 2)]))
        assert got == pytest.approx([(1 / (last + 1) + 2 / (last + 2)) / 2], rel=1e-10)

    @pytest.mark.parametrize(("a", "t"), [(0, 5), (3, 4090), (4000, 9000), (5000, 1), (10**6, 10**5)])
    def test_sums_of_reciprocals(self, a: int, t: int) -> None:
        exact = math.fsum(1 / (a + i) for i in range(1, t + 1))
        assert _reciprocals(np.array(a), np.array(t)) == pytest.approx(exact, rel=1e-14)

    @pytest.mark.parametrize("relevant", [[[1, 2]], [[-1, 0]], [[1]], [1, 1]])
    def test_histograms_that_do_not_fit(self, relevant: Any) -> None:
        with pytest.raises(BenchError, match="0 <= relevant <= counts"):
            hits_within(np.array([[1, 1]]), np.array(relevant))

    def test_index_order_needs_the_codes(self) -> None:
        with pytest.raises(BenchError, match="use average_precision"):
            average_precision_from_histograms(*as_histograms([(2, 1)]), ties="index")
