"""What losses that pull codes to fixed centers share: the center of an image, and bits that say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def majority(labels: Tensor, centers: Tensor, tie_break: Tensor) -> Tensor:
    """Center of each image: bit by bit what most of the centers of its labels say.

    Args:
        labels: float (n, classes) 0/1; sets dtype and device of the result.
        centers: float (classes, bits) of +-1, one per class.
        tie_break: float (bits,) of +-1, taken where the labels disagree evenly, and without any label.

    Returns:
        float (n, bits) of +-1.
    """
    votes = labels @ centers.to(labels)
    return (votes + 0.5 * tie_break.to(labels) * (votes == 0)).sign()


def constant_bits(centers: Tensor) -> int:
    """Number of bits on which all ``centers``, float (classes, bits), agree: they separate no classes."""
    return int((centers == centers[:1]).all(dim=0).sum())
