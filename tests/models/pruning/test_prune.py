"""A pruned network computes what the masked one did, at the cost it should have."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import UsageError
from models.pruning.indicators import add_indicators, find_sites
from models.pruning.prune import prune, with_channels
from tests.models.pruning.prunable import images, networks, relative
from tests.networks import plain, trained_like


def mix(indicators, share):
    """Dense indicators as of training, then rows of zeros but for a share of them, one at least."""
    kept = {}
    with torch.no_grad():
        for name, indicator in indicators.items():
            width = len(indicator.weight)
            indicator.weight.add_(torch.randn(width, width) / width)
            kept[name] = torch.randperm(width)[: max(1, round(share * width))].sort().values
            masked = torch.ones(width, dtype=torch.bool)
            masked[kept[name]] = False
            indicator.weight[masked] = 0
    return kept


@networks
@pytest.mark.parametrize("share", [0, 1 / 3, pytest.param(1, marks=pytest.mark.slow)])
def test_the_pruned_network_equals_the_masked_one(name, share):
    net = trained_like(name)
    indicators = add_indicators(net)
    kept = mix(indicators, share)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    pruned, channels = prune(net, threshold=1e-5)
    assert channels == {name: len(numbers) for name, numbers in kept.items()}
    with torch.no_grad():
        masked, small = net(images()), pruned(images())
    assert relative(small, masked) <= 1e-5
    with torch.no_grad():
        assert relative(pruned(images(1)), net(images(1))) <= 1e-5

    # The live network is as it was, and shares no tensor with the pruned one.
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    theirs = {tensor.data_ptr() for tensor in net.state_dict().values()}
    assert theirs.isdisjoint(tensor.data_ptr() for tensor in pruned.state_dict().values())

    # Counters of operations read the attributes, not the tensors.
    for module in pruned.modules():
        if isinstance(module, nn.Conv2d):
            out_channels, per_group = module.weight.shape[:2]
            assert module.out_channels == out_channels
            assert module.in_channels == per_group * module.groups
            assert module.bias is None or module.bias.shape == (out_channels,)
        if isinstance(module, nn.BatchNorm2d):
            assert module.num_features == len(module.weight) == len(module.running_var)

    with torch.device("meta"):
        rebuilt = with_channels(plain(name), channels)
        assert rebuilt.eval()(torch.empty(1, 3, 64, 64)).shape == small[:1].shape
    rebuilt.load_state_dict(pruned.state_dict(), strict=True, assign=True)
    on_cpu = with_channels(plain(name), channels).eval()
    on_cpu.load_state_dict(pruned.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(rebuilt(images()), small)
        assert torch.equal(on_cpu(images()), small)


def test_folding_adds_no_error_of_its_own():
    net = trained_like("timm:tf_efficientnet_lite0").double()
    mix(add_indicators(net), 0.5)
    with torch.no_grad():
        assert relative(prune(net, 1e-5)[0](images().double()), net(images().double())) <= 1e-12


def test_threshold():
    net = trained_like("timm:resnet10t")
    indicators = add_indicators(net)
    with torch.no_grad():
        for indicator in indicators.values():
            indicator.weight[1:] *= 0.5
    assert set(prune(net, 0.75)[1].values()) == {1}
    assert prune(net, 0.5)[1] == {name: len(indicator.weight) for name, indicator in indicators.items()}
    assert set(prune(net, 2.0)[1].values()) == {1}  # the largest row stays
    with torch.no_grad():
        assert relative(prune(net, 0.75)[0](images()), prune(net, 2.0)[0](images())) == 0


def test_wrong_channels():
    pruned = trained_like("timm:resnet10t")
    add_indicators(pruned)
    _, channels = prune(pruned, 0.5)
    for wrong in (0, 65):
        with pytest.raises(UsageError, match=rf"^layer1\.0 has 64 channels and cannot keep {wrong}$"):
            with_channels(plain("timm:resnet10t"), channels | {"layer1.0": wrong})
    with pytest.raises(UsageError, match=r"differ in layer9$"):
        with_channels(plain("timm:resnet10t"), channels | {"layer9": 1})
    with pytest.raises(ValueError, match="no indicators"):
        prune(plain("timm:resnet10t"), 0.5)


def retrieval_resnet101():
    """As in the paper, with stride 1 in the last stage: on the meta device, without classifier."""
    with torch.device("meta"):
        net = torchvision.models.resnet101(weights=None)
    net.fc = nn.Identity()
    net.layer4[0].conv2.stride = net.layer4[0].downsample[0].stride = (1, 1)
    return net.eval()


def folded_params(net):
    """Weights and one bias per channel, as after folding all batch normalisations."""
    return sum(
        conv.weight.numel() + conv.out_channels for conv in net.modules() if isinstance(conv, nn.Conv2d)
    )


def multiply_adds(net, *size):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2


# torchvision announces a change of initialisation, which the meta device has none of.
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_cost_of_a_pruned_resnet101():
    head = 2048 * 512
    plain = retrieval_resnet101()
    widths = {name: site.norm.num_features for name, site in find_sites(plain).items()}
    assert sorted(widths.values()) == [64] * 3 + [128] * 4 + [256] * 23 + [512] * 3
    total, macs = folded_params(plain) + head, multiply_adds(plain, 256, 256) + head
    all_params = sum(parameter.numel() for parameter in plain.parameters())
    assert total / 1e6 == pytest.approx(43.50, abs=0.005)
    assert macs / 1e9 == pytest.approx(12.96, abs=0.005)
    assert (multiply_adds(plain, 320, 160) + head) / 1e9 == pytest.approx(10.12, abs=0.005)

    for ratio, saved in {0.5: 35.5, 0.25: 53.2, 0.1: 63.7, 0.05: 67.3, 0: 70.65}.items():
        channels = {name: max(1, round(ratio * width)) for name, width in widths.items()}
        pruned = with_channels(retrieval_resnet101(), channels)
        weights = sum(13 * p * (p - channels[name]) for name, p in widths.items())  # 3 x 3 and 1 x 1 from p
        biases = sum(p - channels[name] for name, p in widths.items())
        assert total - head - folded_params(pruned) == weights + biases
        assert 100 * (weights + biases) / total == pytest.approx(saved, abs=0.06)
        # Ours keeps the other batch normalisations, and has a bias for the two parameters of this one.
        params = sum(parameter.numel() for parameter in pruned.parameters())
        assert all_params - params == weights + sum(2 * p - channels[name] for name, p in widths.items())
        if ratio == 0:
            saved_macs = macs - head - multiply_adds(pruned, 256, 256)
            assert 100 * saved_macs / macs == pytest.approx(70.4, abs=0.06)
