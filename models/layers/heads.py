"""The hash head, and the network that is deployed: trunk and head."""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from bench.types import HeadStart


def hash_network(trunk: nn.Module, feature_dim: int, bits: int, start: HeadStart = "normal") -> nn.Sequential:
    """Put a linear hash head on ``trunk``; the code of an image is the sign of the output.

    Args:
        start: of the head; ``normal``: weights N(0, 0.01²) and biases 0, as the DeepHash line of code has
            them on ResNets; ``pytorch``: as PyTorch starts every linear layer, as it has them on AlexNet.

    Returns:
        A module with attributes ``trunk`` and ``head``: float (n, 3, h, w) -> float (n, bits), no activation.
    """
    head = nn.Linear(feature_dim, bits)
    if start == "normal":
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
    return nn.Sequential(OrderedDict(trunk=trunk, head=head))


class BalancedHead(nn.Module):
    """A linear layer without bias and batch normalisation: float (n, feature_dim) -> float (n, bits).

    Normalised, a bit is 1 for about half of the images. In eval mode it is one linear layer (``folded``).

    Args:
        linear: as it starts; its bias, which normalisation would take off again, is dropped.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        linear.register_parameter("bias", None)
        self.linear, self.norm = linear, nn.BatchNorm1d(linear.out_features)

    def forward(self, features: Tensor) -> Tensor:
        """By the statistics of the batch in training, by their running means in eval mode."""
        normalised: Tensor = self.norm(self.linear(features))
        return normalised

    def folded(self) -> nn.Linear:
        """The layer that says the same in eval mode."""
        return fuse_linear_bn_eval(copy.deepcopy(self.linear).eval(), copy.deepcopy(self.norm).eval())


def shortened(net: nn.Module, bits: int) -> nn.Sequential:
    """``hash_network`` with the first ``bits`` outputs of its head alone; ``net`` stays as it is."""
    trunk, whole = net.get_submodule("trunk"), net.get_submodule("head")
    assert isinstance(whole, nn.Linear)
    head = nn.Linear(whole.in_features, bits)
    with torch.no_grad():
        head.weight.copy_(whole.weight[:bits])
        head.bias.copy_(whole.bias[:bits])
    return nn.Sequential(OrderedDict(trunk=trunk, head=head))
