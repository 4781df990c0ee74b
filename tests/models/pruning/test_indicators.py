from __future__ import annotations

import copy
import pickle

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from timm.models.resnet import Bottleneck
from torch import nn

from bench.errors import UsageError
from models.pruning.indicators import add_indicators, find_sites, observe, remove_indicators
from models.pruning.prune import prune, with_channels
from tests.models.pruning.prunable import NETWORKS, images, networks, relative
from tests.networks import plain, trained_like


@networks
@pytest.mark.parametrize("training", [False, True])
def test_new_indicators_change_nothing(name, training):
    net = trained_like(name).train(training)
    with_indicators = copy.deepcopy(net)
    indicators = add_indicators(with_indicators)
    assert len(indicators) == NETWORKS[name]
    assert all(module.training is training for module in with_indicators.modules())
    with torch.no_grad():
        assert relative(with_indicators(images()), net(images())) <= 1e-6
    back = copy.deepcopy(with_indicators)
    assert remove_indicators(back).keys() == indicators.keys()
    assert str(back) == str(net)
    assert back.state_dict().keys() == net.state_dict().keys()


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:tf_efficientnet_lite0"])
def test_observers_see_what_indicators_take_in(name):
    teacher, student = trained_like(name), trained_like(name)
    keys = list(teacher.state_dict())
    with torch.no_grad():
        expected = teacher(images())
    observers, indicators = observe(teacher), add_indicators(student)
    assert list(observers) == list(indicators)
    with torch.no_grad():
        assert torch.equal(teacher(images()), expected)
    student(images())
    for site, observer in observers.items():
        assert torch.allclose(observer.pooled, indicators[site].before, atol=1e-5)
        assert indicators[site].after.shape == (2, len(indicators[site].weight))
        assert observer.pooled.min() < 0  # not after the activation
    assert list(teacher.state_dict()) == keys

    seen = observers["layer1.0" if "resnet" in name else "blocks.1.0"]
    pooled = seen.pooled
    seen.remove()
    teacher(images(1))
    assert seen.pooled is pooled


def test_averages_of_one_image_carry_gradients():
    net = trained_like("timm:resnet10t").train()
    indicators = add_indicators(net)
    net(images(1))
    sum(
        indicator.before.sum() + indicator.after.square().sum() for indicator in indicators.values()
    ).backward()
    for indicator in indicators.values():
        assert indicator.before.shape == indicator.after.shape == (1, len(indicator.weight))
        assert indicator.weight.grad.abs().max() > 0
    assert net.conv1[0].weight.grad.abs().max() > 0


def test_averages_are_float32_under_autocast():
    net = trained_like("timm:resnet10t")
    indicators = add_indicators(net)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        net(images())
    assert {indicator.after.dtype for indicator in indicators.values()} == {torch.float32}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_leave_the_last_batch_behind(duplicate):
    student, teacher = trained_like("timm:resnet10t"), trained_like("timm:resnet10t")
    add_indicators(student)
    observe(teacher)
    for net in (student, teacher):
        expected = net(images())  # with gradient: such tensors cannot be copied
        assert torch.equal(duplicate(net)(images()), expected)
    assert prune(student, 0.5)[1]


@pytest.mark.parametrize(
    "name", ["torchvision:resnext50_32x4d", "timm:vit_tiny_patch16_224", "timm:efficientnet_b0", "alexnet"]
)
def test_networks_without_a_site(name):
    with torch.device("meta"):
        net = plain(name)
    for use in (add_indicators, observe, lambda net: with_channels(net, {})):
        with pytest.raises(UsageError, match=r"no block of this network can be pruned: needed are [^\n]*$"):
            use(net)


@pytest.mark.parametrize(
    "options",
    [
        {"aa_layer": nn.AvgPool2d, "stride": 2},
        {"act_layer": nn.RReLU},  # random
        {"cardinality": 2},
        {"norm_layer": BatchNormAct2d},  # a second activation
        {"norm_layer": nn.InstanceNorm2d},
    ],
)
def test_blocks_that_cannot_be_pruned_exactly(options):
    with pytest.raises(UsageError, match="anti-aliasing"):
        find_sites(Bottleneck(64, 16, **options))
    assert list(find_sites(Bottleneck(64, 16))) == [""]


def test_blocks_with_squeeze_and_excitation_are_left_alone():
    net = timm.create_model("mobilenetv3_large_100.ra_in1k", pretrained=False, num_classes=0)
    assert list(find_sites(net)) == ["blocks.1.0", "blocks.1.1"]  # later ones have that, or hard-swish
