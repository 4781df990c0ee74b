"""A tuning in a plan: what is searched of a loss, the trials of every study, and the stage that judges them.

A trial is step 2 at one point of the search space, on the training images without those for validation, with
a seed that no cell has. Its student comes from a step 1 of the tuning's own, which has not seen these either.
A cell takes the winner of the study that its seed falls to, seed mod studies, and trains anew: so the spread
over seeds has the luck of a tuning in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.planning.config import resolve
from bench.planning.resolved import Blocks, Tuning, plugin_block
from bench.planning.schema import Grid, NamedPlugin, Tune
from bench.planning.search_space import points
from bench.planning.stage import TUNE, Stage, version
from bench.registry import LOSSES
from bench.types import HashingParameters
from bench.types.parameters import MOST_WHOLE

#: Seed of the step 1 of all trials; those of studies are the ones below.
LAST_SEED = MOST_WHOLE
#: Of the parameters that all losses share, those that change neither what a training costs nor its protocol.
SHARED = ("lr", "head_lr_scale", "weight_decay", "trunk_warmup")


def tunable(loss: Any) -> list[str]:
    """Parameters of a loss that may be searched: some of those that all share, and all of its own."""
    fields = loss.Params.model_fields
    own = [name for name in fields if name not in HashingParameters.model_fields]
    return [*(name for name in SHARED if name in fields), *own]


def space_of(tune: Tune, entry: NamedPlugin) -> dict[str, Sequence[Any]]:
    """What is searched of a loss as an entry of the grid has it: what that gives itself stays as it is."""
    given = tune.space.loss.get(entry.name)
    # Interfaces need not be inherited from.
    space: Mapping[str, Sequence[Any]] = given or getattr(LOSSES.get(entry.name), "space", {})
    return {name: list(searched) for name, searched in space.items() if name not in entry.params}


def tuning_of(grid: Grid, entry: NamedPlugin) -> Tuning | None:
    """Budget and trials of a loss, None where nothing is tuned; the grid is free of ``tuning_faults``."""
    tune, defaults = grid.tune, grid.defaults
    if tune is None or not LOSSES.get(entry.name).trains:
        return None
    space = space_of(tune, entry)
    schema = LOSSES.get(entry.name).Params
    params: Any = resolve(LOSSES, entry, defaults.finetune)
    shorter = {"epochs": max(1, round(tune.epochs_share * params.epochs))}
    studies = [points(space, schema, tune.trials, study) for study in range(tune.studies)]

    def block(values: Mapping[str, Any]) -> dict[str, Any]:
        settled = {**entry.params, **values, **(shorter if tune.epochs_share < 1 else {})}
        return plugin_block(LOSSES, NamedPlugin(name=entry.name, params=settled), defaults.finetune)

    return Tuning(
        budget={**tune.model_dump(mode="json", exclude={"space"}), "space": space},
        studies=[[block(values) for values in study] for study in studies],
    )


def untuned(loss: dict[str, Any], tuning: Tuning) -> dict[str, Any]:
    """The block of a loss without what its tuning settles."""
    kept = {name: value for name, value in loss["params"].items() if name not in tuning.budget["space"]}
    return {**loss, "params": kept}


def held_out(blocks: Blocks) -> Blocks:
    """The cell as its trials have it: no part of it has seen a validation image."""
    params = {name: value for name, value in blocks.method["params"].items() if name != "hold_out"}
    return dataclasses.replace(
        blocks, method={**blocks.method, "params": params}, seed=LAST_SEED, tuning=None
    )


def tuning_stage(blocks: Blocks, tuning: Tuning, slug: str, train: Callable[[Blocks], Stage]) -> Stage:
    """The stage that judges all trials of a cell and its like.

    Args:
        blocks: ``held_out``.
        tuning: of the loss.
        slug: of the artifact, without a seed.
        train: makes the stage of step 2 of such a cell.
    """
    names = list(tuning.budget["space"])
    inputs = {
        f"study{number:02d}/trial{i:04d}": _trial(
            train(dataclasses.replace(blocks, loss=loss, seed=LAST_SEED - 1 - number)),
            f"{slug}__study{number}",  # not which: several trials of few values to choose from are one
            blocks.dataset.size("val") / max(1, blocks.dataset.size("train")),
        )
        for number, losses in enumerate(tuning.studies)
        for i, loss in enumerate(losses)
    }
    return Stage(TUNE, slug, {"names": names}, inputs)


def _trial(stage: Stage, slug: str, held_out: float) -> Stage:
    """Step 2 as a trial; what that does is in its key as it is in that of step 2.

    Args:
        held_out: share of the labelled images that it is not trained on.
    """
    spec = {**stage.spec, "finetune": version("finetune")}
    images = round(stage.images * (1 - held_out))
    return dataclasses.replace(stage, kind="trial", slug=slug, spec=spec, images=images)
