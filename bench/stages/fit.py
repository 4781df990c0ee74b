"""Stage ``fit`` (step 2 without training): a hash head or codebook for features of a frozen trunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.data import pools
from bench.errors import CellError
from bench.planning.stage import TRUNK, Stage
from bench.registry import LOSSES
from bench.stages import compressing, networks, trunk
from bench.stages.context import Context
from bench.stages.memory import Needs
from bench.types import FittingParameters, HashingTask
from models.layers.heads import hash_network

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Fit to the images of the pool, of which none is a query.

    What is left is a network like any other, or a trunk with a codebook for its features.
    """
    spec, source = stage.spec, stage.inputs[TRUNK]
    dataset, plugin = context.dataset(spec["dataset"]), LOSSES.get(spec["loss"]["name"])
    params = plugin.Params.of(spec["loss"]["params"])
    assert isinstance(params, FittingParameters)
    # Nothing is chosen by validation, so nothing needs to be held out.
    pool = pools.drawn(dataset.splits, params.pool, 1.0, "if_chosen")
    if not len(pool):
        raise CellError(f"{dataset.splits.protocol} has no images in pool '{params.pool}' to fit codes to")
    net, width = trunk.frozen(source, context)
    stored = compressing.stored_bits(stage)
    bits = stored or spec["bits"]
    if refusal := plugin.check_width(bits, width):
        raise CellError(f"{spec['loss']['name']} {refusal}")
    task = HashingTask(bits, dataset.images.classes, len(pool), spec.get("seed", 0))
    loss: Any = plugin(params, task)
    features = trunk.Features(source, context).of(pool)
    if stored:
        found = compressing.write(loss, net, features, folder)
    else:
        found = {}
        weight, bias = loss.fit(features.numpy())
        network = _headed(net, torch.from_numpy(weight), torch.from_numpy(bias))
        networks.save(network, folder / networks.NETWORK)
    networks.save_architecture(networks.architecture(networks.taken_up(stage), context), folder)
    return {"images": len(pool), **found, **loss.summary()}


def memory(stage: Stage, needs: Needs) -> float:
    """Features of all images, and the products of each two of their numbers in double precision, twice."""
    images = stage.inputs[TRUNK].images
    return trunk.held(stage, needs, images) + 16.0 * needs.width(stage.spec) ** 2


def _headed(net: nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    network = hash_network(net, weight.shape[1], weight.shape[0])
    head = network.get_submodule("head")
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return network
