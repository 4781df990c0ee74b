from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from bench.hamming import average_precision, pack_codes
from bench.hamming.measures import map_name
from bench.metrics.map import MeanAveragePrecision
from bench.types import Measurement, RankingRule, Retrieval


@pytest.fixture
def retrieval() -> Retrieval:
    """40 queries, the last two of a class that the database lacks."""
    rng = np.random.default_rng(0)
    query_labels, database_labels = rng.integers(5, size=40), rng.integers(5, size=300)
    query_labels[-2:] = 5
    query, database = (pack_codes(rng.standard_normal((n, 16))) for n in (40, 300))
    return Retrieval(query, database, query_labels, database_labels, 16, RankingRule())


def measure(retrieval: Retrieval, rule: RankingRule) -> Measurement:
    subject = dataclasses.replace(retrieval, protocol=rule)
    return MeanAveragePrecision(MeanAveragePrecision.Params()).compute(subject)


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (
            RankingRule(),
            ["expected:relevant", "index:hits", "best:relevant", "worst:relevant"],
        ),
        (RankingRule(ties="index", normalizer="hits"), ["index:hits", "best:hits", "worst:hits"]),
        (RankingRule(ties="best", normalizer="min"), ["best:min", "index:hits", "worst:min"]),
    ],
)
def test_the_protocol_comes_first_and_nothing_twice(
    retrieval: Retrieval, rule: RankingRule, names: list[str]
) -> None:
    assert list(measure(retrieval, rule).values) == [f"map@all:{name}" for name in names]


@pytest.mark.parametrize("k", [None, 50])
def test_values_are_means_of_average_precision(retrieval: Retrieval, k: int | None) -> None:
    rule = RankingRule(k=k)
    measurement = measure(retrieval, rule)
    arrays = retrieval.query, retrieval.database, retrieval.query_labels, retrieval.database_labels
    for other in (rule, RankingRule(k, "index", "hits"), RankingRule(k, "best"), RankingRule(k, "worst")):
        scores = average_precision(*arrays, k=k, ties=other.ties, normalizer=other.normalizer)
        name = map_name(other.k, other.ties, other.normalizer)
        value = measurement.values[name]
        assert value.value == pytest.approx(scores.mean())
        assert value.interval is not None
        assert value.interval[0] < value.value < value.interval[1]
        np.testing.assert_array_equal(measurement.per_query[name], scores)
    assert len(measurement.per_query) == 4


@pytest.mark.parametrize(("k", "resolved"), [(None, 300), (50, 50), (1000, 300)])
def test_detail_says_what_was_counted(retrieval: Retrieval, k: int | None, resolved: int) -> None:
    value = measure(retrieval, RankingRule(k=k)).values[f"map@{k or 'all'}:expected:relevant"]
    counted = {name: number for name, number in value.detail.items() if name != "chance"}
    assert counted == {"queries": 40, "database": 300, "hitless": 2, "k": resolved}
    assert (value.unit, value.higher_is_better, value.noise) == ("", True, "seeded")
    json.dumps(dataclasses.asdict(value))
