"""Stage ``trial``: step 2 at one point of a search space, judged on validation images it was not trained on.

It leaves no network: the winner is trained anew, with other seeds and on all training images.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from bench.planning.stage import Stage
from bench.stages import finetune
from bench.stages.context import Context
from bench.stages.finetune import memory
from bench.training.loop import DivergedError

__all__ = ["memory", "run"]

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1

log = logging.getLogger(__name__)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """The mAP of the validation images against the training images is in the summary, as ``val_map``."""
    try:
        _, summary = finetune.train(stage, context, {}, judged=True)
    except DivergedError as error:
        # Spaces reach as far as where trainings end badly: that is a result, the worst there is.
        log.debug("%s: %s", stage.slug, error)
        return {"val_map": 0.0, "diverged": True}
    summary.pop("warnings", None)  # the winner's own training says them
    return summary
