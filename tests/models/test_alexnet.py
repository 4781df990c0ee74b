"""AlexNet as hashing papers use it."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UsageError
from tests.networks import network


def test_alexnet_layers():
    net = network("alexnet", weights="none").make().eval()
    images, classifier = torch.randn(2, 3, 63, 63), net.classifier
    with torch.no_grad():
        maps = net.avgpool(net.features(images)).flatten(1)
        for layer, depth in {"fc6": 3, "fc7": 6}.items():
            network("alexnet", layer=layer).strip(net)
            assert torch.equal(net(images), classifier[:depth](maps))
            net.classifier = classifier
    with pytest.raises(UsageError, match="63 is the least"):
        network("alexnet").feature_dim(62)
