"""What retrieval papers change in torchvision's ResNets: pooling, a layer behind it, the last stride."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.errors import UsageError
from bench.types import later
from models.network import NetworkParams

if TYPE_CHECKING:
    from torch import nn


class TorchvisionParams(NetworkParams):
    """Three changes for ResNets; other networks take the defaults only."""

    pooling: Literal["avg", "gem"] = Field(
        "avg", description="of the last map: the mean, or for ResNets also GeM with p = 3"
    )
    last_stride: Literal[1, 2] = Field(
        2, description="of the last stage; 1, for ResNets, doubles the sides of the last map"
    )
    projection: Annotated[int, Field(ge=2, le=65_536)] | None = later(
        None,
        description="width of a linear layer that the pooled features go through, for ResNets whose weights "
        "hold one as fc.weight and fc.bias, as GeM and AP-GeM do; features have length 1 before and after",
    )


def adapt(net: nn.Module, params: TorchvisionParams, name: str) -> None:
    """Apply ``params`` to a torchvision ResNet, in place.

    Raises:
        UsageError: another network than a ResNet, and another value than the defaults; or a projection was to
            take the place of a classifier that is needed.
    """
    if params.pooling == "avg" and params.last_stride == 2 and params.projection is None:
        return
    from torchvision.models.resnet import BasicBlock, ResNet

    from models.layers.embeddings import Projection
    from models.layers.pooling import GeM

    if not isinstance(net, ResNet):
        raise UsageError(f"{name} is no ResNet: leave pooling, last_stride and projection at their defaults")
    if params.projection is not None and not isinstance(net.fc, Projection):
        raise UsageError(f"{name} has a projection and no classifier, whose outputs are asked for; drop one")
    if params.pooling == "gem":
        net.avgpool = GeM()
    if params.last_stride == 1:
        first = net.layer4[0]
        strided = first.conv1 if isinstance(first, BasicBlock) else first.conv2
        for convolution in (strided, first.downsample[0]):
            convolution.stride = (1, 1)
