"""Stage ``trial``: step 2 at one point of a search space, judged on validation images it was not trained on.

Where methods are searched, too, the step 1 before it is the trial's own, at the same point. It leaves no
network: the winner is trained anew, with other seeds and on all training images.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from bench.errors import CellError
from bench.planning.stage import Stage
from bench.stages import finetune, networks
from bench.stages.context import Context
from bench.stages.finetune import memory
from bench.training.loop import DivergedError

__all__ = ["memory", "run"]

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1

log = logging.getLogger(__name__)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """The mAP of the validation images against the training images is in the summary, as ``val_map``."""
    before = _step_1(stage, context)
    if before.get("diverged"):
        return {"val_map": 0.0, **before}
    try:
        _, summary = finetune.train(stage, context, {}, judged=True)
    except DivergedError as error:
        # Spaces reach as far as where trainings end badly: that is a result, the worst there is.
        log.debug("%s: %s", stage.slug, error)
        return {"val_map": 0.0, "diverged": True, **before}
    summary.pop("warnings", None)  # the winner's own training says them
    return {**summary, **before}


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
