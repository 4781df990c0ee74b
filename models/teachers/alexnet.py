"""AlexNet of torchvision, pretrained on ImageNet: the teacher of CUKD's student v2.

A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997.

    teacher: [alexnet, {name: alexnet, params: {layer: fc6}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bench.errors import UsageError
from bench.registry import TEACHERS
from bench.types import Preprocessing
from bench.types.sizes import ImageSize, sides
from models.families.resnet_options import TorchvisionParams
from models.families.zoo import TorchvisionNetwork

if TYPE_CHECKING:
    from torch import nn

#: The last max pool of a smaller image would be empty.
SMALLEST = 63


@TEACHERS.register
class AlexNet(TorchvisionNetwork):
    """4096-wide feature of a fully connected layer after its ReLU; dropout acts in training mode only."""

    arch = "alexnet"
    tag = "IMAGENET1K_V1"
    preprocessing = Preprocessing()

    class Params(TorchvisionParams):
        """Which layer is the feature."""

        layer: Literal["fc7", "fc6"] = Field("fc7", description="layer that gives the feature")

    def feature_dim(self, image_size: ImageSize) -> int:
        """4096 at any size that the network takes."""
        if min(sides(image_size)) < SMALLEST:
            raise UsageError(
                f"alexnet does not take images of {image_size} px: {SMALLEST} is the least image_size"
            )
        return 4096

    def strip(self, net: Any) -> None:
        """Keep the layers up to the chosen one: dropout, fc6, ReLU, dropout, fc7, ReLU, fc8."""
        classifier: nn.Sequential = net.classifier
        net.classifier = classifier[: {"fc6": 3, "fc7": 6}[self.params.layer]]
