"""The hash head, and the network that is deployed: trunk and head."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def hash_network(trunk: nn.Module, feature_dim: int, bits: int) -> nn.Sequential:
    """Put a linear hash head on ``trunk``; the code of an image is the sign of the output.

    Weights start as N(0, 0.01²) and biases at 0, as in the DeepHash line of code.

    Returns:
        A module with attributes ``trunk`` and ``head``: float (n, 3, s, s) -> float (n, bits), no activation.
    """
    head = nn.Linear(feature_dim, bits)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return nn.Sequential(OrderedDict(trunk=trunk, head=head))
