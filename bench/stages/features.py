"""Stage ``features``: what one teacher says about one view of every pool image. Computed once, no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench.loading import LoadedDataset
from bench.stage import Stage
from bench.stages import views
from bench.stages.context import Context
from bench.stages.training import seeded

#: Views are shared by all training seeds, so that all of them can use the cached features.
VIEW_SEED = 0


def pool(dataset: LoadedDataset, part: str) -> NDArray[np.int64]:
    """Indices that step 1 may look at: never a query, never a validation image."""
    splits = dataset.splits
    if part == "train":
        return splits.train
    return np.setdiff1d(splits.database, np.concatenate([splits.val, splits.query]))


def crops(dataset: LoadedDataset, view: int) -> NDArray[np.float64]:
    """The crops of a view, the same for teacher and student."""
    return views.random_crops(dataset.images, views.DISTILL_STREAM, VIEW_SEED, view)


def run(stage: Stage, context: Context, folder: Path) -> dict[str, Any]:
    """Write ``features.safetensors``: ``features`` float16 (pool, d), rows in the order of ``pool``."""
    spec = stage.spec
    dataset = context.dataset(spec["dataset"])
    teacher = context.teacher(spec["teacher"])
    image_size = spec["image_size"] or teacher.preprocessing.image_size
    indices = pool(dataset, spec["pool"])
    inputs = views.batches(
        dataset.images,
        indices,
        crops(dataset, spec["view"]),
        teacher.preprocessing,
        image_size,
        context.device,
    )
    # Seeded for teachers with weights: none; others load what they start from.
    with seeded(0, context.device):
        net = context.place(teacher.build())
    features = views.embed(net, inputs, context, spec["precision"])
    save_file({"features": features.to(torch.float16)}, folder / "features.safetensors")
    return {"images": len(indices), "width": features.shape[1], "image_size": image_size}
