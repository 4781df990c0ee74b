"""Stage ``features``: what one teacher says of one view of every pool image. Asked once, without labels."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import CellError
from bench.planning.stage import Stage
from bench.stages.context import Context
from bench.stages.embedding import embedded
from bench.stages.memory import Needs
from bench.storage.growing_rows import GrowingRows
from bench.training import views
from bench.training.loop import seeded
from bench.training.micro_batches import Forward
from bench.types import ImageSet, Preprocessing
from bench.types.sizes import ImageSize, sides
from models.layers.folding import folded

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 4

#: Views are shared by all training seeds, so that all of them can use the cached features.
VIEW_SEED = 0
#: Name of the tensor and of its file.
FEATURES, FEATURES_FILE = "features", "features.safetensors"
#: What is kept from one stage to the next: the teacher, which mostly has several views to see.
TEACHER = "teacher"


def crops(images: ImageSet, view: int | None) -> NDArray[np.float64]:
    """The crops of a view, the same for teacher and student; None is the evaluation view."""
    if view is None:
        return views.centre_crops(images)
    return views.random_crops(images, views.DISTILL_STREAM, VIEW_SEED, view)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write ``features.safetensors``: ``features`` float16 (pool, d), rows in the order of ``pool``.

    What an interrupted run has done is not done again.
    """
    spec, pool = stage.spec, context.pool(stage)
    asked = {name: spec[name] for name in ("teacher", "output", "image_size")}
    key = asked, spec["precision"]
    teacher = context.kept(TEACHER, key, lambda: FrozenTeacher(asked, spec["precision"], context))
    rows = GrowingRows(context.partial(stage), FEATURES, len(pool.indices), context.hardware)
    before = rows.done
    inputs = views.batches(
        context.source(pool.images),
        pool.indices[before:],
        crops(pool.images, spec["view"]),
        teacher.preprocessing,
        teacher.image_size,
    )
    context.advance(before, rows.seconds_before)
    for outputs in embedded(teacher.net, inputs, context, spec["precision"]):
        rows.append(_halved(outputs, spec["teacher"]["name"]).numpy())
    rows.finish(folder / FEATURES_FILE)
    found = {"teacher_queries": len(pool.indices), "width": rows.width, "image_size": teacher.image_size}
    resumed = {"resumed_at": before, "seconds_before": rows.seconds_before} if before else {}
    return {**found, **resumed}


def memory(stage: Stage, needs: Needs) -> float:
    """The teacher."""
    return needs.asked("teacher", stage.spec["teacher"], stage.spec["image_size"])


def _halved(outputs: Tensor, teacher: str) -> Tensor:
    """Float16, where that can hold them."""
    if not outputs.isfinite().all():
        raise CellError(f"outputs of {teacher} are not finite; check its weights and its image size")
    halved = outputs.to(torch.float16)
    if not halved.isfinite().all():
        largest = f"{float(outputs.abs().max()):.3g}"
        cure = "ask it with views: online where the method can, or take other weights"
        raise CellError(f"outputs of {teacher} reach {largest}, and float16 ends at 65504; {cure}")
    return halved


class FrozenTeacher:
    """A teacher as it was pretrained, in eval mode on the device.

    Args:
        spec: ``teacher`` block, ``output`` ("features" or "logits") and ``image_size`` (None = its own).
    """

    def __init__(self, spec: Mapping[str, Any], precision: str, context: Context) -> None:
        plugin: Any = context.teacher(spec["teacher"])
        self.preprocessing: Preprocessing = plugin.preprocessing
        self.image_size: ImageSize = spec["image_size"] or plugin.preprocessing.image_size
        # Seeded for teachers without weights; others load what they start from.
        with seeded(0, context.device):
            net = plugin.build_classifier() if spec["output"] == "logits" else plugin.build()
        self.net: nn.Module = context.place(folded(net.eval())).requires_grad_(False)
        self.forward, self._device = Forward(self.net, lambda: context.autocast(precision)), context.device

    @functools.cached_property
    def width(self) -> int:
        """Of its outputs."""
        return self.outputs(torch.zeros(1, 3, *sides(self.image_size), device=self._device)).shape[1]

    def outputs(self, inputs: Tensor) -> Tensor:
        """Of images that are rendered for it: float32 (n, width) on the device."""
        return self.forward(inputs)

    def asked(self, pixels: Tensor, crops: NDArray[np.float64]) -> Tensor:
        """What it says of views of ``pixels``, see ``views.render``."""
        return self.outputs(views.render(pixels, crops, self.preprocessing, self.image_size))
