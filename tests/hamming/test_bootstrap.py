from __future__ import annotations

import numpy as np
import pytest

from bench.hamming.bootstrap import mean_interval


def test_close_to_the_normal_interval_for_many_values() -> None:
    values = np.random.default_rng(1).normal(3, 2, 2000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    low, high = mean_interval(values)
    assert (values.mean() - low, high - values.mean()) == pytest.approx((half, half), rel=0.15)


def test_the_same_at_every_call() -> None:
    values = np.random.default_rng(2).random(50)
    assert mean_interval(values) == mean_interval(values)


def test_equal_values_leave_no_doubt() -> None:
    assert mean_interval(np.full(7, 0.25)) == (0.25, 0.25)
