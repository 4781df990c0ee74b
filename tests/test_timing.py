"""Timings: warm-up, when they end, and what is said of them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from bench import timing


def test_timing_warms_up_and_keeps_every_sample():
    calls = []
    taken = timing.measure(lambda: calls.append(time.sleep(0.001)), samples=7, warmup_seconds=0.5)
    assert len(taken.samples) == 7
    assert len(calls) == taken.warmup_calls + 7
    assert taken.warmup_calls >= 2 * timing.WINDOW
    assert 0.001 <= taken.median <= taken.percentile(95) <= max(taken.samples)
    assert taken.percentile(0) == min(taken.samples)


@pytest.fixture
def run(monkeypatch):
    """Time calls that take given seconds, on a clock of their own."""

    def measure(seconds, waited=(None,), **options):
        now = [0.0]
        monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
        waits = iter(waited)
        monkeypatch.setattr(timing, "seconds_waited", lambda: next(waits))
        durations = iter(seconds)

        def call():
            now[0] += next(durations)

        return timing.measure(call, **options), now[0]

    return measure


def test_a_steady_median_ends_a_timing(run):
    taken, seconds = run(itertools.repeat(0.1), samples=5, budget_seconds=10)
    # Six samples are the fewest that bound a median at 95 %.
    assert (len(taken.samples), taken.stopped, taken.noisy) == (6, "steady", False)
    assert seconds == pytest.approx(0.1 * (2 * timing.WINDOW + 6))
    taken, _ = run(itertools.repeat(0.1), samples=30, budget_seconds=10)
    assert (len(taken.samples), taken.stopped) == (30, "steady")


def test_a_budget_ends_a_timing(run):
    """The warm-up takes a quarter of it, the last call begins within it."""
    taken, seconds = run(itertools.repeat(2.6), samples=30, budget_seconds=10)
    assert (taken.warmup_calls, len(taken.samples), taken.stopped) == (1, 3, "budget")
    assert seconds == pytest.approx(4 * 2.6)
    assert taken.noisy
    assert taken.milliseconds().detail["median_interval_ms"] is None
    taken, _ = run(itertools.repeat(60.0), samples=30, budget_seconds=10)
    assert (taken.warmup_calls, len(taken.samples)) == (1, 1)


def test_fewer_samples_than_asked_may_be_steady(run):
    taken, _ = run(itertools.repeat(0.5), samples=30, budget_seconds=10)
    assert (len(taken.samples), taken.stopped, taken.stable) == (15, "budget", False)
    assert not taken.noisy


def test_an_unsteady_median_is_noisy_though_its_quartiles_are_close(run):
    """Without a budget, as many samples as asked are taken, and the warm-up has to be stable."""
    wandering = itertools.cycle([0.100, 0.100, 0.100, 0.100, 0.1049, 0.1049, 0.1049, 0.1049])
    taken, _ = run(wandering, samples=20, budget_seconds=10)
    assert taken.stopped == "budget"
    assert taken.iqr < timing.NOISY * taken.median
    assert taken.noisy
    taken, _ = run(wandering, samples=20)
    assert (len(taken.samples), taken.stopped, taken.noisy) == (20, "count", False)
    assert "stopped" not in taken.milliseconds().detail


def test_quick_calls_do_not_fill_records(run):
    wandering = itertools.cycle([0.001, 0.002])
    taken, _ = run(wandering, samples=20, budget_seconds=10)
    assert (len(taken.samples), taken.stopped, taken.noisy) == (timing.MOST, "count", True)
    taken, _ = run(wandering, samples=2000, budget_seconds=10)
    assert len(taken.samples) == 2000


def test_what_a_timing_says_of_itself(run):
    detail = run(itertools.repeat(0.1), samples=5, budget_seconds=10)[0].milliseconds(threads=2).detail
    assert {name: detail[name] for name in ("taken", "stopped", "budget_seconds", "threads")} == {
        "taken": 6,
        "stopped": "steady",
        "budget_seconds": 10,
        "threads": 2,
    }
    assert detail["median_interval_ms"] == pytest.approx([100, 100])


@settings(deadline=None)
@given(st.integers(1, 2000))
def test_the_interval_of_the_median_is_the_narrowest_at_95_percent(n):
    interval = timing.median_interval(range(n))
    outside = [2 * binom.cdf(rank - 1, n, 0.5) for rank in range(n // 2 + 1)]
    rank = max(rank for rank, tail in enumerate(outside) if tail <= 0.05 or rank == 0)
    assert interval == ((rank - 1, n - rank) if rank else None)


def test_the_interval_holds_the_median_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = [
        low <= 0 <= high
        for low, high in map(timing.median_interval, random.exponential(size=(2000, 25)) - np.log(2))
    ]
    assert 0.94 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("waited", "share", "noisy"), [(0.03, 0.05, False), (0.12, 0.2, True), (1.2, 2.0, True)]
)
def test_even_samples_are_noisy_where_other_work_had_the_cores(run, waited, share, noisy):
    taken, _ = run(itertools.repeat(0.1), (7.0, 7.0 + waited), samples=5, budget_seconds=10)
    assert len(taken.samples) == 6
    assert taken.waited == pytest.approx(share)
    assert taken.milliseconds().detail["waited"] == pytest.approx(share)
    assert taken.noisy is noisy


def test_where_the_system_does_not_tell_nothing_is_said(run, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_TASKS", tmp_path / "none")
    assert timing.seconds_waited() is None
    taken, _ = run(itertools.repeat(0.1), samples=5)
    assert (taken.waited, taken.milliseconds().detail["waited"]) == (None, None)


@pytest.mark.skipif(timing.seconds_waited() is None, reason="the system does not say what threads wait")
def test_other_work_on_all_cores_is_found():
    loop = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    others = [subprocess.Popen(loop, stdout=subprocess.PIPE) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        for other in others:
            other.stdout.readline()
        taken = timing.measure(lambda: sum(range(50_000)), samples=20, warmup_seconds=0.1)
    finally:
        for other in others:
            other.kill()
            other.communicate()
    assert taken.waited > timing.CONTENDED
    assert taken.noisy
