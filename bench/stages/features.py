"""Stage ``features``: what one teacher says of one view of every pool image. Asked once, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench.errors import CellError
from bench.loading import LoadedDataset
from bench.stage import Stage
from bench.stages import views
from bench.stages.context import Context
from bench.stages.training import seeded

#: Views are shared by all training seeds, so that all of them can use the cached features.
VIEW_SEED = 0
#: Draws the fraction of a pool.
POOL_SEED = 0


def pool(dataset: LoadedDataset, part: str, fraction: float) -> NDArray[np.int64]:
    """Indices that step 1 may look at, sorted: never a query, never a validation image.

    A fraction is drawn once, the same for all seeds, and smaller ones lie inside larger ones.

    Raises:
        CellError: there is none.
    """
    splits = dataset.splits
    if part == "train":
        whole = splits.train
    else:
        seen = np.union1d(splits.database, splits.train)
        whole = np.setdiff1d(seen, np.concatenate([splits.val, splits.query]))
    order = np.random.default_rng(POOL_SEED).permutation(whole)
    chosen = np.sort(order[: max(1, round(fraction * len(whole)))])
    if not len(chosen):
        raise CellError(f"{splits.protocol} has no images in pool '{part}'; name the set's training images")
    return chosen


def crops(dataset: LoadedDataset, view: int | None) -> NDArray[np.float64]:
    """The crops of a view, the same for teacher and student; None is the evaluation view."""
    if view is None:
        return views.centre_crops(dataset.images)
    return views.random_crops(dataset.images, views.DISTILL_STREAM, VIEW_SEED, view)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write ``features.safetensors``: ``features`` float16 (pool, d), rows in the order of ``pool``."""
    spec = stage.spec
    dataset = context.dataset(spec["dataset"])
    teacher: Any = context.teacher(spec["teacher"])
    image_size = spec["image_size"] or teacher.preprocessing.image_size
    indices = pool(dataset, spec["pool"], spec["pool_fraction"])
    inputs = views.batches(
        dataset.images,
        indices,
        crops(dataset, spec["view"]),
        teacher.preprocessing,
        image_size,
        context.device,
    )
    # Seeded for teachers without weights; others load what they start from.
    with seeded(0, context.device):
        net = context.place(teacher.build_classifier() if spec["output"] == "logits" else teacher.build())
    features = views.embed(net, inputs, context, spec["precision"])
    save_file({"features": features.to(torch.float16)}, folder / "features.safetensors")
    return {"teacher_queries": len(indices), "width": features.shape[1], "image_size": image_size}
