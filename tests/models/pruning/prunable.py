"""Networks of every kind that can be pruned."""

from __future__ import annotations

import pytest
import torch

NETWORKS = {  # name: number of sites
    "torchvision:resnet18": 8,
    "torchvision:resnet50": 16,
    "timm:resnet10t": 4,
    "timm:resnet26": 8,
    "timm:seresnet18": 8,
    "timm:tf_efficientnet_lite0": 15,
    "timm:mobilenetv2_100": 16,
    "cukd_v1": 15,
}
#: The others have blocks or layers in common with these.
FAST = ("torchvision:resnet18", "timm:resnet10t", "timm:tf_efficientnet_lite0", "cukd_v1")
networks = pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)


def images(count=2, size=64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(7))


def relative(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())
