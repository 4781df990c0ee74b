"""Layers of the small convolutional students."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Residual block of two 3 x 3 convolutions (He et al., arXiv 1512.03385).

    float (n, in_channels, h, w) -> float (n, out_channels, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Residual branch plus shortcut, then ReLU."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual + self.shortcut(x), inplace=True)


def residual_trunk(widths: Sequence[int], depths: Sequence[int]) -> nn.Sequential:
    """7 x 7 stem, one layer of basic blocks per width, and the last map flattened instead of pooled.

    Stem, max pool and every layer after the first halve the sides, rounding up.

    Args:
        widths: output channels of each layer.
        depths: blocks in each layer.

    Returns:
        A module: float (n, 3, s, s) -> float (n, widths[-1] * side**2), side the last map's.
    """
    stem = nn.Sequential(
        nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
    channels = widths[0]
    for number, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        first = BasicBlock(channels, width, stride=1 if number == 1 else 2)
        layers[f"layer{number}"] = nn.Sequential(first, *(BasicBlock(width, width) for _ in range(depth - 1)))
        channels = width
    return nn.Sequential(layers | {"flatten": nn.Flatten()})
