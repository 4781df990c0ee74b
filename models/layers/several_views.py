"""A network that looks at every image several times, at other scales or mirrored, and adds up what it says.

Landmarks are described at several scales (arXiv 1711.02512, and the students of arXiv 2312.09716); in
re-identification some average over an image and its mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.types.sizes import ImageSize, sides


class SeveralViews(nn.Module):
    """Sum of the outputs, each of length 1: float (n, 3, h, w) -> float (n, d).

    Args:
        net: gives outputs of one width, whatever the size of its input.
        sizes: of the views.
        flip: whether every view is seen mirrored, too.
    """

    def __init__(self, net: nn.Module, sizes: Sequence[ImageSize], *, flip: bool) -> None:
        super().__init__()
        self.net, self.sizes, self.flip = net, tuple(sizes), flip

    def forward(self, images: Tensor) -> Tensor:
        """Views are resized from ``images``, bilinear, without smoothing, as published."""
        total = None
        for size in self.sizes:
            view = images
            if images.shape[-2:] != sides(size):
                view = F.interpolate(images, sides(size), mode="bilinear", align_corners=False)
            for seen in (view, view.flip(-1)) if self.flip else (view,):
                output = F.normalize(self.net(seen).float(), dim=1)
                total = output if total is None else total + output
        assert isinstance(total, torch.Tensor)
        return total

    def over(self, net: nn.Module) -> SeveralViews:
        """The same views of another network."""
        return SeveralViews(net, self.sizes, flip=self.flip)
