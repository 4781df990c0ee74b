"""Images that are not square, inside networks that are given squares."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Narrowed(nn.Module):
    """Gives squeezed images their shape back: float (n, c, s, s) -> (n, c, h, w), the longer side being s.

    Args:
        aspect: w / h.
    """

    def __init__(self, aspect: float) -> None:
        super().__init__()
        self.factors = min(1.0, 1 / aspect), min(1.0, aspect)

    def forward(self, images: Tensor) -> Tensor:
        """Bilinear; at a half, the mean of two pixels."""
        return F.interpolate(images, scale_factor=self.factors, mode="bilinear", align_corners=False)

    def extra_repr(self) -> str:
        """What is left of height and width."""
        return f"height={self.factors[0]:g}, width={self.factors[1]:g}"
