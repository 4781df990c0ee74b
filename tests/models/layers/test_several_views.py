"""Views of an image: every output has length 1, and their sum counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.layers.folding import folded
from models.layers.several_views import SeveralViews
from tests.networks import trained_like


@pytest.fixture(scope="module")
def net():
    return trained_like("torchvision:resnet18")


def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


def resized(image, size):
    """Bilinear without smoothing, pixel by pixel: centres of pixels lie at halves."""
    side = image.shape[-1]
    out = torch.empty(3, size, size)
    for i in range(size):
        for j in range(size):
            y, x = (max((n + 0.5) * side / size - 0.5, 0) for n in (i, j))
            top, left = int(y), int(x)
            bottom, right = min(top + 1, side - 1), min(left + 1, side - 1)
            down, across = y - top, x - left
            upper = image[:, top, left] * (1 - across) + image[:, top, right] * across
            lower = image[:, bottom, left] * (1 - across) + image[:, bottom, right] * across
            out[:, i, j] = upper * (1 - down) + lower * down
    return out


@pytest.mark.parametrize("flip", [False, True])
def test_scales_and_mirror_images_add_up(net, flip):
    expected = torch.zeros(2, 512)
    with torch.inference_mode():
        found = SeveralViews(net, [64, 45, 32], flip=flip)(images())
        for i, image in enumerate(images()):
            for size in (64, 45, 32):
                view = image if size == 64 else resized(image, size)
                for seen in [view, view[:, :, torch.arange(size - 1, -1, -1)]][: 1 + flip]:
                    feature = net(seen[None])[0]
                    expected[i] += feature / feature.square().sum().sqrt()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_normalisations_of_the_network_inside_are_folded(net):
    several = SeveralViews(net, [64, 45], flip=True)
    ours = folded(several)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ours.modules())
    with torch.inference_mode():
        torch.testing.assert_close(ours(images()), several(images()), rtol=1e-4, atol=1e-5)
