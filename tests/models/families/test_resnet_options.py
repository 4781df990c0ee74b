"""What retrieval papers change in ResNets."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UsageError
from bench.registry import STUDENTS


def build(name="torchvision:resnet18", **params):
    plugin = STUDENTS.get(name)
    torch.manual_seed(0)
    return plugin(plugin.Params(weights="none", **params)).build().eval()


@pytest.mark.parametrize("name", ["torchvision:resnet18", "resnet50"])
def test_options_change_the_feature_and_neither_its_width_nor_the_weights(name):
    plain, changed = build(name), build(name, pooling="gem", last_stride=1)
    for (key, one), (other_key, other) in zip(
        plain.state_dict().items(), changed.state_dict().items(), strict=True
    ):
        assert key == other_key
        assert torch.equal(one, other)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        features = [net(image) for net in (plain, changed)]
    assert features[0].shape == features[1].shape
    assert not torch.allclose(features[0], features[1])


def test_a_last_stride_of_one_doubles_the_last_map():
    sizes = []
    for stride in (2, 1):
        net = build(last_stride=stride)
        net.layer4.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
        net(torch.randn(1, 3, 64, 64))
    assert sizes == [2, 4]


def test_other_networks_refuse():
    with pytest.raises(UsageError, match="torchvision:mobilenet_v3_small is no ResNet: leave pooling"):
        build("torchvision:mobilenet_v3_small", pooling="gem")
    with pytest.raises(UsageError, match="alexnet is no ResNet"):
        build("alexnet", last_stride=1)
