"""Pruning by indicators: from a trained network with indicators to a smaller one without.

Capacity dynamic distillation, arXiv 2303.09230: output channels whose row of the indicator has shrunk to
nothing are dropped, once, after training. Batch normalisation and indicator are folded into the
convolution before them, so that a block of the smaller network has the layers that it had at first, less
that batch normalisation. Batch normalisations at other places stay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UsageError
from models.pruning.indicators import Site, find_sites, remove_indicators


def prune(trunk: nn.Module, threshold: float) -> tuple[nn.Module, dict[str, int]]:
    """Drop the channels whose row of the indicator has a norm below ``threshold``; at least one stays.

    Args:
        trunk: a network with indicators; it is not changed.
        threshold: least Euclidean norm of a row that is kept.

    Returns:
        A smaller copy without indicators, and the number of channels kept by the name of each block,
        which is all that ``with_channels`` needs. In eval mode the copy's outputs are those of ``trunk``
        with the rows below the threshold set to zero.

    Raises:
        ValueError: the network has no indicators.
    """
    pruned = copy.deepcopy(trunk)
    indicators = remove_indicators(pruned)
    if not indicators:
        raise ValueError("the network has no indicators")
    sites = find_sites(pruned)
    channels = {}
    for name, indicator in indicators.items():
        weight = indicator.weight.detach()
        norms = torch.linalg.vector_norm(weight, dim=1)
        kept = (norms >= threshold).nonzero()[:, 0]
        if len(kept) == 0:
            kept = norms.argmax(dim=0, keepdim=True)
        _shrink(sites[name], weight[kept], kept)
        channels[name] = len(kept)
    return pruned, channels


def with_channels(trunk: nn.Module, channels: Mapping[str, int]) -> nn.Module:
    """Give a plain network the structure of a pruned one, whose state dict it then takes.

    Args:
        trunk: a network without indicators, on any device, ``meta`` too; changed in place.
        channels: number of channels by the name of each block, from ``prune``.

    Returns:
        ``trunk``, which now computes with the first so many channels of each block.

    Raises:
        UsageError: the names are not those of the network's sites, or a number does not fit.
    """
    sites = find_sites(trunk)
    if channels.keys() != sites.keys():
        names = ", ".join(sorted(channels.keys() ^ sites.keys()))
        raise UsageError(f"the pruned channels are those of another network; they differ in {names}")
    for name, count in channels.items():
        width = sites[name].norm.num_features
        if not 1 <= count <= width:
            raise UsageError(f"{name} has {width} channels and cannot keep {count}")
    for name, count in channels.items():
        weight = sites[name].norm.weight
        _shrink(
            sites[name],
            torch.eye(count, sites[name].norm.num_features, device=weight.device),
            torch.arange(count, device=weight.device),
        )
    return trunk


@torch.no_grad()
def _shrink(site: Site, mix: Tensor, kept: Tensor) -> None:
    """Fold normalisation and indicator of a site, and let its channels other than ``kept`` go.

    Args:
        site: changed in place.
        mix: float (k, p), the kept rows of the indicator.
        kept: int64 (k,), their numbers.
    """
    block, layout, norm = site.block, site.layout, site.norm
    conv: nn.Conv2d = getattr(block, layout.conv)
    reader: nn.Conv2d = getattr(block, layout.reader)
    mix = mix.double()  # so that folding adds no error to that of the rounding of its result
    scale, shift = _affine(norm, conv.bias)
    weight = torch.einsum("kp,pihw->kihw", mix, conv.weight.double() * scale[:, None, None, None])
    _set_conv(conv, weight, mix @ shift)
    setattr(block, layout.norm, getattr(norm, "act", nn.Identity()))  # BatchNormAct2d holds the activation
    if layout.depthwise:
        depthwise, inner, outer = (getattr(block, name) for name in layout.depthwise)
        _drop_constants(reader, _constants(depthwise, inner), outer, kept)
        _set_conv(
            depthwise,
            depthwise.weight[kept],
            None if depthwise.bias is None else depthwise.bias[kept],
            groups=len(kept),
        )
        _set_norm(inner, kept)
    _set_conv(reader, reader.weight[:, kept], reader.bias)


def _constants(depthwise: nn.Conv2d, norm: Any) -> Tensor:
    """What the layers behind a channel of zeros make of it: float64 (p,).

    Padding adds zeros to zeros, so it is the same number at all positions.
    """
    _, shift = _affine(norm, depthwise.bias)
    constants: Tensor = norm.act(shift)
    return constants


def _drop_constants(reader: nn.Conv2d, constants: Tensor, norm: nn.BatchNorm2d, kept: Tensor) -> None:
    """Let ``norm`` make up for the constants of dropped channels, which ``reader`` will not see any more.

    Without them its output is lower, and so is the mean that the normalisation subtracts.
    """
    assert norm.running_mean is not None
    lost = constants.index_fill(0, kept, 0)
    norm.running_mean.sub_((reader.weight[:, :, 0, 0].double() @ lost).to(norm.running_mean.dtype))


def _affine(norm: nn.BatchNorm2d, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scale and shift, float64 (p,), of a batch normalisation in eval mode after a convolution's bias."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    mean = norm.running_mean.double() if bias is None else norm.running_mean.double() - bias.double()
    return scale, norm.bias.double() - mean * scale


def _set_conv(conv: nn.Conv2d, weight: Tensor, bias: Tensor | None, groups: int = 1) -> None:
    """New tensors, with the attributes that counters of operations read."""
    dtype = conv.weight.dtype
    conv.weight = nn.Parameter(weight.to(dtype))
    if bias is not None:
        conv.bias = nn.Parameter(bias.to(dtype))
    conv.groups = groups
    conv.out_channels, conv.in_channels = weight.shape[0], weight.shape[1] * groups


def _set_norm(norm: nn.BatchNorm2d, kept: Tensor) -> None:
    """Keep some channels."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.weight, norm.bias = nn.Parameter(norm.weight[kept]), nn.Parameter(norm.bias[kept])
    norm.running_mean, norm.running_var = norm.running_mean[kept], norm.running_var[kept]
    norm.num_features = len(kept)
