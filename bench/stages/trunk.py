"""Stage ``trunk``: features of a frozen trunk, of every image once, for whatever is put behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn

from bench.errors import CellError
from bench.planning.stage import TRUNK, Stage
from bench.stages import networks
from bench.stages.context import Context
from bench.stages.embedding import embed, embedded
from bench.stages.memory import FLOAT, Needs
from bench.storage.growing_rows import GrowingRows
from bench.training import views
from bench.training.loop import seeded
from models.layers.folding import folded

#: Raised by one when the stage behaves differently, so that old artifacts are not reused.
VERSION = 1

#: Names of tensors and of their files.
FEATURES, FEATURES_FILE = "features", "features.safetensors"
IMAGES, IMAGES_FILE = "images", "images.safetensors"


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write ``features`` float32 (n, width), and ``images`` int64 (n,): their places in the data set.

    They are those of all parts in the evaluation view, as the student says them in eval mode after step 1, or
    as it was built. What an interrupted run has done is not done again.

    Raises:
        CellError: they are not finite, unless a trial's own step 1 has led there: that is found by the trial.
    """
    spec, dataset = stage.spec, context.dataset(stage.spec["dataset"])
    splits = dataset.splits
    indices = np.unique(np.concatenate([splits.query, splits.database, splits.train, splits.val]))
    student = context.student(spec["student"])
    net = folded(context.place(frozen(stage, context)[0]).eval())
    step_1 = networks.taken_up(stage)
    tried = step_1 is not None and "trial" in step_1.spec
    rows = GrowingRows(context.partial(stage), FEATURES, len(indices), context.hardware, np.float32)
    before = rows.done
    inputs = views.batches(
        context.source(dataset.images),
        indices[before:],
        views.centre_crops(dataset.images),
        student.preprocessing,
        spec["image_size"],
    )
    context.advance(before, rows.seconds_before)
    for outputs in embedded(net, inputs, context, spec["precision"]):
        if not (tried or outputs.isfinite().all()):
            name = spec["student"]["name"]
            cure = "lower lr of step 1" if stage.inputs else "check its weights and its image size"
            raise CellError(f"features of {name} are not finite; {cure}")
        rows.append(outputs.numpy())
    rows.finish(folder / FEATURES_FILE)
    save_file({IMAGES: indices}, folder / IMAGES_FILE)
    resumed = {"resumed_at": before, "seconds_before": rows.seconds_before} if before else {}
    return {"distinct_images": len(indices), "width": rows.width, **resumed}


def memory(stage: Stage, needs: Needs) -> float:
    """The student that is asked; its features go to the disk."""
    return needs.asked("student", stage.spec["student"], stage.spec["image_size"])


def frozen(stage: Stage, context: Context) -> tuple[nn.Module, int]:
    """The trunk whose features a ``trunk`` stage has, and their width."""
    spec = stage.spec
    # Only weights that nothing has trained or published depend on the seed.
    with seeded(spec.get("seed", 0), context.device):
        return networks.distilled(
            context.student(spec["student"]), spec["image_size"], networks.taken_up(stage), context
        )


class Features:
    """What a frozen trunk has said of the images of a data set, in the evaluation view."""

    def __init__(self, trunk: Stage, context: Context) -> None:
        self._features = context.tensors(trunk, FEATURES_FILE)[FEATURES]
        self._images = context.tensors(trunk, IMAGES_FILE)[IMAGES].numpy()
        self._context = context

    def of(self, indices: NDArray[np.int64]) -> Tensor:
        """Those of images by their places in the data set: float32 (n, width) on the CPU."""
        return self._features[torch.from_numpy(np.searchsorted(self._images, indices))]

    def outputs(self, head: nn.Module, indices: NDArray[np.int64], spec: Any, context: Context) -> Tensor:
        """What a hash head makes of them: float32 (n, bits) on the CPU, as the whole network would."""
        size = views.evaluation_batch(spec["image_size"])

        def batches() -> Iterator[Tensor]:
            for start in range(0, len(indices), size):
                yield self.of(indices[start : start + size]).to(context.device)

        return embed(head, batches(), context, spec["precision"])


def features_for(stage: Stage, context: Context) -> Features | None:
    """Features that ``stage`` is to use in place of images; None where it has none."""
    trunk = stage.inputs.get(TRUNK)
    return Features(trunk, context) if trunk else None


def held(stage: Stage, needs: Needs, images: float) -> float:
    """Bytes of the features of so many images."""
    return FLOAT * needs.width(stage.spec) * images
