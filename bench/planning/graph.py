"""The stages of one cell: what has to be made from what, and which cells may share it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from bench import environment
from bench.interfaces import Loss, Method, Metric
from bench.planning import tuned
from bench.planning.fitting import compresses, draws, fits, has_features, hashes, keeps_trunk
from bench.planning.resolved import Blocks, identity
from bench.planning.stage import TRUNK, Stage
from bench.registry import LOSSES, METHODS, METRICS

#: Seed of what all seeds of a cell share: live teachers are as frozen as those with published weights.
SHARED_SEED = 0
#: As ``views`` of a method: teachers are asked in every epoch, and nothing of them is kept.
ONLINE = "online"


def leaves(
    blocks: Blocks, tune: Stage | None, metrics: Sequence[dict[str, Any]], hardware: str, examples: int
) -> dict[str, Stage]:
    """The leaves of one cell: a measure stage per metric, and the examples of what its codes find.

    Args:
        tune: what ``tuning`` makes of a cell that differs in nothing but its seed.
        metrics: blocks of name, version and params.
        hardware: fingerprint that timed metrics are keyed by.
        examples: number of queries to show.
    """
    method = METHODS.get(blocks.method["name"])
    distill = _distill(blocks, blocks.seed, tune) if method.trains else None
    reshaped_by = getattr(method, "reshaped_by", lambda params: method.reshapes)
    reshaped = distill if reshaped_by(method.Params.of(blocks.method["params"])) else None
    trunk = _trunk(blocks, distill) if keeps_trunk(blocks.loss) else None
    encode = _encode(blocks, _step_2(blocks, distill, trunk, tune) or distill, trunk)
    found = {
        f"measure/{metric['name']}": _measure(metric, blocks, reshaped, encode, hardware)
        for metric in metrics
    }
    return {**found, "examples": _examples(blocks, encode, examples)} if examples else found


def _distill(blocks: Blocks, seed: int, tune: Stage | None = None, *, tried: bool = False) -> Stage:
    """Step 1.

    Args:
        tune: what finds values for it, where they are searched.
        tried: whether it is that of a trial, whose end may be that it diverges.
    """
    dataset, params = blocks.dataset, blocks.method["params"]
    pool = params["pool_fraction"] * dataset.pool_size(params)
    plugin = METHODS.get(blocks.method["name"])
    # Interfaces need not be inherited from.
    if getattr(plugin, "uses_videos", Method.uses_videos)(plugin.Params.of(params)):
        pool = min(pool, dataset.sizes.get("videos", pool))  # a frame of each
    seen, opens = dataset.pool(params)
    spec = {**_shared(blocks), "dataset": seen, "method": blocks.method, "seed": seed}
    found = _found(blocks, "method", tune)
    spec |= {**_study(blocks, found), **({"trial": True} if tried else {})}
    cost_class = _cost_class(blocks)
    online = params.get("views") == ONLINE
    if online:
        spec["online_teachers"] = [_asked(blocks, teacher) for teacher in blocks.teachers]
        cost_class += "".join(f"/{teacher['name']}" for teacher in blocks.teachers)
    return Stage(
        "distill",
        f"{_slug(blocks)}__s{seed}",
        spec,
        {**({} if online else _teachers(blocks)), **found},
        images=round(params["epochs"] * pool),
        cost_class=f"{cost_class}/{blocks.method['name']}",
        opens=opens,
    )


def _asked(blocks: Blocks, teacher: dict[str, Any]) -> dict[str, Any]:
    """What a frozen teacher is asked for, and at which size."""
    output = METHODS.get(blocks.method["name"]).teacher_output
    return {
        "teacher": teacher,
        "output": output,
        "image_size": blocks.method["params"]["teacher_image_size"],
    }


def _teachers(blocks: Blocks) -> dict[str, Stage]:
    """What step 1 needs of its teachers."""
    if not blocks.teachers:
        return {}
    plugin: Any = METHODS.get(blocks.method["name"])
    if plugin.teacher_output != "network":
        return _outputs(blocks, plugin)
    trainer = METHODS.get(plugin.teacher_trained_by)
    asked = plugin.Params.of((blocks.teaching or blocks.method)["params"])
    params = trainer.Params.of(plugin.teacher_params(asked))
    method = {**identity(METHODS, plugin.teacher_trained_by), "params": params.model_dump(mode="json")}
    return {
        f"teacher{i}": _distill(
            Blocks(**{**vars(blocks), "teachers": [], "student": teacher, "method": method}), SHARED_SEED
        )
        for i, teacher in enumerate(blocks.teachers)
    }


def _outputs(blocks: Blocks, plugin: Any) -> dict[str, Stage]:
    """One stage per teacher and view, shared by whatever asks the same teacher the same."""
    dataset, params = blocks.dataset, blocks.method["params"]
    precision = blocks.defaults.precision
    size = params["teacher_image_size"]
    seen, opens = dataset.pool(params)
    # Views beyond the epochs would never be shown, unless a step shows several.
    count = params["epochs"] if plugin.views_per_step == 1 else math.inf
    views = range(min(params["views"], count)) if plugin.shared_views else [None]
    return {
        f"teacher{i}/view{view}": Stage(
            "features",
            f"{dataset.name}__{teacher['name']}__{params['pool']}__{plugin.teacher_output}__view{view}",
            {"dataset": seen, **_asked(blocks, teacher), "view": view, "precision": precision},
            images=round(params["pool_fraction"] * dataset.pool_size(params)),
            cost_class=f"{teacher['name']}/{size or 'native'}/{precision}",
            opens=opens,
        )
        for (i, teacher), view in itertools.product(enumerate(blocks.teachers), views)
    }


def _trunk(blocks: Blocks, distill: Stage | None) -> Stage:
    """Features of the student as step 1 left it, or as it was built: for all losses, lengths and seeds."""
    drawn = {"seed": blocks.seed} if distill is None and blocks.student["weights"] == "none" else {}
    built = f"{_slug(blocks)}__s{blocks.seed}" if drawn else _slug(blocks)
    return Stage(
        "trunk",
        distill.slug if distill else built,  # of a tuning, trials have other seeds than their step 1
        {**_shared(blocks), **drawn},
        _network(distill),
        images=blocks.dataset.distinct,
        cost_class=_cost_class(blocks),
    )


def _step_2(
    blocks: Blocks, distill: Stage | None, trunk: Stage | None, tune: Stage | None = None
) -> Stage | None:
    """What makes a hash network of a student, if anything does."""
    loss, features = blocks.loss, {TRUNK: trunk} if trunk else {}
    if not hashes(loss["name"]):
        return None
    fitted = fits(loss["name"])
    drawn = {"seed": blocks.seed} if draws(loss["name"]) else {}
    found = _found(blocks, "loss", tune)
    # Interfaces need not be inherited from.
    views = getattr(LOSSES.get(loss["name"]), "views_per_step", Loss.views_per_step)
    return Stage(
        "fit" if fitted else "finetune",
        _coded_slug(blocks),
        {**_shared(blocks), "loss": loss, **_trained_lengths(blocks), **drawn, **_study(blocks, found)},
        {**_network(distill), **features, **found},
        images=0 if fitted else views * loss["params"]["epochs"] * blocks.dataset.size("train"),
        cost_class=_cost_class(blocks) + (f"/{loss['name']}" if fitted else "/head" if features else ""),
    )


def tuning(blocks: Blocks) -> Stage | None:
    """What finds the values that the grid leaves to a tuning, for all seeds; None where there are none."""
    if blocks.tuning is None:
        return None
    tried = tuned.held_out(blocks)
    searched = bool(blocks.tuning.names("method"))
    trains = METHODS.get(tried.method["name"]).trains
    shared = _distill(tried, tried.seed) if trains and not searched else None

    def trained(trial: Blocks) -> Stage:
        distill = _distill(trial, trial.seed, tried=True) if searched else shared
        trunk = _trunk(trial, distill) if keeps_trunk(trial.loss) else None
        stage = _step_2(trial, distill, trunk)
        assert stage is not None
        return stage

    slug = f"{_slug(blocks)}__{blocks.loss['name']}__{_lengths(blocks)}"
    return tuned.tuning_stage(blocks, blocks.tuning, slug, trained)


def _found(blocks: Blocks, axis: str, tune: Stage | None) -> dict[str, Stage]:
    """The input of a step whose loss or method takes values from a tuning, if it does."""
    return _network(tune) if tune and blocks.tuning and blocks.tuning.names(axis) else {}


def _study(blocks: Blocks, found: dict[str, Stage]) -> dict[str, Any]:
    """In specs of what takes values from a tuning: from which of its studies."""
    return blocks.tuning.study(blocks.seed) if found and blocks.tuning else {}


def _encode(blocks: Blocks, trained: Stage | None, trunk: Stage | None) -> Stage:
    dataset = blocks.dataset
    features = {TRUNK: trunk} if trunk and has_features(blocks) else {}
    # Step 2 has settled the rest. Without step 1, the seed draws the weights that none are published for.
    own = {} if blocks.bits else {"student": blocks.student, "seed": blocks.seed}
    return Stage(
        "encode",
        _coded_slug(blocks),
        {"dataset": dataset.block, **blocks.common, **blocks.seen, **own},
        {**_network(trained), **features},
        images=dataset.size("query") + dataset.size("database"),
        cost_class=_cost_class(blocks) + ("/views" if blocks.encode else "/head" if features else ""),
    )


def _measure(
    block: dict[str, Any], blocks: Blocks, reshaped: Stage | None, encode: Stage, hardware: str
) -> Stage:
    name, metric = block["name"], METRICS.get(block["name"])
    where = (
        {"hardware": hardware, "packages": environment.timed_packages()} if metric.noise == "timed" else {}
    )
    if metric.subject != "network":
        rule = {"dataset": blocks.dataset.block, "protocol": blocks.dataset.rule}
        cost_class = f"{name}/{blocks.dataset.name}"
        what = {"metric": block, **rule, **where, **_cut(blocks)}
        # Interfaces need not be inherited from.
        features = getattr(metric, "needs_features", Metric.needs_features)
        read = {"encode": encode, **(_networks(encode) if metric.subject == "system" else {})}
        read |= {TRUNK: encode.inputs[TRUNK]} if features else {}
        return Stage("measure", f"{name}__{_read_slug(blocks, encode)}", what, read, cost_class=cost_class)
    # What a network costs does not depend on the values of its weights: one measurement serves all cells
    # that deploy the same architecture. Methods that change it have one for every network they leave.
    # What is compressed behind a network is no part of it.
    bits = 0 if compresses(blocks.loss["name"]) else blocks.bits
    stored = {"stored_bits": blocks.bits} if blocks.bits > bits and _tells_storage(metric) else {}
    own = {"student": blocks.student, "bits": bits, **stored, **_head(blocks)}
    spec = {"metric": block, **own, **blocks.common, **blocks.seen, **where}
    student = f"{blocks.student['name']}/{blocks.image_size}"
    return Stage(
        "measure",
        f"{name}__{_slug(blocks) if reshaped else blocks.student['name']}__{_code(bits)}",
        spec,
        _network(reshaped),
        cost_class=f"{name}/{student}",
    )


def _tells_storage(metric: Any) -> bool:
    # Interfaces need not be inherited from.
    return bool(getattr(metric, "tells_storage", Metric.tells_storage))


def _head(blocks: Blocks) -> dict[str, Any]:
    """What the network has behind its trunk, where that is no linear layer of as many outputs as bits."""
    # Interfaces need not be inherited from.
    kind = getattr(LOSSES.get(blocks.loss["name"]), "deployed_head", Loss.deployed_head)
    return {} if kind == "linear" else {"head": {"kind": kind, "classes": blocks.dataset.classes}}


def _examples(blocks: Blocks, encode: Stage, queries: int) -> Stage:
    spec = {"dataset": blocks.dataset.block, "queries": queries, **_cut(blocks)}
    slug = _read_slug(blocks, encode)
    return Stage("examples", slug, spec, {"encode": encode}, cost_class=blocks.dataset.name)


def _networks(stage: Stage) -> dict[str, Stage]:
    """What ``stage`` takes up but features, by role."""
    return {role: needed for role, needed in stage.inputs.items() if role != TRUNK}


def _network(trained: Stage | None) -> dict[str, Stage]:
    """The input of a stage that takes up the network another one left, if one did."""
    return {trained.kind: trained} if trained else {}


def _trained_lengths(blocks: Blocks) -> dict[str, Any]:
    """How long the codes of step 2 are; of several lengths the others are the first bits of the longest.

    Those that are read back as vectors have a length that no later stage sees.
    """
    if compresses(blocks.loss["name"]):
        return {"stored_bits": blocks.bits}
    if not blocks.nested:
        return {"bits": blocks.bits}
    return {"bits": blocks.nested[-1], "nested": list(blocks.nested)}


def _cut(blocks: Blocks) -> dict[str, Any]:
    """How many bits of the codes a stage reads, where that is not what an encode stage has made."""
    return {"first_bits": blocks.bits} if blocks.nested else {}


def _read_slug(blocks: Blocks, encode: Stage) -> str:
    return f"{encode.slug}__{_code(blocks.bits)}" if blocks.nested else encode.slug


def _shared(blocks: Blocks) -> dict[str, Any]:
    return {"dataset": blocks.dataset.block, "student": blocks.student, **blocks.common}


def _slug(blocks: Blocks) -> str:
    return f"{blocks.dataset.name}__{blocks.student['name']}__{blocks.method['name']}"


def _coded_slug(blocks: Blocks) -> str:
    return f"{_slug(blocks)}__{blocks.loss['name']}__{_lengths(blocks)}__s{blocks.seed}"


def _lengths(blocks: Blocks) -> str:
    return f"{'+'.join(map(str, blocks.nested))}b" if blocks.nested else _code(blocks.bits)


def _code(bits: int) -> str:
    return f"{bits}b" if bits else "float"


def _cost_class(blocks: Blocks) -> str:
    """Stages that train or run the same network at the same size cost about the same per image."""
    return f"{blocks.student['name']}/{blocks.image_size}/{blocks.defaults.precision}"
