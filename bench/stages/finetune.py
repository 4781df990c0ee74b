"""Stage ``finetune`` (step 2): student and hash head learn codes from labels, with one hashing loss."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.interfaces import Loss
from bench.planning.stage import TRUNK, Stage
from bench.registry import LOSSES
from bench.stages import networks, tune
from bench.stages.context import Context
from bench.stages.encode import outputs_of
from bench.stages.kept_epoch import KeptEpoch
from bench.stages.labelled import LabelledFeatures, LabelledImages
from bench.stages.memory import FLOAT, Needs
from bench.stages.nested import NestedLoss, views_per_step
from bench.stages.trunk import features_for, held
from bench.training.loop import DivergedError, fit, seeded, shuffled
from bench.training.micro_batches import Passes
from bench.types import HashingParameters, HashingTask, untold
from models.layers.heads import hash_network

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 3


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Train on the labelled images, mostly in a fresh random view every epoch; never sees a query image.

    Where the trunk is frozen, the head alone is trained, on its features of the evaluation view.
    """
    chosen = tune.winner(stage, context, "loss")
    net, summary = train(stage, context, chosen)
    networks.save(net, folder / networks.NETWORK)
    networks.save_architecture(networks.architecture(networks.taken_up(stage), context), folder)
    return {**summary, **({"tuned": dict(chosen)} if chosen else {})}


def train(
    stage: Stage, context: Context, chosen: Mapping[str, Any], *, judged: bool = False
) -> tuple[nn.Module, dict[str, Any]]:
    """The network as step 2 leaves it, and the summary of its training.

    Args:
        chosen: parameters of the loss beside those of the spec.
        judged: whether validation images are held out whatever is chosen by them, and the summary has the
            mAP of the kept epoch on them (``val_map``).

    Raises:
        CellError: as ``training.loop.fit``; outputs that are not finite are a ``DivergedError``, too.
    """
    checkpoints = context.checkpoints(stage, chosen)
    spec, seed, dataset = stage.spec, stage.spec["seed"], context.dataset(stage.spec["dataset"])
    params = LOSSES.get(spec["loss"]["name"]).Params.of({**spec["loss"]["params"], **chosen})
    assert isinstance(params, HashingParameters)
    splits = dataset.splits
    # Nothing is chosen when the last epoch is kept, so nothing needs to be held out.
    held_out = judged or params.select == "val"
    train = splits.train if held_out else np.union1d(splits.train, splits.val)
    labels = torch.from_numpy(dataset.images.multi_hot(train)).float().to(context.device)
    with seeded(seed, context.device):
        net, loss = _begun(stage, context, params, labels)
        features = features_for(stage, context)
        learning: nn.Module = net.head if features else net

        def begin_epoch(epoch: int) -> None:
            learning.train()
            loss.begin_epoch(epoch)

        shown: LabelledImages | LabelledFeatures
        aside = dataclasses.replace(context, advance=untold)  # progress counts training
        if features:
            outputs = functools.partial(features.outputs, learning, spec=spec, context=aside)
            seen = features.of(train)
            if not seen.isfinite().all():
                raise DivergedError("features are not finite: step 1 diverged; lower its lr")
            shown = LabelledFeatures(seen.to(context.device), labels, loss)
        else:
            looks = context.student(spec["student"]).preprocessing
            outputs = functools.partial(outputs_of, net, looks, dataset, spec=spec, context=aside)
            shown = LabelledImages(spec, context, dataset.images, train, labels, looks, loss)
        groups = _groups(net, loss, params, distilled=networks.taken_up(stage) is not None)
        kept = KeptEpoch(spec, dataset, params, learning, outputs)
        fitted = fit(
            Passes(learning, lambda: context.autocast(spec["precision"])),
            groups[:1] if features else groups,
            params,
            shuffled(len(train), params.batch_size, seed, params.incomplete),
            shown.show,
            advance=context.advance,
            begin_epoch=begin_epoch,
            end_of_epoch=kept.end_of_epoch,
            checkpoints=checkpoints,
            keeps={"loss": loss, "best": kept},
        )
    kept.restore()
    # Losses are looked at before a step, and codes that are classes of outputs are finite whatever these are.
    if not all(values.isfinite().all() for values in net.state_dict().values()):
        raise DivergedError("the last step left weights that are not finite: training diverged; lower lr")
    found = {"val_map": kept.judge()} if judged else {}
    net.head = getattr(net.head, "folded", lambda: net.head)()
    told = {"images": len(train), "kept_epoch": kept.epoch, **found}
    return net, {**fitted.summary(), **told, **loss.summary()}


def _begun(stage: Stage, context: Context, params: HashingParameters, labels: Tensor) -> tuple[Any, Any]:
    """The student with a hash head, or with what the loss trains in its place, and the loss, on their device.

    Args:
        labels: of the images that are trained on, float (images, classes).
    """
    spec, before = stage.spec, networks.taken_up(stage)
    (images, classes), nested = labels.shape, spec.get("nested")
    multi_label = bool((labels.sum(dim=1) != 1).any())
    task = HashingTask(spec["bits"], classes, images, spec["seed"], multi_label, spec["dataset"]["name"])
    trunk, width = networks.distilled(context.student(spec["student"]), spec["image_size"], before, context)
    net = hash_network(trunk, width, spec["bits"], params.head_start)
    plugin = LOSSES.get(spec["loss"]["name"])
    loss = NestedLoss(plugin, params, task, nested) if nested else plugin(params, task)
    # Interfaces need not be inherited from.
    net.head = getattr(loss, "trained_head", lambda linear: linear)(net.head)
    context.place(net)
    for parameter in loss.parameters():
        parameter.data = parameter.data.to(context.device)
    return net, loss


def memory(stage: Stage, needs: Needs) -> float:
    """The network in training, or the features of a frozen trunk; and the labels of all its images."""
    block = stage.spec["loss"]
    params, parts = block["params"], views_per_step(LOSSES.get(block["name"]))
    images: float = stage.images / params["epochs"] / parts
    labels = (FLOAT + 1) * needs.classes(stage.spec["dataset"]) * images
    if TRUNK in stage.inputs:
        return held(stage, needs, images) + labels
    return needs.trained(stage.spec, {**params, "batch_size": parts * params["batch_size"]}) + labels


def _groups(
    net: Any, loss: Loss | NestedLoss, params: HashingParameters, *, distilled: bool
) -> list[dict[str, Any]]:
    """What is trained: the head and what the loss brought, then the trunk, which may have something to lose.

    Adam and its kind move every weight by about the rate, however little the gradient means. As long as the
    head is random, that is noise to the trunk, and a few dozen such steps undo step 1.

    Args:
        distilled: whether step 1 has trained the trunk. Published weights gain nothing from this (measured).
    """
    head = {"params": [*net.head.parameters(), *loss.parameters()], "lr_scale": params.head_lr_scale}
    return [
        head,
        {"params": list(net.trunk.parameters()), "warmup": params.trunk_warmup if distilled else 0.0},
    ]
