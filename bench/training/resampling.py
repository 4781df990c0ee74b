"""Cut, mirror and resize every image of a batch in its own way, as two products of small matrices.

Crops along the axes are separable: a matrix of weights for the rows and one for the columns do what sampling
a grid of points does, whose gathers are many times slower on a CPU, and exactly that up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.types import Border, Interpolation

#: Of the cubic kernel; torch, timm and PIL's resizing differ in it, and this is torch's.
CUBIC = -0.75


def crop_and_resize(
    images: Tensor, left: Tensor, top: Tensor, side: Tensor, flip: Tensor, size: tuple[int, int],
    mode: Interpolation, border: Border = "repeat",
) -> Tensor:  # fmt: skip
    """Float (n, c, h, w) -> float (n, c, *size).

    Args:
        left, top, side: float (n,), place and side of what is cut, relative to the image: to its
            width across, to its height down.
        flip: float (n,), 1 where the result is mirrored.
        border: what it shows outside of the image: the border again, or black (0).
    """
    height, width = images.shape[-2:]
    rows = weights(top, side, torch.zeros_like(flip), size[0], height, mode, border)
    columns = weights(left, side, flip, size[1], width, mode, border)
    return rows[:, None] @ images @ columns[:, None].transpose(-1, -2)


def weights(
    start: Tensor, side: Tensor, flip: Tensor, size: int, pixels: int, mode: Interpolation,
    border: Border = "repeat",
) -> Tensor:  # fmt: skip
    """What every pixel of an axis contributes to a piece of it: (n,) each -> (n, size, pixels)."""
    steps = (torch.arange(size, device=start.device, dtype=start.dtype) + 0.5) / size
    steps = torch.where(flip[:, None] > 0, 1 - steps, steps)
    places = (start[:, None] + side[:, None] * steps) * pixels - 0.5
    # Beyond the border all that a kernel reaches is outside.
    places = places.clamp(-1, pixels)
    taps = torch.arange(-2, pixels + 2, device=places.device, dtype=places.dtype)
    drawn = _KERNELS[mode](places[..., None], taps)
    if border == "repeat":
        drawn[..., 2] += drawn[..., :2].sum(dim=-1)
        drawn[..., -3] += drawn[..., -2:].sum(dim=-1)
    return drawn[..., 2:-2]


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
