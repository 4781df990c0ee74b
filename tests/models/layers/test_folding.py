import copy

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from models.layers.folding import folded
from tests.networks import trained_like

#: What is left of the normalisations.
NETWORKS = {
    "torchvision:resnet18": 0,
    "torchvision:mobilenet_v3_small": 0,
    "timm:test_resnet": 0,
    "timm:tf_efficientnet_lite0": 0,  # pads by the size of its images, which nobody knows while tracing
    "timm:seresnet18": 0,
    "timm:resnetv2_50": 17,  # normalises before it convolves
    "timm:vit_tiny_patch16_224": 0,  # has none
    "cukd_v1": 0,
    "cukd_v2": 0,
}


def norms(net):
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def images(size):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(7))


def normalised(*layers):
    """A small network whose normalisations have something to say."""
    torch.manual_seed(0)
    net = nn.Sequential(*layers)
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
    return net.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay_and_normalisations_go(name):
    net = trained_like(name)
    batch = images(224 if "vit" in name else 64)
    before = copy.deepcopy(net.state_dict())
    ours = folded(net)
    assert norms(ours) == NETWORKS[name]
    with torch.inference_mode():
        expected = net(batch)
        error = float((ours(batch) - expected).abs().max() / expected.abs().max())
    assert error < 5e-6
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_layers_without_scale_or_bias_and_with_groups():
    net = normalised(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4, affine=False),
        nn.Conv2d(4, 4, 3, groups=2),
        BatchNormAct2d(4, act_layer=nn.SiLU),
        nn.Conv2d(4, 4, 3),
        BatchNormAct2d(4, act_layer=nn.PReLU),
    )
    ours = folded(net)
    assert norms(ours) == 0
    torch.testing.assert_close(ours(images(16)), net(images(16)))


class Branched(nn.Module):
    """A convolution that not only a normalisation reads."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.conv(x)
        return x + self.norm(x)


class Shared(Branched):
    """One convolution for two normalisations."""

    def __init__(self):
        super().__init__()
        self.other = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.conv(x)) + self.other(self.conv(2 * x))


class Read(Branched):
    """A weight that is more than that of its convolution."""

    def forward(self, x):
        return self.norm(self.conv(x)) + self.conv.weight.mean()


class Keeping(Branched):
    """A forward pass that keeps what it has computed once."""

    def __init__(self):
        super().__init__()
        self.kept = None

    def forward(self, x):
        if self.kept is None:
            self.kept = torch.ones_like(x[:1])
        return self.norm(self.conv(x)) + self.kept


class Fickle(Branched):
    """A forward pass that cannot be traced."""

    def forward(self, x):
        x = self.norm(self.conv(x))
        return x if x.mean() > 0 else -x


class FickleAndKeeping(Keeping):
    def forward(self, x):
        x = super().forward(x)
        return x if x.mean() > 0 else -x


def sharing():
    """Two convolutions of one weight."""
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    net[2].weight = net[0].weight
    return net


def other_weights():
    return nn.Sequential(weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3))


def without_statistics():
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))


def hooked():
    net = Branched()
    net.forward = lambda x: net.norm(net.conv(x))
    net.conv.register_forward_hook(lambda module, inputs, output: 2 * output)
    return net


@pytest.mark.parametrize(
    "make", [Branched, Shared, Read, Fickle, FickleAndKeeping, other_weights, without_statistics, hooked]
)
def test_what_cannot_be_folded_is_left_as_it_is(make):
    net = make().eval()
    ours = folded(net)
    assert norms(ours) == norms(net)
    torch.testing.assert_close(ours(images(8)), net(images(8)))


@pytest.mark.parametrize("make", [Keeping, sharing])
def test_folding_does_not_disturb_what_is_kept_or_shared(make):
    net = make().eval()
    ours = folded(net)
    assert norms(ours) == 0
    torch.testing.assert_close(ours(images(8)), net(images(8)))


def test_a_scaled_convolution_is_not_folded():
    """``ScaledStdConv2d`` standardises its weight in every pass: what is folded into it would be lost."""
    net = normalised(timm.layers.ScaledStdConv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert norms(folded(net)) == 1
