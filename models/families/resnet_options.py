"""What retrieval papers change in torchvision's ResNets: the pooling, and the stride of the last stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.errors import UsageError
from models.network import NetworkParams

if TYPE_CHECKING:
    from torch import nn


class TorchvisionParams(NetworkParams):
    """Two changes for ResNets; other networks take the defaults only."""

    pooling: Literal["avg", "gem"] = Field(
        "avg", description="of the last map: the mean, or for ResNets also GeM with p = 3"
    )
    last_stride: Literal[1, 2] = Field(
        2, description="of the last stage; 1, for ResNets, doubles the sides of the last map"
    )


def adapt(net: nn.Module, params: TorchvisionParams, name: str) -> None:
    """Apply ``params`` to a torchvision ResNet, in place.

    Raises:
        UsageError: another network than a ResNet, and another value than the defaults.
    """
    if params.pooling == "avg" and params.last_stride == 2:
        return
    from torchvision.models.resnet import BasicBlock, ResNet

    from models.layers.pooling import GeM

    if not isinstance(net, ResNet):
        raise UsageError(f"{name} is no ResNet: leave pooling and last_stride at their defaults")
    if params.pooling == "gem":
        net.avgpool = GeM()
    if params.last_stride == 1:
        first = net.layer4[0]
        strided = first.conv1 if isinstance(first, BasicBlock) else first.conv2
        for convolution in (strided, first.downsample[0]):
            convolution.stride = (1, 1)
