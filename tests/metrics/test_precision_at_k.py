from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from bench.hamming import pack_codes, popcount_distances
from bench.metrics.precision_at_k import PrecisionAtK
from bench.types import RankingRule, Retrieval


def test_mean_over_orders_of_the_ties() -> None:
    rng = np.random.default_rng(0)
    query, database = (pack_codes(rng.standard_normal((n, 8))) for n in (6, 60))
    query_labels, database_labels = rng.integers(3, size=6), rng.integers(3, size=60)
    subject = Retrieval(query, database, query_labels, database_labels, 8, RankingRule())
    measurement = PrecisionAtK(PrecisionAtK.Params(ks=(1, 7, 60, 61))).compute(subject)
    assert list(measurement.values) == ["precision_at_k@1", "precision_at_k@7", "precision_at_k@60"]
    distances = popcount_distances(query, database)
    shared = query_labels[:, None] == database_labels
    for k in (1, 7, 60):
        exact = []
        for row in range(6):
            # An item is among the first k with the share of its tie group that is.
            closer = (distances[row][:, None] > distances[row]).sum(axis=1)
            tied = (distances[row][:, None] == distances[row]).sum(axis=1)
            exact.append((shared[row] * np.clip((k - closer) / tied, 0, 1)).sum() / k)
        value = measurement.values[f"precision_at_k@{k}"]
        assert measurement.per_query[f"precision_at_k@{k}"] == pytest.approx(exact)
        assert value.value == pytest.approx(np.mean(exact))
        assert value.interval is not None
        assert value.interval[0] <= value.value <= value.interval[1]


@pytest.mark.parametrize("ks", [(), (0,), (-1,)])
def test_ranks_start_at_one(ks: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        PrecisionAtK.Params(ks=ks)
