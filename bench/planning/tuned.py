"""A tuning in a plan: what is searched of a loss and a method, the trials of every study, and their judge.

A trial is step 2 at one point of the search space, on the training images without those for validation, with
a seed that no cell has. Its student comes from a step 1 of the tuning's own, which has not seen these either:
one for all trials, or where methods are searched one for each number of a trial, at its point and with its
seed, which all losses share.
Where Optuna draws, a trial is made from the one before it, and its point is not known to the plan.
A cell takes the winner of the study that its seed falls to, seed mod studies, and trains anew: so the spread
over seeds has the luck of a tuning in it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bench.planning import optuna_points
from bench.planning.config import resolve
from bench.planning.resolved import Blocks, Tuning, plugin_block
from bench.planning.schema import Grid, NamedPlugin, Tune
from bench.planning.search_space import drawn, values_at
from bench.planning.stage import EARLIER, TUNE, Stage, version
from bench.registry import LOSSES, METHODS, Registry
from bench.results.tuning import STEPS, joint
from bench.types import HashingParameters
from bench.types.parameters import MOST_WHOLE

#: Seed of the step 1 that all trials share; those of studies are the ones below.
LAST_SEED = MOST_WHOLE
#: Of the parameters that all losses share, those that change neither what a training costs nor its protocol.
SHARED = ("lr", "head_lr_scale", "weight_decay", "trunk_warmup")
#: Dimensions that points of both steps are drawn in, at least: with as many for every loss, the first ones,
#: which are those of a method, are the same for all, and trials of one number share their step 1.
WIDTH = 16
#: The sampler that draws each trial from what those before it have found.
OPTUNA = "optuna"
#: What may be searched -> where it is registered, and the field of ``Defaults`` that has settings for all.
SEARCHED: Mapping[str, tuple[Registry[Any], str]] = {
    "loss": (LOSSES, "finetune"),
    "method": (METHODS, "distill"),
}


class UnfitTrialError(ValueError):
    """Values of a trial, of a loss or method as ``axis`` says, that are right alone and not together."""

    def __init__(self, axis: str, error: ValidationError) -> None:
        super().__init__(str(error))
        self.axis, self.error = axis, error


def tunable(plugin: Any) -> list[str]:
    """Parameters of a loss or method that may be searched.

    Of a loss, some of those that all share, and all of its own. Those of methods may change what teachers are
    asked, which network is left, or what a training costs: of them it is the rates, and what they declare.
    """
    fields = plugin.Params.model_fields
    shared = [name for name in SHARED if name in fields]
    if issubclass(plugin.Params, HashingParameters):
        own = [name for name in fields if name not in HashingParameters.model_fields]
    else:
        own = [name for name in getattr(plugin, "space", {}) if name in fields]
    return list(dict.fromkeys([*shared, *own]))


def searches(tune: Tune, method: str, loss: str) -> list[str]:
    """What is searched of a cell: loss, method, both or nothing.

    Trials are judged by the codes that step 2 has learnt, so nothing is where that does not train.
    """
    if not LOSSES.get(loss).trains:
        return []
    return [axis for axis in STEPS if axis in tune.of and (axis == "loss" or METHODS.get(method).trains)]


def space_of(tune: Tune, axis: str, entry: NamedPlugin) -> dict[str, Sequence[Any]]:
    """What is searched of a loss or method as an entry of the grid has it: what that gives stays as it is."""
    if axis not in tune.of:
        return {}
    given = getattr(tune.space, axis).get(entry.name)
    registry, _ = SEARCHED[axis]
    # Interfaces need not be inherited from.
    space: Mapping[str, Sequence[Any]] = given or getattr(registry.get(entry.name), "space", {})
    return {name: list(searched) for name, searched in space.items() if name not in entry.params}


def shorter(tune: Tune, grid: Grid, axis: str, entry: NamedPlugin) -> dict[str, Any]:
    """The parameters that make a trial shorter than the training of a cell; empty where it is as long."""
    if tune.epochs_share == 1:
        return {}
    registry, defaults = SEARCHED[axis]
    params: Any = resolve(registry, entry, getattr(grid.defaults, defaults))
    return {"epochs": max(1, round(tune.epochs_share * params.epochs))}


def tuning_of(grid: Grid, method: NamedPlugin, loss: NamedPlugin) -> Tuning | None:
    """Budget and trials of a cell, None where nothing is tuned; the grid is free of ``tuning_faults``.

    Raises:
        UnfitTrialError: a trial cannot be.
    """
    tune, entries = grid.tune, {"method": method, "loss": loss}
    if tune is None or not (axes := searches(tune, method.name, loss.name)):
        return None
    spaces = {axis: space_of(tune, axis, entries[axis]) for axis in axes}
    shortened = {axis: shorter(tune, grid, axis, entries[axis]) for axis in axes}

    def blocks(point: Sequence[float]) -> Iterator[tuple[str, dict[str, Any]]]:
        left = iter(point)  # the dimensions beyond are those of other losses
        for axis, space in spaces.items():
            (registry, defaults), entry = SEARCHED[axis], entries[axis]
            values = values_at(itertools.islice(left, len(space)), space, registry.get(entry.name).Params)
            settled = NamedPlugin(name=entry.name, params={**entry.params, **values, **shortened[axis]})
            try:
                yield axis, plugin_block(registry, settled, getattr(grid.defaults, defaults))
            except ValidationError as error:
                raise UnfitTrialError(axis, error) from error

    needed = sum(map(len, spaces.values()))
    dimensions = max(needed, WIDTH) if len(axes) > 1 else needed
    return Tuning(
        budget={**tune.model_dump(mode="json", exclude={"space", "of"}), "space": joint(spaces)},
        studies=[
            [dict(blocks(point.tolist())) for point in drawn(dimensions, tune.trials, study)]
            for study in range(tune.studies)
        ],
    )


def check_installed(tuning: Tuning) -> None:
    """Raise MissingPackageError where what draws its trials is an optional package that is not there."""
    if tuning.budget["sampler"] == OPTUNA:
        optuna_points.check_installed()


def untuned(block: dict[str, Any], tuning: Tuning, axis: str) -> dict[str, Any]:
    """The block of a loss or method without what its tuning settles."""
    searched = tuning.names(axis)
    kept = {name: value for name, value in block["params"].items() if name not in searched}
    return {**block, "params": kept}


def held_out(blocks: Blocks) -> Blocks:
    """The cell as its trials have it: no part of it has seen a validation image."""

    def always(method: dict[str, Any]) -> dict[str, Any]:
        return {**method, "params": {key: one for key, one in method["params"].items() if key != "hold_out"}}

    return dataclasses.replace(
        blocks,
        method=always(blocks.method),
        teaching=always(blocks.teaching) if blocks.teaching else None,
        seed=LAST_SEED,
        tuning=None,
    )


def tuning_stage(blocks: Blocks, tuning: Tuning, slug: str, train: Callable[[Blocks], Stage]) -> Stage:
    """The stage that judges all trials of a cell and its like.

    Args:
        blocks: of the cell.
        tuning: of its loss and method.
        slug: of the artifact, without a seed.
        train: makes the stage of step 2 of such a cell.
    """
    space = tuning.budget["space"]
    drawn_later = tuning.budget["sampler"] == OPTUNA
    inputs: dict[str, Stage] = {}
    for number, trials in enumerate(tuning.studies):
        earlier: Stage | None = None
        for i, trial in enumerate(trials):
            settled = {axis: untuned(block, tuning, axis) for axis, block in trial.items()}
            made = _trial(
                train(_at(blocks, settled if drawn_later else trial, LAST_SEED - 1 - number)),
                f"{slug}__study{number}",  # not which: several trials of few values to choose from are one
                blocks.dataset.size("val") / max(1, blocks.dataset.size("train")),
            )
            if drawn_later:
                made = earlier = _after(made, earlier, {"study": number, "trial": i, "space": space})
            inputs[f"study{number:02d}/trial{i:04d}"] = made
    return Stage(TUNE, slug, {"names": list(space)}, inputs)


def _after(trial: Stage, earlier: Stage | None, search: Mapping[str, Any]) -> Stage:
    """A trial that is drawn when those before it are done, from what they have found."""
    drawn_by = {"sampler": OPTUNA, "release": optuna_points.release()}
    spec = {**trial.spec, "search": {**drawn_by, **search}}
    inputs = {**trial.inputs, **({EARLIER: earlier} if earlier else {})}
    return dataclasses.replace(trial, spec=spec, inputs=inputs)


def _at(blocks: Blocks, trial: Mapping[str, Any], seed: int) -> Blocks:
    """The cell at the point of a trial."""
    return dataclasses.replace(held_out(dataclasses.replace(blocks, **trial)), seed=seed)


def _trial(stage: Stage, slug: str, held_out: float) -> Stage:
    """Step 2 as a trial; what that does is in its key as it is in that of step 2.

    Args:
        held_out: share of the labelled images that it is not trained on.
    """
    spec = {**stage.spec, "finetune": version("finetune")}
    images = round(stage.images * (1 - held_out))
    return dataclasses.replace(stage, kind="trial", slug=slug, spec=spec, images=images)
