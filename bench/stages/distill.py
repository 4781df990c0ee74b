"""Stage ``distill`` (step 1): the student learns from cached features of frozen teachers, no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.registry import METHODS
from bench.stage import Stage
from bench.stages import features, views
from bench.stages.context import Context
from bench.stages.training import fit, seeded
from bench.types import DistillationParameters


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write ``student.safetensors``: the trunk's state dict, no projection, no head.

    Epoch e shows every image in view e modulo the number of views.
    """
    spec, image_size = stage.spec, stage.spec["image_size"]
    plugin = METHODS.get(spec["method"]["name"])
    params = plugin.Params.of(spec["method"]["params"])
    assert isinstance(params, DistillationParameters)
    method = plugin(params)
    dataset = context.dataset(spec["dataset"])
    indices = features.pool(dataset, params.pool)
    student = context.student(spec["student"])
    targets = _targets(stage, context)
    crops = [features.crops(dataset, view) for view in range(len(targets[0]))]

    with seeded(spec["seed"], context.device):
        trunk = student.build()
        projection = _projection(student.feature_dim(image_size), targets, plugin.same_width)
    net = context.place(nn.Sequential(trunk, projection)).train()

    def step(epoch: int, positions: NDArray[np.int64]) -> dict[str, Tensor]:
        view, chosen = epoch % len(crops), indices[positions]
        pixels = torch.from_numpy(dataset.images.pixels[chosen]).to(context.device)
        inputs = views.render(pixels, crops[view][chosen], student.preprocessing, image_size)
        with context.autocast(spec["precision"]):
            output = net(inputs).float()
        wanted = [teacher[view][positions].to(context.device).float() for teacher in targets]
        context.advance(len(chosen))
        return method.terms(output, wanted)

    history = fit(net.parameters(), params, len(indices), spec["seed"], step)
    save_file(
        {name: tensor.contiguous() for name, tensor in trunk.state_dict().items()},
        folder / "student.safetensors",
    )
    return {"history": history, "images": len(indices), "projection": not isinstance(projection, nn.Identity)}


def _targets(stage: Stage, context: Context) -> list[list[Tensor]]:
    """Per teacher, per view: float16 (pool, d)."""
    targets: dict[str, list[Tensor]] = {}
    for role, features_stage in stage.inputs.items():
        teacher = role.partition("/")[0]
        tensor = context.tensors(features_stage, "features.safetensors")["features"]
        targets.setdefault(teacher, []).append(tensor)
    return list(targets.values())


def _projection(width: int, targets: list[list[Tensor]], same_width: bool) -> nn.Module:
    """Linear map to the teacher's width where a method compares features one by one; dropped afterwards."""
    wanted = targets[0][0].shape[1]
    return nn.Linear(width, wanted) if same_width and width != wanted else nn.Identity()
