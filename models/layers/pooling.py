"""Pooling of the last map to one vector."""

from __future__ import annotations

from torch import Tensor, nn


class GeM(nn.Module):
    """Generalised mean over positions: float (n, c, h, w) -> float (n, c, 1, 1).

    Source: Radenovic et al., Fine-tuning CNN Image Retrieval with No Human Annotation, arXiv 1711.02512.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(mean max(x, 1e-6)^p)^(1/p)."""
        return x.clamp(min=1e-6).pow(self.p).mean(dim=(2, 3), keepdim=True).pow(1 / self.p)

    def extra_repr(self) -> str:
        """The exponent."""
        return f"p={self.p:g}"
