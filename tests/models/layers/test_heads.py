from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from models.layers.heads import (
    BalancedHead,
    CentredHead,
    CodeWords,
    classes_in,
    deployed_network,
    hash_network,
)


def test_head_is_linear_small_and_without_activation():
    torch.manual_seed(0)
    net = hash_network(nn.Flatten(), feature_dim=2048, bits=64)
    assert abs(net.head.weight.std().item() - 0.01) < 1e-4
    assert net.head.bias.count_nonzero() == 0
    x = torch.randn(3, 2048)
    assert torch.equal(net(x), x @ net.head.weight.T)


def test_a_head_as_pytorch_starts_it():
    torch.manual_seed(0)
    net = hash_network(nn.Flatten(), feature_dim=400, bits=64, start="pytorch")
    torch.manual_seed(0)
    layer = nn.Linear(400, 64)
    assert torch.equal(net.head.weight, layer.weight)
    assert torch.equal(net.head.bias, layer.bias)
    assert 0.049 < net.head.weight.abs().max().item() <= 0.05  # 1 / sqrt(400)


def test_trunk_state_comes_off_alone():
    trunk = nn.Linear(4, 3)
    net = hash_network(trunk, feature_dim=3, bits=16)
    assert net.trunk is trunk
    assert list(net.state_dict()) == ["trunk.weight", "trunk.bias", "head.weight", "head.bias"]


def test_a_balanced_head_is_one_layer_after_training():
    torch.manual_seed(0)
    head = BalancedHead(nn.Linear(12, 8))
    features = 3 + 2 * torch.randn(64, 12)
    for _ in range(50):
        outputs = head(features)
    torch.testing.assert_close(outputs.mean(dim=0), torch.zeros(8), atol=1e-5, rtol=0)
    nn.init.normal_(head.norm.weight)
    nn.init.normal_(head.norm.bias)
    folded = head.folded()
    assert head.training
    torch.testing.assert_close(folded(features), head.eval()(features), atol=1e-5, rtol=1e-4)
    assert [name for name, _ in head.named_parameters()] == ["linear.weight", "norm.weight", "norm.bias"]


def test_a_deployed_network_is_made_for_the_weights_it_had():
    words = torch.randn(5, 16).sign()
    net = nn.Sequential(OrderedDict(trunk=nn.Flatten(), head=CodeWords(12, words)))
    kept = net.state_dict()
    assert classes_in(kept) == 5
    again = deployed_network(nn.Flatten(), 12, 16, classes_in(kept))
    again.load_state_dict(kept)
    images = torch.randn(9, 3, 2, 2)
    assert torch.equal(again.eval()(images), net.eval()(images))
    linear = hash_network(nn.Flatten(), 12, 16).state_dict()
    assert not classes_in(linear)
    deployed_network(nn.Flatten(), 12, 16).load_state_dict(linear)


def test_a_centred_head_has_the_signs_of_one_layer():
    torch.manual_seed(0)
    head = CentredHead(nn.Linear(12, 8))
    features = torch.randn(64, 12)
    outputs = head(features)
    torch.testing.assert_close(outputs.mean(dim=1), torch.zeros(64), atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.std(dim=1, correction=0), torch.ones(64), atol=1e-2, rtol=0)
    folded = head.folded()(features)
    torch.testing.assert_close(nn.functional.normalize(folded), nn.functional.normalize(outputs))
    assert [name for name, _ in head.named_parameters()] == ["linear.weight"]
