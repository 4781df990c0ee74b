"""Learning rates: by what a group's own is multiplied at a step."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.types import RateSchedule, TrainingParameters

#: Step, from 0 -> factor of a learning rate.
Factor = Callable[[int], float]


def factors(
    settings: TrainingParameters, groups: Sequence[Mapping[str, Any]], counts: Sequence[int]
) -> list[Factor]:
    """One of each group.

    Args:
        settings: ``lr`` and ``schedule``.
        groups: see ``bench.training.loop.fit``.
        counts: steps of every epoch.
    """
    found = []
    for group in groups:
        rate, rises = settings.lr * group.get("lr_scale", 1.0), group.get("warmup", 0.0) * sum(counts)
        if isinstance(settings.schedule, RateSchedule):
            factor = _spelt_out(settings.schedule, rate, counts)
        else:
            factor = _named(settings.schedule, counts)
        found.append(_rising(factor, rises))
    return found


def _named(schedule: str, counts: Sequence[int]) -> Factor:
    if schedule == "constant":
        return lambda step: 1.0
    total = sum(counts)
    if schedule == "cosine":
        warmup = descent = max(1, min(counts[0], total // 10))
    else:
        warmup, descent = max(1, total // 12), max(1, total // 3)

    def factor(step: int) -> float:
        if step < descent:
            return min(1.0, (step + 1) / warmup)
        return _cosine((step - descent) / max(1, total - descent))

    return factor


def _spelt_out(schedule: RateSchedule, rate: float, counts: Sequence[int]) -> Factor:
    epochs, ends = len(counts), list(itertools.accumulate(counts))
    warmup = schedule.warmup * epochs
    level = max(schedule.level * epochs, warmup)
    least = min(1.0, schedule.final_lr / rate)

    def factor(step: int) -> float:
        time = float(bisect.bisect_right(ends, step))  # in epochs
        if schedule.per == "step" and time < epochs:
            count = counts[int(time)]
            time += 1 - (ends[int(time)] - step) / count
        if time < warmup:
            return schedule.warmup_from + (1 - schedule.warmup_from) * time / warmup
        if schedule.fall == "steps":
            assert schedule.every_epochs is not None
            return float(schedule.factor ** (time // schedule.every_epochs))
        return least + (1 - least) * _cosine(max(time - level, 0.0) / (epochs - level))

    return factor


def _cosine(share: float) -> float:
    """From 1 to 0, as ``share`` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _rising(factor: Factor, steps: float) -> Factor:
    """``factor``, under a line from 0 to 1 in the first ``steps``."""
    return lambda step: factor(step) * min(1.0, (step + 1) / max(steps, 1.0))
