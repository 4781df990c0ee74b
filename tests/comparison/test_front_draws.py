import itertools
import math

import numpy as np
import pytest
from scipy.special import stdtr

from bench.comparison.front_chances import dominance, on_front
from bench.comparison.front_draws import accuracy_draws, cost_draws
from bench.comparison.statistics import RESAMPLES
from bench.results.summary import summarise
from tests.recorded import cost, make_record
from tests.scored import MAP, paired_difference, write_scored

#: Four standard errors of a share of draws, of which the worst is one half.
CLOSE = 4 * 0.5 / math.sqrt(RESAMPLES)
STUDENTS = ("cukd_v1", "cukd_v2", "efficientnet_lite0")


def written(tmp_path, scores, seeds=None):
    """Rows with ``scores`` (rows, seeds, queries) each, in that order, and where they lie."""
    cells = [
        (make_record(student, "cukd", seed=seed), own)
        for student, by_seed in zip(STUDENTS, scores, strict=False)
        for seed, own in zip(seeds or range(99), by_seed, strict=False)
    ]
    results = write_scored(tmp_path / "grid", cells)
    (group,) = summarise(results).groups
    return sorted(group.rows, key=lambda row: STUDENTS.index(row.records[0].cell.student)), results


def drawn(tmp_path, scores, **kwargs):
    rows, results = written(tmp_path, np.array(scores), **kwargs)
    return accuracy_draws(rows, MAP, results)


def test_queries_alone_are_all_their_resamples(tmp_path):
    """Seeds that agree leave the queries: shares of draws against all 27 resamples of three queries."""
    scores = np.array([[0.3, 0.8, 0.4], [0.5, 0.45, 0.65], [0.6, 0.1, 0.9]])
    draws, queries = drawn(tmp_path, np.repeat(scores[:, None], 2, axis=1))
    assert queries == 3
    means = scores.mean(axis=1)
    every = np.array([scores[:, list(some)].mean(axis=1) for some in itertools.product(range(3), repeat=3)])
    # A bootstrap of n numbers has (n - 1) / n of their variance.
    every = means + (every - means) * math.sqrt(3 / 2)
    prices = np.array([1.0, 2.0, 3.0])
    for find in (on_front, dominance):
        expected, found = (find(one, np.broadcast_to(prices, one.shape)) for one in (every, draws))
        if find is on_front:
            expected, found = expected.mean(axis=0), found.mean(axis=0)
        np.testing.assert_allclose(found, expected, atol=CLOSE)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seeds_alone_are_the_paired_t_test(tmp_path, seeds):
    generator = np.random.default_rng(seeds)
    by_seed = generator.normal(0.6, 0.02, (2, seeds, 1)) + generator.normal(0, 0.05, (1, seeds, 1))
    draws, queries = drawn(tmp_path, by_seed)
    assert queries is None  # one query is no sample of queries
    difference = (by_seed[0] - by_seed[1])[:, 0]
    t = difference.mean() / (difference.std(ddof=1) / math.sqrt(seeds))
    assert np.mean(draws[:, 0] > draws[:, 1]) == pytest.approx(stdtr(seeds - 1, t), abs=CLOSE)


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_two_rows_differ_as_compare_finds_it(tmp_path, noise):
    generator = np.random.default_rng(5)
    shared = generator.uniform(0.3, 0.9, 60)
    scores = shared + generator.normal(0, 0.02, (2, 4, 1)) + generator.normal(0, noise, (2, 4, 60))
    scores = np.clip(scores, 0, 1).astype(np.float32)
    draws, queries = drawn(tmp_path, scores)
    assert queries == 60
    expected = paired_difference(scores[1].astype(float) - scores[0])
    found = draws[:, 1] - draws[:, 0]
    half = (expected.interval[1] - expected.interval[0]) / 2
    np.testing.assert_allclose(np.percentile(found, [2.5, 97.5]), expected.interval, atol=0.15 * half)
    assert 2 * min(np.mean(found > 0), np.mean(found < 0)) == pytest.approx(expected.p, abs=2 * CLOSE)


def test_rows_that_are_the_same_with_every_seed_stray_by_all_of_their_queries(tmp_path):
    """Two codes without training beside a network whose trainings differ much from query to query."""
    generator = np.random.default_rng(3)
    fitted = np.repeat(generator.normal(0.5, 0.05, (2, 1, 200)), 3, axis=1)
    scores = np.concatenate([fitted, generator.normal(0.5, 0.2, (1, 3, 200))]).astype(np.float32)
    draws, _ = drawn(tmp_path, scores)
    expected = paired_difference(scores[1].astype(float) - scores[0])
    found = np.percentile(draws[:, 1] - draws[:, 0], [2.5, 97.5])
    half = (expected.interval[1] - expected.interval[0]) / 2
    np.testing.assert_allclose(found, expected.interval, atol=0.1 * half)


def test_draws_are_the_same_at_every_call_and_centred_on_the_means(tmp_path):
    generator = np.random.default_rng(0)
    rows, results = written(tmp_path, generator.uniform(0.4, 0.6, (3, 3, 40)))
    (draws, _), (again, _) = (accuracy_draws(rows, MAP, results) for _ in range(2))
    np.testing.assert_array_equal(draws, again)
    means = [row.estimates[MAP].value for row in rows]
    np.testing.assert_allclose(np.median(draws, axis=0), means, atol=0.005)


def test_seeds_that_only_some_rows_have_stray_for_these_alone(tmp_path):
    cells = [
        (make_record(student, "cukd", seed=seed), np.full(30, 0.5 + 0.01 * seed))
        for student, seeds in (("cukd_v1", (0, 1, 2)), ("cukd_v2", (0, 1, 2, 3, 4)))
        for seed in seeds
    ]
    results = write_scored(tmp_path / "grid", cells)
    (group,) = summarise(results).groups
    draws, _ = accuracy_draws(group.rows, MAP, results)
    # Half of Student's t lies within .816 (2 degrees) and .741 (4 degrees) standard errors.
    inner = np.median(np.abs(draws - np.median(draws, axis=0)), axis=0)
    errors = [0.01 / math.sqrt(3), math.sqrt(0.00025) / math.sqrt(5)]
    np.testing.assert_allclose(inner, [0.816 * errors[0], 0.741 * errors[1]], rtol=0.1)


def test_queries_without_a_score_are_left_out_of_all_rows(tmp_path):
    scores = np.random.default_rng(1).uniform(0, 1, (2, 2, 10)).astype(np.float32)
    scores[0, 1, 3] = np.nan
    draws, queries = drawn(tmp_path, scores)
    assert queries == 9
    assert np.isfinite(draws).all()


def test_rows_without_scores_by_query_leave_the_seeds(tmp_path):
    cells = [
        (make_record(student, "cukd", seed=seed), np.full(20, 0.5) if student == "cukd_v1" else None)
        for student in ("cukd_v1", "cukd_v2")
        for seed in range(3)
    ]
    results = write_scored(tmp_path / "grid", cells)
    (group,) = summarise(results).groups
    assert accuracy_draws(group.rows, MAP, results)[1] is None


# -- Costs -----------------------------------------------------------------------------------------


def timed(tmp_path, samples):
    """Rows whose latency has these samples, each of two seeds."""
    cells = []
    for student, own in zip(STUDENTS, samples, strict=False):
        value = float(np.median(own)) if own else 2.5
        for seed in range(2):
            record = make_record(student, "cukd", seed=seed)
            latency = cost(value, "ms", "timed").model_copy(update={"samples": own or None})
            cells.append(
                (record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": latency}}), None)
            )
    results = write_scored(tmp_path / "grid", cells)
    (group,) = summarise(results).groups
    return sorted(group.rows, key=lambda row: STUDENTS.index(row.records[0].cell.student))


@pytest.mark.parametrize("samples", [[1.0, 2.0, 4.0], [1.0, 2.0, 4.0, 9.0]])
def test_medians_of_timings_are_those_of_all_resamples(tmp_path, samples):
    draws, unknown = cost_draws(timed(tmp_path, [samples]), "latency_ms@1")
    assert not unknown
    size = len(samples)
    every = [float(np.median(some)) for some in itertools.product(samples, repeat=size)]
    assert set(draws[:, 0]) <= set(every)
    for value in set(every):
        assert np.mean(draws[:, 0] == value) == pytest.approx(every.count(value) / len(every), abs=CLOSE)


def test_rows_that_share_a_timing_share_its_draws(tmp_path):
    rows = timed(tmp_path, [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.5, 2.0, 2.5]])
    draws, _ = cost_draws(rows, "latency_ms@1")
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    assert (draws[:, 0] != draws[:, 2]).any()


def test_counted_costs_and_timings_without_samples_do_not_stray(tmp_path):
    rows = timed(tmp_path, [[1.0, 2.0, 3.0], None])
    draws, unknown = cost_draws(rows, "latency_ms@1")
    assert unknown
    assert set(draws[:, 1]) == {2.5}
    draws, unknown = cost_draws(rows, "macs")
    assert not unknown
    assert np.ptp(draws, axis=0).tolist() == [0, 0]
