"""Points of a search space: which values a trial has is a function of the space, the study and its number.

Scrambled Sobol points (A. B. Owen, "Randomly permuted (t,m,s)-nets and (t,s)-sequences", 1995) fill a space
more evenly than random ones, know nothing of results, and so can all be planned, cached and made at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results.tuning import is_range
from bench.types import Parameters, Space
from bench.types.parameters import MOST

#: Significant digits of a drawn value: neighbours beyond them train alike, and people read them.
DIGITS = 3


def range_fault(searched: Sequence[Any]) -> str | None:
    """Why nothing can be drawn, or None."""
    if not is_range(searched):
        same = len(searched) > len({repr(one) for one in searched})
        return "values to choose from should differ" if same else None
    low, high, scale = searched
    if not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in (low, high)):
        return "bounds of a range should be numbers"
    if not all(abs(bound) <= MOST for bound in (low, high)):
        return f"bounds of a range should be at most {MOST:g} in size"
    if low >= high:
        return "the first bound should be below the second one"
    return "a range on a log scale should begin above 0" if scale == "log" and low <= 0 else None


def points(space: Space, schema: type[Parameters], trials: int, study: int) -> list[dict[str, Any]]:
    """The values of every trial of a study, of one plug-in.

    Args:
        space: what is searched, free of faults.
        schema: of the parameters: whole numbers stay whole.
        trials: how many points.
        study: its number, which scrambles them.
    """
    return [values_at(point, space, schema) for point in drawn(len(space), trials, study)]


def values_at(point: Iterable[float], space: Space, schema: type[Parameters]) -> dict[str, Any]:
    """The values at a point of the unit cube, whose dimensions are those of ``space``."""
    return {
        name: _at(searched, float(u), whole=schema.model_fields[name].annotation is int)
        for (name, searched), u in zip(space.items(), point, strict=True)
    }


@functools.lru_cache(maxsize=256)  # every cell asks
def drawn(size: int, trials: int, study: int) -> NDArray[np.float64]:
    """Where the trials of a study lie in the unit cube: (trials, size), from 0 to below 1."""
    from scipy.stats import qmc  # a second, for grids that tune

    sampler = qmc.Sobol(size, rng=np.random.default_rng(study))
    # A power of two is balanced; of fewer, the first ones are.
    found: NDArray[np.float64] = sampler.random_base2(math.ceil(math.log2(trials)))
    return found[:trials]


def _at(searched: Sequence[Any], u: float, *, whole: bool) -> Any:
    """The value at ``u``, from 0 to below 1."""
    if not is_range(searched):
        return searched[min(int(u * len(searched)), len(searched) - 1)]
    low, high, scale = searched
    if whole:  # every one as likely as the others, on a linear scale
        bottom, top = (math.log(low), math.log(high + 1)) if scale == "log" else (low, high + 1)
        value = bottom + u * (top - bottom)
        return min(int(math.exp(value) if scale == "log" else value), int(high))
    exact = low * (high / low) ** u if scale == "log" else low + u * (high - low)
    return min(max(float(f"{exact:.{DIGITS}g}"), float(low)), float(high))
