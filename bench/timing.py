"""Time a call honestly: warm up until stable, synchronise, keep every sample.

How often is either asked, or decided on the way: until the median is known well enough, or time is up.

What metrics time is timed here, but for energy, whose meter has a rhythm of its own. No torch is needed: a
device that works ahead of the host passes its own stopwatch.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.types import MetricValue

#: Warm-up ends when the medians of the last two windows of this many calls agree within 5 %.
WINDOW = 5

#: A run whose interquartile range exceeds this share of its median is flagged as noisy.
NOISY = 0.1

#: So is one whose threads together waited for cores that other work had for more than this share of its time.
CONTENDED = 0.1

#: A median is steady when its 95 % interval reaches no further than this share of it to either side.
STEADY = 0.02

#: No timing within a budget keeps more samples than this, unless more are asked for.
MOST = 1000

#: Share of a budget that the warm-up may take.
WARMUP_SHARE = 0.25

#: A folder per thread; the second number in its ``schedstat`` says how many nanoseconds it waited for a core.
_TASKS = Path("/proc/self/task")

#: Why no further sample was taken: the median was steady, time was up, or there were enough of them.
Stop = Literal["steady", "budget", "count"]


@dataclass(frozen=True)
class Timing:
    """Raw samples in seconds, in the order taken, and what was done before them.

    Attributes:
        stable: whether the warm-up ended because it was.
        stopped: why there are no more samples.
        budget_seconds: what the timing was allowed to take, None where the number of samples was fixed.
        waited: what all threads together waited for a core while they were ready to run, as a share of the
            time that the samples took, so that two may have waited for twice as long as it was; None where
            the system does not say.
    """

    samples: tuple[float, ...]
    warmup_calls: int
    stable: bool
    stopped: Stop = "count"
    budget_seconds: float | None = None
    waited: float | None = None

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
    def steady(self) -> bool:
        """Whether the median is known well enough."""
        return is_steady(self.samples)

    @property
    def noisy(self) -> bool:
        """Whether the samples scatter too much, other work had the cores, or it ended before it was settled.

        A budget may cut the warm-up short: then the samples themselves must show a steady median.
        """
        settled = self.stable if self.budget_seconds is None else self.steady
        contended = self.waited is not None and self.waited > CONTENDED
        return self.iqr > NOISY * self.median or contended or not settled

    def milliseconds(self, **conditions: Any) -> MetricValue:
        """The median as a metric with all samples; ``conditions`` go into its detail."""
        detail = {
            **conditions,
            "noisy": self.noisy,
            "p95_ms": 1e3 * self.percentile(95),
            "iqr_ms": 1e3 * self.iqr,
            "warmup_calls": self.warmup_calls,
            "waited": None if self.waited is None else round(self.waited, 4),
        }
        if self.budget_seconds is not None:
            interval = median_interval(self.samples)
            detail |= {
                "taken": len(self.samples),
                "stopped": self.stopped,
                "budget_seconds": self.budget_seconds,
                "median_interval_ms": interval and [1e3 * bound for bound in interval],
            }
        samples = tuple(round(1e3 * sample, 6) for sample in self.samples)
        return MetricValue(1e3 * self.median, "ms", False, "timed", samples=samples, detail=detail)


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the median, whatever the distribution; None below six samples, which allow none.

    It lies between two order statistics: as many samples are below the median as heads in so many throws of
    a coin (binomial).
    """
    rank = _rank(len(samples))
    ordered = sorted(samples)
    return (ordered[rank - 1], ordered[-rank]) if rank else None


def is_steady(samples: Sequence[float]) -> bool:
    """Whether the interval of the median lies within 2 % of it."""
    interval, median = median_interval(samples), statistics.median(samples)
    return interval is not None and max(interval[1] - median, median - interval[0]) <= STEADY * median


@functools.cache
def _rank(n: int) -> int:
    """The largest r for which r-th smallest and r-th largest of ``n`` hold the median at 95 %; 0 if none."""
    tails = itertools.accumulate(math.comb(n, heads) for heads in range(n + 1))
    return next(rank for rank, tail in enumerate(tails) if 40 * tail > 2**n)


def stopwatch(call: Callable[[], object]) -> float:
    """Seconds that one ``call`` takes by the host's monotonic clock."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def seconds_waited() -> float | None:
    """How long the threads that there are now were ready to run while something else had their cores.

    Other work makes timings longer, and evenly so where it goes on all the time: samples that scatter little
    do not show it. None where the system does not say, which Linux does.
    """
    found: list[int] = []
    with suppress(OSError):
        for task in _TASKS.iterdir():
            with suppress(OSError):  # it has ended meanwhile
                found.append(int((task / "schedstat").read_text().split()[1]))
    return 1e-9 * sum(found) if found else None


def measure(
    call: Callable[[], object],
    *,
    watch: Callable[[Callable[[], object]], float] = stopwatch,
    samples: int = 30,
    warmup_seconds: float = 5.0,
    budget_seconds: float | None = None,
) -> Timing:
    """Time ``call`` after a warm-up: ``samples`` times, or until the median is steady or time is up.

    Args:
        call: what to time; nothing else happens inside the timed block.
        watch: returns the seconds of one call, synchronised where the device needs it.
        samples: how many timings to keep, all of them; with a budget, how many at least if time allows.
        warmup_seconds: warm-up gives up waiting for stability after this long; ``stable`` then says so.
        budget_seconds: the last call begins before so much time is over, warm-up included. There are one call
            to warm up and one sample in any case. None: no limit.
    """
    warm: list[float] = []
    stable, started = False, time.perf_counter()

    def is_over(share: float) -> bool:
        return budget_seconds is not None and time.perf_counter() - started >= share * budget_seconds

    while not (stable or (warm and is_over(WARMUP_SHARE))) and (
        len(warm) < 2 * WINDOW or time.perf_counter() - started < warmup_seconds
    ):
        warm.append(watch(call))
        if len(warm) >= 2 * WINDOW:
            before = statistics.median(warm[-2 * WINDOW : -WINDOW])
            stable = abs(statistics.median(warm[-WINDOW:]) - before) <= 0.05 * before
    taken: list[float] = []
    stopped: Stop | None = None
    began, waited = time.perf_counter(), seconds_waited()
    while stopped is None:
        taken.append(watch(call))
        if budget_seconds is not None and len(taken) >= samples and is_steady(taken):
            stopped = "steady"
        elif len(taken) >= (samples if budget_seconds is None else max(samples, MOST)):
            stopped = "count"
        elif is_over(1):
            stopped = "budget"
    if waited is not None:
        seconds = time.perf_counter() - began
        waited = max(0.0, (seconds_waited() or waited) - waited) / seconds if seconds else 0.0
    return Timing(tuple(taken), len(warm), stable, stopped, budget_seconds, waited)
