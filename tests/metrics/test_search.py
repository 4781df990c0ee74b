"""Search cost, and the recall of indexes that may miss something."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from bench.errors import BenchError
from bench.hamming import pack_codes, popcount_distances
from bench.metrics.search import Search
from bench.types import Measurement, RankingRule, Retrieval

INDEXES = ("flat", "ivf", "multihash")


def retrieval(bits: int = 32, items: int = 2000) -> Retrieval:
    """Codes that lie around ten centres."""
    rng = np.random.default_rng(0)
    centres, labels = rng.standard_normal((10, bits)), rng.integers(10, size=items + 20)
    codes = pack_codes(centres[labels] + rng.standard_normal((items + 20, bits)))
    return Retrieval(codes[:20], codes[20:], labels[:20], labels[20:], bits, RankingRule())


def measure(subject: Retrieval, **params: object) -> Measurement:
    quick = {"samples": 5, "warmup_seconds": 0.05}
    return Search(Search.Params(**quick, **params)).compute(subject)


def test_the_exact_index_has_no_ending() -> None:
    values = measure(retrieval()).values
    assert list(values) == ["search_ms@1", "search_qps", "index_bytes"]
    rate = values["search_qps"]
    assert len(rate.samples) == 5
    assert min(rate.samples) <= rate.value <= max(rate.samples)
    assert (rate.unit, rate.higher_is_better, rate.noise) == ("queries/s", True, "timed")
    assert rate.detail["batch_size"] == 20
    assert 2000 * 4 <= values["index_bytes"].value < 2000 * 4 + 200
    assert values["search_ms@1"].detail["k"] == 100


def test_the_rate_counts_the_queries_of_its_own_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    search = faiss.IndexBinaryFlat.search

    def watch(index: Any, queries: Any, k: int) -> Any:
        asked.append(len(queries))
        return search(index, queries, k)

    monkeypatch.setattr(faiss.IndexBinaryFlat, "search", watch)
    rate = measure(retrieval(), batch=7).values["search_qps"]
    assert set(asked) == {1, 7}
    assert rate.detail["batch_size"] == 7


def test_the_bits_that_fill_the_last_byte_are_in_no_table() -> None:
    """Of 12 bits, three tables of four hold all; a table of fill bits would find everything."""
    rng = np.random.default_rng(0)
    codes = pack_codes(rng.standard_normal((3000, 12)))
    subject = Retrieval(codes[:20], codes, np.zeros(20, int), np.zeros(3000, int), 12, RankingRule())
    values = measure(subject, indexes=("multihash",), tables=3, table_bits=4, flips=0, k=1500).values
    recall = values["search_recall:multihash"]
    assert recall.value < 0.5
    assert recall.detail["table_bits"] == 4
    with pytest.raises(BenchError, match="4 tables of 4 bits need longer codes than 12 bits"):
        measure(subject, indexes=("multihash",), tables=4, table_bits=4)


def test_more_neighbours_than_items() -> None:
    assert measure(retrieval(items=50), indexes=INDEXES, k=70).values["search_ms@1:ivf"].detail["k"] == 50


def test_recall_of_the_others() -> None:
    subject = retrieval()
    values = measure(subject, indexes=INDEXES, k=10, nprobe=3, table_bits=6, flips=1).values
    assert "search_recall" not in values
    for kind in ("ivf", "multihash"):
        assert 0 < values[f"search_recall:{kind}"].value <= 1
        assert values[f"index_bytes:{kind}"].value > values["index_bytes"].value
    everything = measure(subject, indexes=("ivf",), k=10, nlist=20, nprobe=20).values
    assert everything["search_recall:ivf"].value == 1


def test_recall_counts_items_and_not_their_order() -> None:
    """Only the bucket of the query's own first bits is looked at."""
    subject = retrieval(bits=16)
    found = measure(subject, indexes=("multihash",), k=5, tables=1, table_bits=3, flips=0).values
    distances = popcount_distances(subject.query, subject.database)
    bits = [np.unpackbits(part, axis=1)[:, :3] for part in (subject.query, subject.database)]
    share = []
    for row in range(20):
        seen = (bits[0][row] == bits[1]).all(axis=1)
        nearest = np.sort(distances[row])[:5]
        share.append(min(np.count_nonzero(seen & (distances[row] <= nearest[-1])), 5) / 5)
    assert found["search_recall:multihash"].value == pytest.approx(np.mean(share))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"indexes": ("ivf",), "nlist": 3000}, "nlist is 3000, but there are 2000 codes"),
        ({"indexes": ("multihash",), "table_bits": 17}, "2 tables of 17 bits need longer codes than 32 bits"),
        ({"indexes": ("multihash",), "table_bits": 2, "flips": 3}, "flips is 3, but a table has 2 bits"),
        ({"indexes": ("multihash",), "tables": 33}, "33 tables of 1 bits need longer codes than 32 bits"),
    ],
)
def test_indexes_that_cannot_be_built(params: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        measure(retrieval(), **params)
