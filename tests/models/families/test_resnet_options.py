"""What retrieval papers change in ResNets."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.errors import UsageError, WeightsError
from bench.registry import STUDENTS
from tests.networks import network


def build(name="torchvision:resnet18", weights="none", **params):
    plugin = STUDENTS.get(name)
    torch.manual_seed(0)
    return plugin(plugin.Params(weights=str(weights), **params)).build().eval()


@pytest.fixture
def square(tmp_path):
    """A file as of a GeM teacher: a state dict of ResNet-18 whose last layer is learnt for retrieval."""
    torch.manual_seed(1)
    net = network("torchvision:resnet18", weights="none").make()
    net.fc = nn.Linear(512, 512)
    save_file(net.state_dict(), tmp_path / "gem.safetensors")
    return tmp_path / "gem.safetensors", net.eval()


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
    for name in ("torchvision:mobilenet_v3_small", "alexnet"):
        with pytest.raises(UsageError, match="is no ResNet: leave .* projection at their defaults"):
            build(name, projection=8)


def test_a_projection_is_the_layer_that_the_file_holds(square):
    """Trunk, GeM, length 1, linear, length 1, each written out."""
    path, whole = square
    images = torch.randn(3, 3, 64, 64)
    loaded = network("torchvision:resnet18", weights=str(path), pooling="gem", projection=512)
    with torch.no_grad():
        features = loaded.build().eval()(images)
        last = images
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            last = whole.get_submodule(name)(last)
        pooled = last.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3)
        expected = (pooled / pooled.norm(dim=1, keepdim=True)) @ whole.fc.weight.T + whole.fc.bias
    torch.testing.assert_close(features, expected / expected.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("name", ["torchvision:resnet18", "resnet50"])
def test_a_projection_has_a_width(name):
    options = {"weights": "none", "projection": 24}
    assert network(name, **options).feature_dim(64) == 24
    assert build(name, projection=24)(torch.zeros(1, 3, 64, 64)).shape == (1, 24)
    assert network(name, weights="none").feature_dim(64) == (2048 if name == "resnet50" else 512)


def test_a_layer_of_a_file_does_not_vanish(square):
    path, _ = square
    cure = r"choose a network that has it \(for ResNets of torchvision, projection is its width\), otherwise"
    fault = r"fc\.weight of shape \(512, 512\) would not be used"
    with pytest.raises(WeightsError, match=f"^{path}: does not fit the network: {fault}.*{cure}"):
        build(weights=path, pooling="gem")
    with pytest.raises(WeightsError, match=r"fc\.weight has shape \(512, 512\), expected \(256, 512\)"):
        build(weights=path, projection=256)


def test_published_weights_hold_no_projection():
    published = network("torchvision:resnet18", projection=512)
    for ask in (published.weights_id, published.build):
        with pytest.raises(WeightsError, match="no published weights hold a projection; set weights to"):
            ask()


def test_a_network_with_a_projection_classifies_nothing():
    with pytest.raises(UsageError, match="torchvision:resnet18 has a projection and no classifier"):
        network("torchvision:resnet18", weights="none", projection=8).build_classifier()
