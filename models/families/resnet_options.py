"""What retrieval papers change in torchvision's ResNets: pooling, a layer behind it, last stride, shape."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.errors import UsageError
from bench.types import later
from models.network import NetworkParams

if TYPE_CHECKING:
    from torch import nn


class TorchvisionParams(NetworkParams):
    """Four changes for ResNets; other networks take the defaults only."""

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
    aspect: Annotated[float, Field(ge=0.25, le=4)] = later(
        1.0,
        description="width over height at which ResNets look at images that the data set has squeezed into a "
        "square (msmt17, veri776): 0.5 with image_size 320 is 320 x 160, high and wide",
    )


#: What ``TorchvisionParams`` adds.
OPTIONS = ("pooling", "last_stride", "projection", "aspect")


def adapt(net: nn.Module, params: TorchvisionParams, name: str) -> None:
    """Apply ``params`` to a torchvision ResNet, in place.

    Raises:
        UsageError: another network than a ResNet, and another value than the defaults; or a projection was to
            take the place of a classifier that is needed.
    """
    if all(getattr(params, name) == TorchvisionParams.model_fields[name].default for name in OPTIONS):
        return
    from torch import nn
    from torchvision.models.resnet import BasicBlock, ResNet

    from models.layers.embeddings import Projection
    from models.layers.pooling import GeM
    from models.layers.shape import Narrowed

    if not isinstance(net, ResNet):
        raise UsageError(
            f"{name} is no ResNet: leave {', '.join(OPTIONS[:-1])} and {OPTIONS[-1]} at their defaults"
        )
    if params.projection is not None and not isinstance(net.fc, Projection):
        raise UsageError(f"{name} has a projection and no classifier, whose outputs are asked for; drop one")
    if params.pooling == "gem":
        net.avgpool = GeM()
    if params.aspect != 1:
        net.conv1 = nn.Sequential(OrderedDict(narrowed=Narrowed(params.aspect), conv=net.conv1))
    if params.last_stride == 1:
        first = net.layer4[0]
        strided = first.conv1 if isinstance(first, BasicBlock) else first.conv2
        for convolution in (strided, first.downsample[0]):
            convolution.stride = (1, 1)
