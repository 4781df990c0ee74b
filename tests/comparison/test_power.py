"""What is said of chance and of falls that would be seen is true, whatever the number of seeds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.comparison import power
from bench.comparison.power import Noise, of_interval, of_queries, of_seeds
from tests.recorded import make_record

MAP = "map@all:expected:relevant"


def records(values):
    found = []
    for seed, value in enumerate(values):
        record = make_record(seed=seed)
        metric = record.metrics[MAP].model_copy(update={"value": float(value)})
        found.append(record.model_copy(update={"metrics": {MAP: metric}}))
    return found


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("tests", [1, 4])
def test_false_alarms_and_power_are_those_that_are_said(seeds, tests, monkeypatch):
    """At a level of one in ten, so that few draws tell; the quantiles are the same function at any level."""
    monkeypatch.setattr(power, "FALSE_ALARM", 0.1)
    rng, draws, sd = np.random.default_rng(seeds), 4000, 0.3
    alarms = found = 0
    for before, now in rng.normal(0, sd, (draws, 2, seeds)):
        spread = before.std(ddof=1)
        allowance = Noise(spread * np.sqrt(2 / seeds), seeds - 1, "").allowance(tests)
        fall = before.mean() - now.mean()
        alarms += fall > allowance.allowed
        found += fall + allowance.seen > allowance.allowed
    assert alarms / draws == pytest.approx(0.1 / tests, abs=3 * np.sqrt(0.09 / tests / draws))
    assert found / draws == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / draws))


def test_the_noise_of_seeds_is_that_of_a_difference_of_means():
    values = [0.80, 0.82, 0.87]
    noise = of_seeds(records(values), MAP, 2)
    assert (noise.error, noise.degrees) == (pytest.approx(np.std(values, ddof=1) * np.sqrt(2 / 2)), 2)
    assert of_seeds(records([0.8]), MAP, 1) is None


@pytest.mark.parametrize("value", [0.7, 0.8, 0.9, 1.0, 0.0])
def test_seeds_that_agree_say_nothing_of_chance_whatever_they_round_to(value):
    assert of_seeds(records([value] * 3), MAP, 3) is None


def test_queries_that_do_not_differ_say_nothing():
    assert of_queries(np.zeros(100)) is None
    assert of_queries(np.array([0.1])) is None
    assert of_queries(np.full(100, -0.5)).error == 0
    differences = np.random.default_rng(0).normal(0, 1, 50)
    assert of_queries(differences).error == pytest.approx(differences.std(ddof=1) / np.sqrt(50))


def test_an_interval_without_length_says_nothing():
    assert of_interval(1.0, (1.0, 1.0)) is None
    assert of_interval(0.5, (0.402, 0.598)).error == pytest.approx(0.05 * np.sqrt(2), rel=1e-3)


def test_a_tolerance_is_kept_and_what_it_sees_depends_on_the_noise():
    allowance = Noise(0.01, 9, "noise").allowance(4, given=0.02)
    assert allowance.allowed == 0.02
    assert allowance.seen == pytest.approx(0.02 + 0.8834 * 0.01, rel=1e-3)
