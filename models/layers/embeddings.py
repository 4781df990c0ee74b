"""Layers behind a trunk that map its feature to an embedding."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F


class Normalize(nn.Module):
    """Vectors of length 1: float (n, d) -> float (n, d)."""

    def forward(self, x: Tensor) -> Tensor:
        """Zero stays zero."""
        return F.normalize(x, dim=1)


class Projection(nn.Linear):
    """Learnt layer of a descriptor that has length 1 before and behind it: float (n, d) -> float (n, width).

    Source: the GeM and AP-GeM networks of Radenovic et al. (arXiv 1711.02512) and Revaud et al. (arXiv
    1906.07589), as teachers in arXiv 2312.09716.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Zero stays the direction of the bias."""
        return F.normalize(super().forward(F.normalize(x, dim=1)), dim=1)


def embedding(kind: str, feature_dim: int, width: int) -> nn.Module:
    """Layers behind the trunk: float (n, feature_dim) -> float (n, width).

    Args:
        kind: ``neck``: batch norm, ReLU, linear without bias, batch norm, as in capacity dynamic
            distillation (arXiv 2303.09230); ``whitened``: length 1, then linear, as in multi-teacher
            distillation with whitening (arXiv 2312.09716).
    """
    if kind == "whitened":
        return nn.Sequential(Normalize(), nn.Linear(feature_dim, width))
    linear = nn.Linear(feature_dim, width, bias=False)
    nn.init.kaiming_normal_(linear.weight, mode="fan_out")
    return nn.Sequential(nn.BatchNorm1d(feature_dim), nn.ReLU(), linear, nn.BatchNorm1d(width))


def embedded(trunk: nn.Module, layers: nn.Module) -> nn.Sequential:
    """Trunk and embedding as one network."""
    return nn.Sequential(OrderedDict(trunk=trunk, embedding=layers))
