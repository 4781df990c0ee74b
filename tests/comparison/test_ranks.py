import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import friedmanchisquare, rankdata

from bench.comparison.ranks import critical_difference, friedman, ranks, within_blocks
from bench.results.folder import Results
from bench.results.ranks import MOST, Ranks
from bench.results.summary import summarise
from tests.recorded import make_record
from tests.report.charts import priced

tables = arrays.arrays(
    float, st.tuples(st.integers(2, 6), st.integers(3, 6)), elements=st.sampled_from([0.1, 0.2, 0.3, 0.4])
)


@given(tables)
def test_ranks_and_friedman_are_those_of_scipy(values):
    ranked = within_blocks(values)
    np.testing.assert_array_equal(ranked, rankdata(-values, axis=1))
    if np.ptp(values, axis=1).any():
        assert friedman(ranked) == pytest.approx(friedmanchisquare(*values.T).pvalue, abs=1e-12)
    else:
        assert friedman(ranked) == 1.0


@pytest.mark.parametrize(("k", "quantile"), [(3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_demsars(k, quantile):
    """Table 5(a) of the paper."""
    assert critical_difference(k, 14) == pytest.approx(quantile * math.sqrt(k * (k + 1) / 84), abs=1e-3)


def test_bars_join_the_longest_runs_that_are_not_told_apart():
    def alike(means, p=0.01):
        return Ranks([""] * len(means), means, [], p, critical=1.0).alike

    assert alike([1.0, 1.5, 2.2, 3.5, 5.0]) == [(0, 1), (1, 2)]
    assert alike([1.0, 2.0, 3.0]) == [(0, 1), (1, 2)]
    assert alike([1.0, 1.2, 1.4]) == [(0, 2)]
    assert alike([1.0, 3.0, 5.0]) == []
    assert alike([1.0, 3.0, 5.0], p=0.2) == [(0, 2)]


# -- Of records ------------------------------------------------------------------------------------


def ranked(blocks=5, losses=("csq", "dch", "dpn"), **changes):
    chance = np.random.default_rng(0)
    records = [
        priced(make_record(loss=loss, dataset=f"data{i}", seed=seed, **changes), 1e6, value)
        for i in range(blocks)
        for number, loss in enumerate(losses)
        for seed in range(2)
        for value in [0.5 + 0.1 * number + 0.001 * chance.random()]
    ]
    return ranks(summarise(Results(None, "many", [], records, [])))


def test_configurations_are_ranked_within_each_data_set():
    found = ranked()
    assert found.names == ["dpn", "dch", "csq"]
    assert found.means == [1, 2, 3]
    assert found.blocks == [f"data{i}" for i in range(5)]
    assert found.shared == "cukd_v1 · cukd · 32 bit"
    assert found.p == pytest.approx(math.exp(-5))  # chi-squared 10 with two degrees of freedom


def test_few_data_sets_and_few_or_many_configurations_are_not_ranked():
    assert ranked(blocks=4) is None
    assert ranked(losses=("csq", "dch")) is None
    assert ranked(losses=[f"loss{i}" for i in range(MOST + 1)]) is None
    assert ranked(protocol={"limit": 10}) is None


def test_budgets_of_one_data_set_are_one_data_set():
    records = [
        make_record(
            loss=loss, params={"dataset": {"train_per_class": labels}}, protocol={"split": str(labels)}
        )
        for labels in range(6)
        for loss in ("csq", "dch", "dpn")
    ]
    summary = summarise(Results(None, "labels", [], records, []))
    assert len(summary.groups) == 6
    assert ranks(summary) is None
