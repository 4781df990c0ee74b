"""Indicators: learnable 1 x 1 convolutions inside residual blocks, whose rows say which channels to keep.

Capacity dynamic distillation, arXiv 2303.09230. An indicator sits behind the batch normalisation of a
block's inner convolution and before the activation; it starts as the identity. A *site* is such a place
in a block that can be pruned without changing the outputs: the channels must go to one convolution only,
through nothing but layers that keep a channel of zeros constant. ``models.pruning.prune`` does the pruning.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import timm.models.resnet as timm_resnet
import torch
import torchvision.models.resnet as torchvision_resnet
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.models._efficientnet_blocks import InvertedResidual
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import UsageError
from models.layers import blocks


class Indicator(nn.Module):
    """1 x 1 convolution without bias, the identity at first: float (n, p, h, w) -> the same shape.

    Attributes:
        weight: float (p, p); row c makes output channel c.
        before: float (n, p), the input averaged over positions, of the last forward pass; has a gradient.
        after: the same for the output.
    """

    before: Tensor
    after: Tensor

    def __init__(
        self, channels: int, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels, and note both averages."""
        mixed = F.conv2d(x, self.weight[:, :, None, None])
        self.before, self.after = _pool(x), _pool(mixed)
        return mixed

    def __getstate__(self) -> dict[str, Any]:
        """Without the averages: copies of a network must not depend on its last batch."""
        return {key: value for key, value in self.__dict__.items() if key not in ("before", "after")}


class Observer:
    """Hook that notes what an indicator at its site would take in.

    Attributes:
        pooled: float (n, p), output of the batch normalisation averaged over positions, of the last
            forward pass.
    """

    pooled: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        if isinstance(norm, BatchNormAct2d):  # its own output has passed the activation
            self._handle = norm.act.register_forward_pre_hook(self._before_activation)
        else:
            self._handle = norm.register_forward_hook(self._after_norm)

    def remove(self) -> None:
        """Stop observing."""
        self._handle.remove()

    def _before_activation(self, module: nn.Module, args: tuple[Tensor]) -> None:
        self.pooled = _pool(args[0])

    def _after_norm(self, module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
        self.pooled = _pool(output)

    def __getstate__(self) -> dict[str, Any]:
        """Without the averages, as for indicators."""
        return {key: value for key, value in self.__dict__.items() if key != "pooled"}


@dataclass(frozen=True)
class Layout:
    """Where a kind of block has its parts: names of attributes.

    Attributes:
        conv: convolution whose output channels can go.
        norm: its batch normalisation.
        reader: the only convolution that reads them.
        activations: between ``norm`` and ``reader``.
        skipped: layers in between that allow pruning only where they are the identity.
        depthwise: for inverted residuals, the depthwise convolution before ``reader``, and the batch
            normalisations of both; empty for other blocks.
    """

    conv: str
    norm: str
    reader: str
    activations: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    depthwise: tuple[str, str, str] | tuple[()] = ()


#: Only these very classes: the forward pass of a subclass may differ.
LAYOUTS: dict[type[nn.Module], Layout] = {
    blocks.BasicBlock: Layout("conv1", "bn1", "conv2"),
    torchvision_resnet.BasicBlock: Layout("conv1", "bn1", "conv2", ("relu",)),
    torchvision_resnet.Bottleneck: Layout("conv2", "bn2", "conv3", ("relu",)),
    timm_resnet.BasicBlock: Layout("conv1", "bn1", "conv2", ("act1",), ("aa",)),
    timm_resnet.Bottleneck: Layout("conv2", "bn2", "conv3", ("act2",), ("aa",)),
    InvertedResidual: Layout(
        "conv_pw",
        "bn1",
        "conv_pwl",
        activations=("bn1.act", "bn2.act"),
        skipped=("bn1.drop", "bn2.drop", "aa", "se"),
        depthwise=("conv_dw", "bn2", "bn3"),
    ),
}

#: Elementwise, without parameters, and 0 at 0.
ACTIVATIONS = (nn.ReLU, nn.ReLU6)


@dataclass(frozen=True)
class Site:
    """One place for an indicator; the attributes of ``block`` are those that ``layout`` names."""

    block: nn.Module
    layout: Layout

    @property
    def norm(self) -> nn.BatchNorm2d:
        """The batch normalisation that an indicator would follow; ``num_features`` is its width."""
        norm: nn.BatchNorm2d = getattr(self.block, self.layout.norm)
        return norm

    def prunable(self) -> bool:
        """Whether dropping channels that are zero changes nothing, and no indicator is there yet."""
        layout = self.layout
        kind = BatchNormAct2d if layout.depthwise else nn.BatchNorm2d
        norms = self._parts(layout.norm, *layout.depthwise[1:])
        if not all(type(norm) is kind and norm.affine and norm.track_running_stats for norm in norms):
            return False
        conv, reader = self._parts(layout.conv, layout.reader)
        return (
            all(_is_conv(part) and part.groups == 1 for part in (conv, reader))
            and all(type(part) in ACTIVATIONS for part in self._parts(*layout.activations))
            and all(type(part) is nn.Identity for part in self._parts(*layout.skipped))
            and all(_is_pointwise(part, reader) for part in self._parts(*layout.depthwise[:1]))
        )

    def _parts(self, *names: str) -> list[Any]:
        return [self.block.get_submodule(name) for name in names]


def find_sites(net: nn.Module) -> dict[str, Site]:
    """All sites of a network without indicators, in the order of its modules.

    Returns:
        Sites by the name of their block, such as ``layer1.0``.

    Raises:
        UsageError: there is none.
    """
    sites = {name: site for name, site in _blocks(net).items() if site.prunable()}
    if not sites:
        raise UsageError(
            "no block of this network can be pruned: needed are BasicBlock or Bottleneck (ReLU, no groups, "
            "no anti-aliasing) or InvertedResidual (ReLU or ReLU6, no squeeze-and-excitation)"
        )
    return sites


def add_indicators(trunk: nn.Module) -> dict[str, Indicator]:
    """Put an indicator at every site, in place; the outputs stay as they were.

    The batch normalisation of a block becomes ``nn.Sequential(norm, indicator)``; where it contains the
    activation, that follows as a third part.

    Returns:
        Indicators by the name of their block.

    Raises:
        UsageError: the network has no site.
    """
    indicators = {}
    for name, site in find_sites(trunk).items():
        norm = site.norm
        indicators[name] = Indicator(norm.num_features, norm.weight.device, norm.weight.dtype)
        parts: OrderedDict[str, nn.Module] = OrderedDict(norm=norm, indicator=indicators[name])
        if isinstance(norm, BatchNormAct2d):
            parts["act"] = norm.act
            norm.act = nn.Identity()
        setattr(site.block, site.layout.norm, nn.Sequential(parts).train(norm.training))
    return indicators


def remove_indicators(trunk: nn.Module) -> dict[str, Indicator]:
    """Take all indicators out again, in place: the network is then as it was without them.

    Returns:
        Indicators by the name of their block.
    """
    indicators: dict[str, Indicator] = {}
    for name, site in _blocks(trunk).items():
        if isinstance(site.norm, nn.Sequential):
            parts: Any = site.norm
            indicators[name] = parts.indicator
            if len(parts) == 3:
                parts.norm.act = parts.act
            setattr(site.block, site.layout.norm, parts.norm)
    return indicators


def observe(net: nn.Module) -> dict[str, Observer]:
    """Hook an observer to every site of a network without indicators, such as the teacher.

    Names and order are those of ``add_indicators`` on a network of the same architecture. Outputs and
    state dict of the network stay as they were.

    Raises:
        UsageError: the network has no site.
    """
    return {name: Observer(site.norm) for name, site in find_sites(net).items()}


def _blocks(net: nn.Module) -> dict[str, Site]:
    """All blocks of a known kind, prunable or not."""
    kinds = ((name, block, LAYOUTS.get(type(block))) for name, block in net.named_modules())
    return {name: Site(block, layout) for name, block, layout in kinds if layout is not None}


def _is_conv(conv: Any) -> bool:
    """Subclasses may compute their weight, or the output, in another way."""
    return type(conv) in (nn.Conv2d, Conv2dSame)


def _is_pointwise(depthwise: Any, reader: Any) -> bool:
    """Whether each channel stays by itself, and its constant adds the same to all positions behind it.

    A padded ``reader`` of more than one position would see less of the constant at the border.
    """
    return (
        _is_conv(depthwise)
        and depthwise.groups == depthwise.in_channels == depthwise.out_channels
        and reader.kernel_size == (1, 1)
    )


def _pool(x: Tensor) -> Tensor:
    """Average over positions, at least in float32: sums over maps leave the range of float16."""
    return x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
