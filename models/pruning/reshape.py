"""The architecture that step 1 leaves behind, as plain JSON values, and how to make it again.

    {"channels": {"layer1.0": 17, ...}, "embedding": {"kind": "neck", "width": 512}}

``channels``: what pruning left of the blocks (``prune``). ``embedding``: layers behind the trunk that map its
feature to the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from models.layers.embeddings import embedded, embedding
from models.pruning.prune import with_channels


def reshape(trunk: nn.Module, feature_dim: int, architecture: Mapping[str, Any]) -> tuple[nn.Module, int]:
    """Give a trunk as built the architecture that step 1 left; weights are loaded afterwards.

    Returns:
        The network, and the width of what it puts out.
    """
    if "channels" in architecture:
        trunk = with_channels(trunk, architecture["channels"])
    if "embedding" not in architecture:
        return trunk, feature_dim
    wanted = architecture["embedding"]
    layers = embedding(wanted["kind"], feature_dim, wanted["width"])
    return embedded(trunk, layers), wanted["width"]
