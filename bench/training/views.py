"""Views of images: the same crop, flip and erased box for every network, whatever size it wants.

A view is drawn from a counter-based generator keyed by (stream, seed, view) and read at the image's index.
Teacher and student therefore see one and the same crop without any pixels being stored.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.training.inputs import PixelSource, every
from bench.training.resampling import crop_and_resize
from bench.types import Augmentation, ImageSet, Preprocessing
from bench.types.sizes import ImageSize, area, sides

#: Streams of random numbers that must never meet.
DISTILL_STREAM, FINETUNE_STREAM, STUDENT_STREAM, STRONG_STREAM = 1, 2, 3, 4

#: Least and largest area of a strong view, relative to the ordinary one that it is a part of.
STRONG_AREA = (0.25, 1.0)

#: Least and largest area of an erased box, relative to the image, and width over height.
ERASED_AREA, ERASED_ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)
#: How often a box that leaves the image is drawn again, as in the public code; hardly any is left before.
ERASED_TRIES = 100

#: Pixels per batch when nothing is trained, and the most images: enough to keep a device busy, and little
#: enough for any memory and for the caches of a CPU.
EVALUATION_PIXELS, EVALUATION_BATCH = 64 * 224**2, 256


def random_crops(images: ImageSet, stream: int, seed: int, view: int) -> NDArray[np.float64]:
    """One view of all images: float64 (n, 4) of left, top, side (relative), and flip (0 or 1).

    Where the data set erases boxes, four more columns hold left, top, right and bottom of the box, relative
    to the cut image; a box of no size erases nothing. Where it is black around images, one more holds 1.
    """
    generator = np.random.Generator(np.random.Philox(key=[(stream << 32) + seed, view]))
    draws = generator.random((len(images), 3))
    augmentation: Augmentation = images.augmentation
    shift = np.asarray(augmentation.shift)
    corners = draws[:, :2] * (1 - augmentation.crop + 2 * shift) - shift
    flips = (draws[:, 2] < 0.5) & augmentation.flip
    crops = np.column_stack([corners, np.full(len(images), augmentation.crop), flips])
    if augmentation.erase:
        height, width = images.pixels.shape[-2:]
        boxes = _boxes(augmentation, generator, len(images), width / height)
        crops = np.column_stack([crops, boxes])
    if augmentation.border == "black":
        boxes = np.zeros((len(images), 0 if augmentation.erase else 4))
        crops = np.column_stack([crops, boxes, np.ones(len(images))])
    return crops


def strong_crops(images: ImageSet, stream: int, seed: int, view: int) -> NDArray[np.float64]:
    """One view of all images that keeps less of them: squares at random places in those of ``random_crops``.

    Of the same form; areas are spread evenly over ``STRONG_AREA``, and pieces are shown as large as wholes.
    """
    crops = random_crops(images, stream, seed, view)
    generator = np.random.Generator(np.random.Philox(key=[(STRONG_STREAM << 32) + seed, view]))
    area, *place = generator.random((3, len(images)))
    share = np.sqrt(_between(STRONG_AREA, area))[:, None]
    crops[:, :2] += crops[:, 2:3] * (1 - share) * np.column_stack(place)
    crops[:, 2:3] *= share
    return crops


def _boxes(
    augmentation: Augmentation, generator: np.random.Generator, count: int, image_aspect: float
) -> NDArray[np.float64]:
    """Boxes of random erasing (Z. Zhong et al., arXiv 1708.04896) with its published sizes: (n, 4).

    Args:
        image_aspect: width over height of the images, in whose pixels boxes have their shapes.
    """
    share = augmentation.erase
    chance, area, aspect, across, down = generator.random((count, 5)).T
    if augmentation.erased_shape == "uniform":
        width, height = _inside(area, aspect, image_aspect, generator)
    else:
        area = _between(ERASED_AREA, area)
        aspect = np.exp(_between(np.log(ERASED_ASPECT), aspect)) / image_aspect
        width, height = (np.minimum(np.sqrt(side), 1) for side in (area * aspect, area / aspect))
    left, top = across * (1 - width), down * (1 - height)
    boxes = np.column_stack([left, top, left + width, top + height])
    return np.where((chance < share)[:, None], boxes, 0.0)


def _inside(
    area: NDArray[np.float64],
    aspect: NDArray[np.float64],
    image_aspect: float,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Widths and heights for random numbers of areas and shapes, drawn again where they do not fit."""
    for _ in range(ERASED_TRIES):
        sizes, shapes = _between(ERASED_AREA, area), _between(ERASED_ASPECT, aspect) * image_aspect
        width, height = np.sqrt(sizes / shapes), np.sqrt(sizes * shapes)
        large = np.flatnonzero((width >= 1) | (height >= 1))
        if not len(large):
            break
        area, aspect = area.copy(), aspect.copy()
        area[large], aspect[large] = generator.random((2, len(large)))
    return width, height


def _between(bounds: Any, share: NDArray[np.float64]) -> NDArray[np.float64]:
    least, most = bounds
    return np.asarray(least + share * (most - least))


def centre_crops(images: ImageSet) -> NDArray[np.float64]:
    """The view for evaluation; same form as ``random_crops``."""
    side = images.augmentation.evaluation_crop
    return np.tile([(1 - side) / 2, (1 - side) / 2, side, 0.0], (len(images), 1))


def render(
    pixels: Tensor, crops: NDArray[np.float64], preprocessing: Preprocessing, image_size: ImageSize
) -> Tensor:
    """Cut, resize and normalise a batch on the device of ``pixels``.

    Args:
        pixels: uint8 (n, 1 or 3, h, w).
        crops: see ``random_crops``.
        preprocessing: what the network expects.
        image_size: of the result.

    Returns:
        float32 (n, 3, height, width), channels last in memory.
    """
    batch = pixels.float()
    mode = preprocessing.interpolation
    # Resampling skips pixels when it shrinks an image: shrink with a low-pass filter first.
    size, least = sides(image_size), float(crops[:, 2].min())
    needed = round(size[0] / least), round(size[1] / least)
    if batch.shape[-2] > needed[0] or batch.shape[-1] > needed[1]:
        batch = F.interpolate(batch, needed, mode=mode, antialias=mode != "nearest")
    drawn = torch.from_numpy(crops).to(batch)
    left, top, side, flip = drawn[:, :4].unbind(1)
    black = drawn.shape[1] > 8
    batch = crop_and_resize(batch, left, top, side, flip, size, mode, "black" if black else "repeat")
    # Bicubic interpolation overshoots; no camera gives such values.
    batch = _normalized(batch.clamp_(0, 255), preprocessing)
    return _erased(batch, drawn[:, 4:8]) if drawn.shape[1] > 4 else batch


def _normalized(batch: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Bytes as a network expects them: float (n, 1 or 3, h, w) -> float (n, 3, h, w), channels last."""
    scale, shift = _normalization(preprocessing, batch.device)
    shape = len(batch), 3, *batch.shape[2:]
    out = torch.empty(shape, device=batch.device, memory_format=torch.channels_last)
    # One pass over memory: on a CPU, a pass for every operation takes longer than the resizing.
    torch.addcmul(shift, batch, scale, out=out)
    return out


@functools.lru_cache(maxsize=8)
def _normalization(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """What bytes are multiplied with and what is added, float32 (1, 3, 1, 1) each, kept on the device."""
    values = preprocessing.mean, preprocessing.std
    mean, std = torch.tensor(values, dtype=torch.float64, device=device).view(2, 1, 3, 1, 1)
    return (1 / (255 * std)).float(), (-mean / std).float()


def _erased(batch: Tensor, boxes: Tensor) -> Tensor:
    """``batch`` itself with the mean colour, 0 after normalisation, inside ``boxes`` (n, 4)."""
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    down, across = (
        (centres >= first) & (centres < last)
        for centres, first, last in zip(
            (_centres(side, batch) for side in batch.shape[-2:]), (top, left), (bottom, right), strict=True
        )
    )
    return batch.masked_fill_((down[:, :, None] & across[:, None, :])[:, None], 0.0)


def _centres(side: int, like: Tensor) -> Tensor:
    """Of the pixels of an axis, relative to it: (side,)."""
    return (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side


def batches(
    source: PixelSource,
    indices: NDArray[np.int64],
    crops: NDArray[np.float64],
    preprocessing: Preprocessing,
    image_size: ImageSize,
    batch_size: int | None = None,
) -> Iterator[Tensor]:
    """Rendered batches of ``indices`` in the order given; None = as many images as suit their size."""
    batch_size = batch_size or evaluation_batch(image_size)
    for chosen, pixels in source.stream(every(indices, batch_size), lambda tag, rows: crops[rows]):
        yield render(pixels, crops[chosen], preprocessing, image_size)


def evaluation_batch(image_size: ImageSize) -> int:
    """Images of a batch when nothing is trained."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // area(image_size)))
