"""Cut, mirror and resize every image of a batch in its own way, as two products of small matrices.

Crops along the axes are separable: a matrix of weights for the rows and one for the columns do what sampling
a grid of points does, whose gathers are many times slower on a CPU, and exactly that up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.types import Interpolation

#: Of the cubic kernel; torch, timm and PIL's resizing differ in it, and this is torch's.
CUBIC = -0.75


def crop_and_resize(
    images: Tensor, left: Tensor, top: Tensor, side: Tensor, flip: Tensor, size: int, mode: Interpolation
) -> Tensor:
    """Float (n, c, h, w) -> float (n, c, size, size).

    Args:
        left, top, side: float (n,), place and side of the square to cut, relative to the image; where it
            lies outside, the border is repeated.
        flip: float (n,), 1 where the result is mirrored.
    """
    height, width = images.shape[-2:]
    steps = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size
    across = torch.where(flip[:, None] > 0, 1 - steps, steps)
    rows = _weights((top[:, None] + side[:, None] * steps) * height - 0.5, height, mode)
    columns = _weights((left[:, None] + side[:, None] * across) * width - 0.5, width, mode)
    return rows[:, None] @ images @ columns[:, None].transpose(-1, -2)


def _weights(places: Tensor, pixels: int, mode: Interpolation) -> Tensor:
    """What every pixel of an axis contributes: places (n, size) between pixels -> (n, size, pixels)."""
    # Beyond the border all that a kernel reaches is the border.
    places = places.clamp(-1, pixels)
    taps = torch.arange(-2, pixels + 2, device=places.device, dtype=places.dtype)
    weights = _KERNELS[mode](places[..., None], taps)
    weights[..., 2] += weights[..., :2].sum(dim=-1)
    weights[..., -3] += weights[..., -2:].sum(dim=-1)
    return weights[..., 2:-2]


def _nearest(places: Tensor, taps: Tensor) -> Tensor:
    return (places.round() == taps).to(places.dtype)


def _linear(places: Tensor, taps: Tensor) -> Tensor:
    return (1 - (places - taps).abs()).clamp(min=0)


def _cubic(places: Tensor, taps: Tensor) -> Tensor:
    """R. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    x = (places - taps).abs()
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


_KERNELS: dict[Interpolation, Callable[[Tensor, Tensor], Tensor]] = {
    "nearest": _nearest,
    "bilinear": _linear,
    "bicubic": _cubic,
}
