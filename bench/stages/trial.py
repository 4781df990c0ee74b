"""Stage ``trial``: step 2 at one point of a search space, judged on validation images it was not trained on.

Where methods are searched, too, the step 1 before it is the trial's own, at the same point. Where trials are
drawn from what those before them have found, its point is drawn here, and not in the plan. It leaves no
network: the winner is trained anew, with other seeds and on all training images.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import CellError
from bench.planning import optuna_points
from bench.planning.stage import EARLIER, Stage
from bench.registry import LOSSES
from bench.stages import finetune, networks
from bench.stages.context import Context
from bench.stages.finetune import memory
from bench.training.loop import DivergedError

__all__ = ["memory", "run"]

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1

#: Content of the artifact of a trial that was drawn: it and all before it in its study, as ``Told``.
STUDY = "study.json"

log = logging.getLogger(__name__)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """The mAP of the validation images against the training images is in the summary, as ``val_map``.

    A trial that was drawn here has its point there, too, as ``values``.
    """
    search = stage.spec.get("search")
    if search is None:
        return _judged(stage, context, {})
    earlier = _earlier(stage, context)
    schema = LOSSES.get(stage.spec["loss"]["name"]).Params
    point = optuna_points.next_point(search["space"], schema, search["study"], earlier)
    values = optuna_points.values_of(point, search["space"])
    _check(stage, values)
    summary = _judged(stage, context, values)
    told = {"point": point, "score": summary["val_map"]}
    (folder / STUDY).write_text(json.dumps([*earlier, told]))
    return {**summary, "values": values}


def _judged(stage: Stage, context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """Train and judge; ``values`` are those of the loss that its spec leaves open."""
    before = _step_1(stage, context)
    if before.get("diverged"):
        return {"val_map": 0.0, **before}
    try:
        _, summary = finetune.train(stage, context, values, judged=True)
    except DivergedError as error:
        # Spaces reach as far as where trainings end badly: that is a result, the worst there is.
        log.debug("%s: %s", stage.slug, error)
        return {"val_map": 0.0, "diverged": True, **before}
    summary.pop("warnings", None)  # the winner's own training says them
    return {**summary, **before}


def _earlier(stage: Stage, context: Context) -> list[optuna_points.Told]:
    """The trials of the study before this one, in their order."""
    if EARLIER not in stage.inputs:
        return []
    path = context.store.path(*stage.inputs[EARLIER].place) / STUDY
    found: list[optuna_points.Told] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _check(stage: Stage, values: dict[str, Any]) -> None:
    """Refuse values that are right alone and not together, which no plan could foresee.

    Raises:
        CellError: the loss cannot have them.
    """
    block, search = stage.spec["loss"], stage.spec["search"]
    try:
        LOSSES.get(block["name"]).Params.of({**block["params"], **values})
    except ValidationError as error:
        name, why = block["name"], error.errors()[0]["msg"]
        which = f"trial {search['trial']} of study {search['study']}"
        raise CellError(f"{which} cannot be: {why}; narrow tune.space.loss.{name}") from error


def _step_1(stage: Stage, context: Context) -> dict[str, Any]:
    """What the trial's own step 1 took, and whether it diverged; empty where all trials share one."""
    distill = networks.taken_up(stage)
    if distill is None or not distill.spec.get("trial"):
        return {}
    index = context.store.index(context.store.path(*distill.place))
    if index is None:
        raise CellError(f"step 1 of {stage.slug} is no more; run again, and let the cache be meanwhile")
    diverged = {"diverged": True} if index["summary"].get("diverged") else {}
    return {"step_1_seconds": index["seconds"], **diverged}
