"""Time a call honestly: warm up until stable, synchronise, keep every sample.

This module alone reads clocks for measurements. It knows no torch: a device that works ahead of the
host passes its own stopwatch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.types import MetricValue

#: Warm-up ends when the medians of the last two windows of this many calls agree within 5 %.
WINDOW = 5

#: A run whose interquartile range exceeds this share of its median is flagged as noisy.
NOISY = 0.1


@dataclass(frozen=True)
class Timing:
    """Raw samples in seconds, in the order taken, and what was done before them."""

    samples: tuple[float, ...]
    warmup_calls: int
    stable: bool

    @property
    def median(self) -> float:
        """Median in seconds."""
        return statistics.median(self.samples)

    def percentile(self, percent: float) -> float:
        """Linear-interpolated percentile in seconds."""
        ordered = sorted(self.samples)
        position = (len(ordered) - 1) * percent / 100
        low = int(position)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (position - low)

    @property
    def iqr(self) -> float:
        """Interquartile range in seconds."""
        return self.percentile(75) - self.percentile(25)

    @property
    def noisy(self) -> bool:
        """Whether the samples scatter too much, or the warm-up never became stable."""
        return self.iqr > NOISY * self.median or not self.stable

    def milliseconds(self, **conditions: Any) -> MetricValue:
        """The median as a metric with all samples; ``conditions`` go into its detail."""
        detail = {
            **conditions,
            "noisy": self.noisy,
            "p95_ms": 1e3 * self.percentile(95),
            "iqr_ms": 1e3 * self.iqr,
            "warmup_calls": self.warmup_calls,
        }
        samples = tuple(round(1e3 * sample, 6) for sample in self.samples)
        return MetricValue(1e3 * self.median, "ms", False, "timed", samples=samples, detail=detail)


def stopwatch(call: Callable[[], object]) -> float:
    """Seconds that one ``call`` takes by the host's monotonic clock."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(
    call: Callable[[], object],
    *,
    watch: Callable[[Callable[[], object]], float] = stopwatch,
    samples: int = 30,
    warmup_seconds: float = 5.0,
) -> Timing:
    """Take ``samples`` timings of ``call`` after a warm-up.

    Args:
        call: what to time; nothing else happens inside the timed block.
        watch: returns the seconds of one call, synchronised where the device needs it.
        samples: how many timings to keep, all of them.
        warmup_seconds: warm-up gives up waiting for stability after this long; ``stable`` then says so.
    """
    warm: list[float] = []
    stable, started = False, time.perf_counter()
    while not stable and (len(warm) < 2 * WINDOW or time.perf_counter() - started < warmup_seconds):
        warm.append(watch(call))
        if len(warm) >= 2 * WINDOW:
            before = statistics.median(warm[-2 * WINDOW : -WINDOW])
            stable = abs(statistics.median(warm[-WINDOW:]) - before) <= 0.05 * before
    return Timing(tuple(watch(call) for _ in range(samples)), len(warm), stable)
