"""What the two students of "Context Unaware Knowledge Distillation for Image Retrieval" share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bench.types import Preprocessing
from bench.types.sizes import ImageSize, sides
from models.network import BaseNetwork, NetworkParams

if TYPE_CHECKING:
    from torch import nn


class CukdStudent(BaseNetwork):
    """Trunk of 15 basic blocks in five layers (arXiv 2207.09070); subclasses set the last width.

    The last map is flattened, not pooled: it is 4 x 4 at 224 px, and larger images give wider features.
    """

    preprocessing = Preprocessing()
    width: ClassVar[int]

    class Params(NetworkParams):
        """No weights are published; students start from PyTorch's default initialisation."""

        weights: str = Field("none", description="none: random; or the path of a state dict of the trunk")

    def feature_dim(self, image_size: ImageSize) -> int:
        """Channels times positions of the last map; sides are halved six times, rounding up."""
        height, width = (-(-side // 64) for side in sides(image_size))
        return self.width * height * width

    def make(self) -> nn.Module:
        """The trunk."""
        from models.layers.blocks import residual_trunk

        return residual_trunk(widths=(64, 64, 128, 128, self.width), depths=(2, 3, 5, 3, 2))

    def strip(self, net: nn.Module) -> None:
        """There is no classifier."""
