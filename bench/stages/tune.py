"""Stage ``tune``: what the trials of a loss have found, study by study."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.errors import CellError
from bench.planning.stage import TUNE, Stage
from bench.registry import LOSSES
from bench.results.tuning import Trial, study_of
from bench.stages.context import Context
from bench.stages.memory import Needs

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1

#: Content of the artifact: study by study the values that won, plain JSON.
WINNERS = "winners.json"


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Validation mAP alone decides; all trials are in the summary, and nothing here has seen a query."""
    studies: dict[str, list[Trial]] = {}
    for role, trial in sorted(stage.inputs.items()):
        index = context.store.index(context.store.path(*trial.place))
        if index is None:
            raise CellError(f"trial {trial.slug} is no more; run again, and let the cache be meanwhile")
        found = Trial(
            values=_values(trial.spec["loss"], stage.spec["names"]),
            val_map=index["summary"]["val_map"],
            seconds=index["seconds"],
            diverged=index["summary"].get("diverged", False),
        )
        studies.setdefault(role.partition("/")[0], []).append(found)
    judged = {name: study_of(trials) for name, trials in studies.items()}
    for name, study in judged.items():
        if all(trial.diverged for trial in study.trials):
            raise CellError(f"all trials of {name} diverged; lower the bounds of lr in tune.space")
    winners = [study.trials[study.winner].values for study in judged.values()]
    (folder / WINNERS).write_text(json.dumps(winners))
    return {"studies": [study.model_dump(mode="json") for study in judged.values()]}


def _values(loss: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Parameters of the block of a loss, those too that specs do not spell out at their default."""
    fields = LOSSES.get(loss["name"]).Params.model_fields
    return {name: loss["params"].get(name, fields[name].default) for name in names}


def memory(stage: Stage, needs: Needs) -> float:
    """Next to nothing."""
    return 0.0


def winner(stage: Stage, context: Context) -> Mapping[str, Any]:
    """What the tuning of ``stage`` has found for its parameters; empty where there was none."""
    tuning = stage.inputs.get(TUNE)
    if tuning is None:
        return {}
    found: list[dict[str, Any]] = json.loads((context.store.path(*tuning.place) / WINNERS).read_text())
    return found[int(stage.spec["study"])]
