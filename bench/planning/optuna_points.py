"""Points of a search space that Optuna draws, each from what the trials before it have found.

A tree-structured Parzen estimator (J. Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS
2011, section 4). Every draw has a sampler of its own, seeded by study and trial, that is told of all earlier
trials: so a draw is a function of these alone, whichever process or machine asks, and after whatever end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from bench import environment
from bench.errors import require
from bench.planning.search_space import DIGITS
from bench.results.tuning import is_range
from bench.types import Parameters, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: Trials of a study that are random, as the estimator has too little to go by.
RANDOM = 10
#: Trials of a study, at most: each is made from the one before, and chains cannot be of any length.
MOST_TRIALS = 100


class Told(TypedDict):
    """A trial as Optuna knows it: its own values, places in lists of values to choose from, and the score."""

    point: dict[str, Any]
    score: float


def check_installed() -> None:
    """Raise MissingPackageError where Optuna cannot be imported; does not import it."""
    require("tune.sampler: optuna", "optuna", "optuna")


def release() -> str:
    """What Optuna's points depend on beside what they are drawn from."""
    return environment.package_version("optuna") or ""


def next_point(space: Space, schema: type[Parameters], study: int, earlier: Sequence[Told]) -> dict[str, Any]:
    """Where the trial after ``earlier`` ones lies, as Optuna has it.

    Args:
        space: what is searched, free of faults.
        schema: of the parameters: whole numbers stay whole.
        study: its number, which seeds it.
        earlier: all trials of the study before, in their order.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every study and trial otherwise
    axes = distributions(space, schema)
    found = optuna.create_study(direction="maximize", sampler=sampler(study, len(earlier)))
    found.add_trials(
        [
            optuna.trial.create_trial(params=one["point"], distributions=axes, value=one["score"])
            for one in earlier
        ]
    )
    return dict(found.ask(axes).params)


def sampler(study: int, trial: int) -> Any:
    """The ``TPESampler`` that draws one trial of one study."""
    from optuna.samplers import TPESampler

    seed = int(np.random.SeedSequence([study, trial]).generate_state(1)[0])
    return TPESampler(n_startup_trials=RANDOM, seed=seed)


def distributions(space: Space, schema: type[Parameters]) -> dict[str, BaseDistribution]:
    """The space in Optuna's words; values to choose from are there by their places, as they may be lists.

    By name, in whatever order a grid has them: an estimator draws one after the other, and keys are the same.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def axis(name: str, searched: Sequence[Any]) -> BaseDistribution:
        if not is_range(searched):
            return CategoricalDistribution(range(len(searched)))
        low, high, scale = searched
        if schema.model_fields[name].annotation is int:
            return IntDistribution(int(low), int(high), log=scale == "log")
        return FloatDistribution(float(low), float(high), log=scale == "log")

    return {name: axis(name, space[name]) for name in sorted(space)}


def values_of(point: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """What a trial at a point is trained with: numbers of as many digits as those of other samplers."""
    return {name: _value(searched, point[name]) for name, searched in space.items()}


def _value(searched: Sequence[Any], at: Any) -> Any:
    if not is_range(searched):
        return searched[at]
    if isinstance(at, int):
        return at
    return min(max(float(f"{at:.{DIGITS}g}"), float(searched[0])), float(searched[1]))
