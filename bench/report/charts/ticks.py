"""When an axis of costs is logarithmic, and where it is labelled: with plain numbers."""

from __future__ import annotations

import math
from collections.abc import Collection

#: Multiples of powers of ten to label on a logarithmic axis, the most first.
_STEPS = ((1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
#: More labels than this do not fit beside each other.
_MOST = 8


def is_log(values: Collection[float]) -> bool:
    """Whether costs span more than a decade and are drawn on a logarithmic axis, here and on the web page."""
    return min(values) > 0 and max(values) > 10 * min(values)


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from ``low`` to ``high``, as many as have room, here and on the web page."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _STEPS:
        ticks = [float(f"{step}e{power}") for power in powers for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= _MOST:
            break
    return ticks[:: math.ceil(len(ticks) / _MOST) or 1]


def plain(value: float) -> str:
    """A number as people write it: ``0.05``, ``30``, ``2,000,000``; never 10^1 or 1e-05."""
    return f"{value:,.12f}".rstrip("0").rstrip(".")
