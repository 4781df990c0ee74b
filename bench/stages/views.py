"""Views of images: the same crop and flip for every network, whatever size and normalisation it wants.

A view is drawn from a counter-based generator keyed by (stream, seed, view) and read at the image's index.
Teacher and student therefore see one and the same crop without any pixels being stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.types import Augmentation, ImageSet, Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from bench.stages.context import Context

#: Streams of random numbers that must never meet.
DISTILL_STREAM, FINETUNE_STREAM, STUDENT_STREAM = 1, 2, 3

#: Images per batch when nothing is trained: large enough to keep two cores busy, small enough for any memory.
EVALUATION_BATCH = 128


def random_crops(images: ImageSet, stream: int, seed: int, view: int) -> NDArray[np.float64]:
    """Crops of all images in one view: float64 (n, 4) of left, top, side (relative), and flip (0 or 1)."""
    generator = np.random.Generator(np.random.Philox(key=[(stream << 32) + seed, view]))
    draws = generator.random((len(images), 3))
    augmentation: Augmentation = images.augmentation
    corners = draws[:, :2] * (1 - augmentation.crop + 2 * augmentation.shift) - augmentation.shift
    flips = (draws[:, 2] < 0.5) & augmentation.flip
    return np.column_stack([corners, np.full(len(images), augmentation.crop), flips])


def centre_crops(images: ImageSet) -> NDArray[np.float64]:
    """The view for evaluation; same form as ``random_crops``."""
    side = images.augmentation.evaluation_crop
    return np.tile([(1 - side) / 2, (1 - side) / 2, side, 0.0], (len(images), 1))


def render(
    pixels: Tensor, crops: NDArray[np.float64], preprocessing: Preprocessing, image_size: int
) -> Tensor:
    """Cut, resize and normalise a batch on the device of ``pixels``.

    Args:
        pixels: uint8 (n, 1 or 3, h, w).
        crops: float64 (n, 4), see ``random_crops``.
        preprocessing: what the network expects.
        image_size: side of the square result in pixels.

    Returns:
        float32 (n, 3, image_size, image_size), channels last in memory.
    """
    batch = pixels.float()
    mode = preprocessing.interpolation
    # Sampling a grid skips pixels when it shrinks an image: shrink with a low-pass filter first.
    needed = round(image_size / float(crops[:, 2].min()))
    if max(batch.shape[-2:]) > needed:
        batch = F.interpolate(batch, (needed, needed), mode=mode, antialias=mode != "nearest")
    left, top, side, flip = torch.from_numpy(crops).to(batch).unbind(1)
    zero = torch.zeros_like(left)
    rows = torch.stack(
        [
            torch.stack([side * (1 - 2 * flip), zero, 2 * left + side - 1]),
            torch.stack([zero, side, 2 * top + side - 1]),
        ]
    )
    grid = F.affine_grid(rows.permute(2, 0, 1), [len(batch), 3, image_size, image_size], align_corners=False)
    batch = F.grid_sample(batch, grid, mode=mode, padding_mode="border", align_corners=False)
    # Bicubic interpolation overshoots; no camera gives such values.
    batch = batch.clamp(0, 255).expand(-1, 3, -1, -1) / 255
    mean, std = (
        torch.tensor(values).to(batch).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std)
    )
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def batches(
    images: ImageSet,
    indices: NDArray[np.int64],
    crops: NDArray[np.float64],
    preprocessing: Preprocessing,
    image_size: int,
    device: torch.device,
    batch_size: int = EVALUATION_BATCH,
) -> Iterator[Tensor]:
    """Rendered batches of ``indices`` in the order given."""
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        pixels = torch.from_numpy(images.pixels[chosen]).to(device)
        yield render(pixels, crops[chosen], preprocessing, image_size)


@torch.inference_mode()
def embed(
    net: nn.Module,
    inputs: Iterator[Tensor],
    context: Context,
    precision: str,
) -> Tensor:
    """Outputs of ``net`` in eval mode for all batches: float32 (n, d) on the CPU."""
    net.eval()
    outputs = []
    for batch in inputs:
        with context.autocast(precision):
            outputs.append(net(batch).float().cpu())
        context.advance(len(batch))
    return torch.cat(outputs)
