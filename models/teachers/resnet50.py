"""ResNet-50 of torchvision, pretrained on ImageNet: the teacher of CUKD's student v1.

K. He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385.

    teacher: [resnet50]
"""

from __future__ import annotations

from bench.registry import TEACHERS
from bench.types import Preprocessing
from bench.types.sizes import ImageSize
from models.families.zoo import TorchvisionNetwork


@TEACHERS.register
class ResNet50(TorchvisionNetwork):
    """2048-wide feature after global average pooling, not negative; a projection makes another of it."""

    arch = "resnet50"
    # The weights that published work on hashing starts from; torchvision's default is a newer recipe.
    tag = "IMAGENET1K_V1"
    preprocessing = Preprocessing()

    def feature_dim(self, image_size: ImageSize) -> int:
        """2048 at any size, or the width of the projection."""
        return self.params.projection or 2048
