"""Oracles are loops over ranks, and enumerations of every order of the ties."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tracemalloc
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any, get_args

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy.stats import hypergeom

from bench import hamming
from bench.errors import BenchError
from bench.hamming import (
    Normalizer,
    Ties,
    average_precision,
    average_precision_from_histograms,
    distance_histograms,
    hamming_search,
    hits_within,
    pack_codes,
    popcount_distances,
    scan,
)
from bench.hamming.ties import _reciprocals

GOLDEN = Path(__file__).parents[1] / "golden" / "hamming.json"
TIES = get_args(Ties)

#: Zero bytes, signs, and neighbours that a float64 cannot tell apart.
CLASS_INDICES = [0, 1, 256, 65536, -1, -256, 2**53, 2**53 + 1, 2**62, 2**62 + 1]
NORMALIZERS = get_args(Normalizer)


def score(ranking: Any, k: int, normalizer: str) -> float:
    """AP@k of one ranking, a sequence of 0/1, by the definition."""
    hits, gain = 0, 0.0
    for rank, relevant in enumerate(ranking[:k], start=1):
        hits += relevant
        gain += relevant * hits / rank
    total = sum(ranking)
    norm = {"relevant": total, "min": min(total, k), "hits": hits}[normalizer]
    return gain / norm if norm else 0.0


def rankings(groups: list[tuple[int, int]]) -> list[list[int]]:
    """Every order of the ties; ``groups`` are (items, relevant items), nearest first."""
    placements = [
        [[int(i in chosen) for i in range(n)] for chosen in combinations(range(n), m)] for n, m in groups
    ]
    return [list(chain.from_iterable(parts)) for parts in product(*placements)]


def codes(rng: np.random.Generator, n: int, bits: int) -> hamming.Codes:
    return pack_codes(rng.standard_normal((n, bits)))


def problem(seed: int, queries: int = 7, items: int = 90, bits: int = 8, classes: int = 4) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=queries), rng.integers(classes, size=items)
    return codes(rng, queries, bits), codes(rng, items, bits), *labels


def as_histograms(groups: list[tuple[int, int]]) -> tuple[Any, Any]:
    counts, relevant = np.array(groups, np.int64).reshape(1, -1, 2).transpose(2, 0, 1)
    return counts, relevant


some = settings(max_examples=60, deadline=None)
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
            ({"query_labels": np.zeros(6, int)}, "7 query codes have 6 labels"),
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


def test_popcount_distances_by_hand() -> None:
    query, database = np.array([[0b1010, 0]], np.uint8), np.array([[0b1010, 0], [0b0101, 0b11]], np.uint8)
    assert popcount_distances(query, database).tolist() == [[0, 6]]


def test_needs_numpy_and_faiss_only() -> None:
    others = "{'torch', 'pydantic', 'scipy', 'yaml'}"
    code = f"import sys, bench.hamming; assert not {others} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
