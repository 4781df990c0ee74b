"""PCA whitening of descriptors, learnt once and then frozen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: Eigenvalues below this share of the largest are raised to it.
FLOOR = 1e-5


@dataclass(frozen=True)
class Whitening:
    """W(f) = L^(-1/2) V^T (f / |f| - mean).

    Attributes:
        mean: float (d,).
        projection: float (d, width), V L^(-1/2).
    """

    mean: Tensor
    projection: Tensor

    @classmethod
    def learn(cls, features: Tensor, width: int) -> Whitening:
        """Learn from float (n, d) features, keeping the ``width`` directions of largest variance.

        Source: "Let All be Whitened: Multi-teacher Distillation for Efficient Visual Retrieval", arXiv
        2312.09716.
        """
        unit = F.normalize(features.double(), dim=1)
        mean = unit.mean(dim=0)
        centred = unit - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(unit))
        values, vectors = values.flip(0)[:width], vectors.flip(1)[:, :width]
        projection = vectors * values.clamp(min=FLOOR * float(values[0])).rsqrt()
        return cls(mean.float(), projection.float())

    def __call__(self, features: Tensor) -> Tensor:
        """Float (n, d) -> float (n, width); the argument stays as it is."""
        unit = F.normalize(features, dim=1)
        return (unit - self.mean.to(unit)) @ self.projection.to(unit)
