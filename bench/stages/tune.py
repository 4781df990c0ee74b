"""Stage ``tune``: what the trials of a loss and a method have found, study by study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import CellError
from bench.planning.stage import EARLIER, TUNE, Stage
from bench.registry import LOSSES, METHODS, Registry
from bench.results.tuning import Trial, joint, part, study_of
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
        values = index["summary"].get("values") or _values(trial)
        found = Trial(
            values={name: values[name] for name in stage.spec["names"]},
            val_map=index["summary"]["val_map"],
            seconds=index["seconds"] + index["summary"].get("step_1_seconds", 0.0),
            diverged=index["summary"].get("diverged", False),
        )
        studies.setdefault(role.partition("/")[0], []).append(found)
    sequential = any(EARLIER in trial.inputs for trial in stage.inputs.values())
    judged = {name: study_of(trials, sequential=sequential) for name, trials in studies.items()}
    for name, study in judged.items():
        if all(trial.diverged for trial in study.trials):
            raise CellError(f"all trials of {name} diverged; lower the bounds of lr in tune.space")
    winners = [study.trials[study.winner].values for study in judged.values()]
    (folder / WINNERS).write_text(json.dumps(winners))
    return {"studies": [study.model_dump(mode="json") for study in judged.values()]}


def memory(stage: Stage, needs: Needs) -> float:
    """Next to nothing."""
    return 0.0


def _values(trial: Stage) -> dict[str, Any]:
    """All parameters of loss and method at the point of a trial, plain JSON values."""
    loss, method = trial.spec["loss"], trial.settled("method").get("method")
    found = {"loss": _params(LOSSES, loss), "method": _params(METHODS, method) if method else {}}
    return joint(found)


def _params(registry: Registry[Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a block of specs, with what stands in none at its default."""
    params = registry.get(block["name"]).Params.of(block["params"])
    return {name: getattr(params, name) for name in type(params).model_fields}


def winner(stage: Stage, context: Context, axis: str) -> Mapping[str, Any]:
    """What the tuning of ``stage`` has found for its loss or method, ``axis``; empty where there was none."""
    tuning = stage.inputs.get(TUNE)
    if tuning is None:
        return {}
    found: list[dict[str, Any]] = json.loads((context.store.path(*tuning.place) / WINNERS).read_text())
    return part(found[int(stage.spec["study"])], axis)
