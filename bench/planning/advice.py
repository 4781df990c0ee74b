"""What a plan will train and how, and what to know before weeks are spent on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from scipy.special import stdtrit

from bench.planning.fitting import draws, fits, hashes, keeps_trunk
from bench.planning.plan import Cell, Plan
from bench.planning.stage import TUNE, Stage, walk
from bench.registry import LOSSES, METHODS
from bench.results.tuning import budget_words, part, shared, space_words
from bench.storage.keys import canonical_json
from bench.types import TrainingParameters

#: Optimizer -> a learning rate below which random weights may hardly change in the epochs of a fine-tuning,
#: and one to try. A small ResNet (timm:test_resnet, digits, 30 epochs of csq) has a mAP of 0.34 after RMSprop
#: at the published 1e-5, of 0.95 at 1e-4 and 0.99 at 3e-4; of 0.36 after SGD at 1e-3 and 0.95 at 1e-2.
LEAST_RATE = {
    **dict.fromkeys(("adam", "adamw", "rmsprop"), (1e-4, "3e-4")),
    "sgd": (1e-2, "1e-2"),
}
#: In place of what a tuning finds.
TUNED = "tuned"
#: Seeds from which the spread between seeds can be estimated well enough to tell differences.
ENOUGH_SEEDS = 3


def training(plan: Plan) -> list[dict[str, Any]]:
    """How networks will be trained, each setting once: step, method or loss, and its training parameters."""
    rows = []
    for stage in walk(_leaves(plan), there=lambda stage: stage.kind == TUNE).values():
        for step, axis in enumerate(("method", "loss"), start=1):
            asked = stage.spec.get(axis)
            if asked and not (axis == "loss" and fits(asked["name"])):
                fields = TrainingParameters.model_fields.items()
                settings = {name: asked["params"].get(name, field.default) for name, field in fields}
                if tune := stage.inputs.get(TUNE):
                    searched = part(dict.fromkeys(tune.spec["names"], TUNED), axis)
                    settings |= {name: TUNED for name in searched if name in settings}
                rows.append({"step": step, "name": asked["name"], **settings})
    unique = {canonical_json(row): row for row in rows}
    return sorted(unique.values(), key=lambda row: int(row["step"]))


def warnings(plan: Plan) -> list[str]:
    """One line for everything in the plan that is likely not meant, with its cure."""
    return [*plan.idle, *_studies(plan), *_slow_starts(plan), *_never_trained(plan)]


def few_seeds(plan: Plan) -> list[str]:
    """What cannot be told of configurations with fewer seeds than ``ENOUGH_SEEDS``, one line per number."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for cell in plan.cells:
        seeds[_configuration(cell)].add(cell.info.seed)
    wanted = {_configuration(cell) for cell in plan.selected if _draws(cell)}
    counts = Counter(len(seeds[configuration]) for configuration in wanted)
    apart = float(stdtrit(1, 0.975))
    reasons = {
        1: "seed: what another seed would change is not known, and intervals are over queries alone",
        2: f"seeds: a 95 % interval over two is {apart:.1f} times as wide as they lie apart (Student's t), "
        "and hardly any difference will show",
    }
    return [
        f"{counts[n]} of {len(wanted)} configurations have {n} {reason}; name {ENOUGH_SEEDS} or more"
        for n, reason in reasons.items()
        if counts[n]
    ]


def tuning(plan: Plan) -> list[str]:
    """What is tuned, and with how many trainings.

    A line for each loss; where methods are searched, too, for each method and loss.
    """
    trials: dict[str, set[str]] = defaultdict(set)
    budgets: dict[str, dict[str, Any]] = {}
    for cell in plan.selected:
        if budget := cell.params.get("tuning"):
            key = canonical_json([_tuned(cell), budget])
            budgets[key] = {"name": _tuned(cell), "both": _both(cell), **budget}
            trials[key] |= {one.key for one in walk(cell.leaves.values()).values() if one.kind == "trial"}
    lines = []
    for key, budget in budgets.items():
        trainings = "trainings of both steps" if budget["both"] else "trainings"
        what = f"{budget_words(budget)}, {len(trials[key]):,} {trainings} in all, by validation mAP alone"
        lines.append(f"{budget['name']}: {what}; searched: {space_words(budget['space'])}")
    return lines


def _studies(plan: Plan) -> Iterator[str]:
    """Studies whose winners no seed of the grid takes, and seeds that share those of fewer studies."""
    seeds: dict[tuple[str, int], set[int]] = defaultdict(set)
    for cell in plan.cells:
        if budget := cell.params.get("tuning"):
            seeds[_tuned(cell), budget["studies"]].add(cell.info.seed)
    for (name, studies), some in seeds.items():
        used = len({seed % studies for seed in some})
        if more := shared(used, len(some)):
            yield f"tuning of {name}: {more}; write studies: {len(some)}"
        elif used < studies:
            yield (
                f"tuning of {name}: a seed takes the winner of study seed mod {studies}, so {used} of "
                f"{studies} are of use; name more seeds, or write studies: {used}"
            )


def _both(cell: Cell) -> bool:
    """Whether the method of a tuned cell is searched, too."""
    return bool(part(cell.params["tuning"]["space"], "method"))


def _tuned(cell: Cell) -> str:
    """What of a cell is tuned."""
    return f"{cell.info.method} and {cell.info.loss}" if _both(cell) else cell.info.loss


def _leaves(plan: Plan) -> list[Stage]:
    """Of the selected cells."""
    return [leaf for cell in plan.selected for leaf in cell.leaves.values()]


def _slow_starts(plan: Plan) -> Iterator[str]:
    """Random networks that no step 1 has trained, fine-tuned at a rate meant for pretrained ones."""
    networks: dict[tuple[str, str, float], dict[str, None]] = defaultdict(dict)
    for stage in plan.stages():
        loss = stage.spec.get("loss")
        if not loss or keeps_trunk(loss) or stage.settled("method"):
            continue
        tuned = stage.kind == "trial" or TUNE in stage.inputs
        if not tuned and stage.spec["student"]["weights"] == "none":
            setting = loss["name"], loss["params"]["optimizer"], loss["params"]["lr"]
            networks[setting][stage.spec["student"]["name"]] = None
    for (loss, optimizer, lr), names in networks.items():
        least, better = LEAST_RATE[optimizer]
        if lr < least:
            default: Any = LOSSES.get(loss).Params()
            rate = f"its default rate for fine-tuning, {lr:g}" if lr == default.lr else f"the rate {lr:g}"
            cure = f"set defaults.finetune.lr or params: {{lr: {better}}}"
            yield f"loss {loss} trains {', '.join(names)} from random weights at {rate} ({optimizer}); {cure}"


def _never_trained(plan: Plan) -> Iterator[str]:
    """Random networks whose features are taken as they are: neither step trains them."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in plan.selected:
        loss = {"name": cell.info.loss, "params": cell.params["loss"]}
        as_it_is = keeps_trunk(loss) or not hashes(cell.info.loss)
        if (
            as_it_is
            and cell.params["student"]["weights"] == "none"
            and not METHODS.get(cell.info.method).trains
        ):
            head = "" if fits(cell.info.loss) or not hashes(cell.info.loss) else " (train: head)"
            found[cell.info.student][f"{cell.info.loss}{head}"] = None
    for student, losses in found.items():
        what = f"loss {', '.join(losses)} takes features of {student} with random weights that nothing trains"
        yield f"{what}; give it weights or a method that trains it, or exclude them"


def _configuration(cell: Cell) -> str:
    """All that tells a cell from others but its seed."""
    return canonical_json([cell.info.model_dump(exclude={"seed"}), cell.params])


def _draws(cell: Cell) -> bool:
    """Whether anything about the cell depends on its seed."""
    trains = METHODS.get(cell.info.method).trains or draws(cell.info.loss)
    return trains or cell.params["student"]["weights"] == "none"
