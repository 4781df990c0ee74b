"""Multiply-adds against counts by hand, published figures and other counters."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from bench.metrics.macs import MultiplyAdds
from bench.metrics.params import ParameterCount
from tests.metrics.deployments import deployment, student


@pytest.mark.parametrize(
    ("name", "params", "giga"), [("cukd_v1", 3_338_704, 1.087), ("cukd_v2", 4_863_696, 1.111)]
)
def test_the_published_students_cost_what_they_should(name, params, giga):
    subject = student(name, 224)
    assert ParameterCount(ParameterCount.Params()).compute(subject).values["params"].value == params
    macs = MultiplyAdds(MultiplyAdds.Params()).compute(subject).values["macs"]
    assert macs.value / 1e9 == pytest.approx(giga, abs=5e-4)
    assert macs.detail["counters_agree"] is True


@pytest.mark.parametrize("name", ["cukd_v1", "efficientnet_lite0", "timm:vit_tiny_patch16_224"])
def test_two_counters_agree_to_the_last_operation(name):
    values = MultiplyAdds(MultiplyAdds.Params()).compute(student(name, 224)).values
    assert values["macs"].value == values["macs_torch"].value
    assert values["macs"].value < values["macs_fvcore"].value
    # thop counts modules of the types it knows: it misses padded convolutions and products of attention.
    assert (values["macs_thop"].value > values["macs"].value) == (name == "cukd_v1")


@pytest.mark.parametrize(
    ("name", "params", "thop_millions", "giga"),
    [("resnet50", 25_557_032, 25.557, 4.089), ("vit_b_16", 86_567_656, 58.07, 17.56)],
)
def test_networks_that_everybody_counts(name, params, thop_millions, giga):
    """thop knows no parameters that stand outside a module of its list, such as those of attention."""
    subject = deployment(getattr(torchvision.models, name)(weights=None), 224)
    assert ParameterCount(ParameterCount.Params()).compute(subject).values["params"].value == params
    values = MultiplyAdds(MultiplyAdds.Params()).compute(subject).values
    assert values["params_thop"].value / 1e6 == pytest.approx(thop_millions, abs=5e-3)
    assert values["macs"].value / 1e9 == pytest.approx(giga, abs=5e-3)
    assert values["flops"].value == 2 * values["macs"].value


def test_what_counters_print_of_a_small_network():
    """The figures of the README: products alone, with normalisation and pooling, and thop's own way."""
    subject = student("torchvision:mobilenet_v3_small", 224)
    values = MultiplyAdds(MultiplyAdds.Params()).compute(subject).values
    counts = [values[name].value / 1e6 for name in ("macs", "macs_fvcore", "macs_thop")]
    assert counts == pytest.approx([55.5, 58.6, 61.5], abs=0.05)
    assert values["macs"].detail["counters_agree"] is True


def test_what_a_counter_misses_is_said():
    """torchvision's attention is a fused product, unseen by fvcore."""
    subject = deployment(torchvision.models.vit_b_16(weights=None), 224)
    values = MultiplyAdds(MultiplyAdds.Params()).compute(subject).values
    macs = values["macs"]
    assert macs.detail["counters_agree"] is False
    assert macs.value == values["macs_torch"].value == sum(macs.detail["by_operator"].values())
    assert sum(values["macs_fvcore"].detail["by_operator"].values()) < macs.value
    assert macs.detail["fully_counted"] is True


class _Recurrent(nn.Module):
    """An LSTM over the rows of an image, behind a small convolution."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1, bias=False)
        self.rows = nn.LSTM(4 * 16, 32, batch_first=True)

    def forward(self, images):
        return self.rows(self.stem(images).permute(0, 2, 1, 3).flatten(2))[0][:, -1]


def test_two_blind_counters_do_not_agree():
    """On a CPU an LSTM is one operator, which neither fvcore nor torch's counter knows."""
    values = MultiplyAdds(MultiplyAdds.Params()).compute(deployment(_Recurrent(), 16)).values
    stem = 16 * 16 * 3 * 4
    assert values["macs_fvcore"].value == values["macs_torch"].value == stem
    assert values["macs"].value == stem + 16 * 4 * 32 * (64 + 32)
    assert values["macs"].detail["counters_agree"] is False
    assert values["macs"].detail["fully_counted"] is True


class _Spectrum(nn.Module):
    def forward(self, images):
        return torch.fft.rfft2(images).abs().flatten(1)


def test_what_nobody_counts_is_named():
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), _Spectrum())
    values = MultiplyAdds(MultiplyAdds.Params()).compute(deployment(net, 16)).values
    macs = values["macs"]
    assert macs.value == values["macs_torch"].value == 16 * 16 * 3 * 4
    assert macs.detail["uncounted_operators"] == {"_fft_r2c": 1}
    assert macs.detail["counters_agree"] is macs.detail["fully_counted"] is False
    assert values["flops"].detail["fully_counted"] is False


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
def test_a_scripted_network_is_counted():
    """Hooks, by which fvcore and thop count, cannot be put into it."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 8)).eval()
    net = torch.jit.script(layers)
    values = MultiplyAdds(MultiplyAdds.Params()).compute(deployment(net, 8)).values
    assert values["macs"].value == 36 * 4 * 27 + 4 * 36 * 8
    assert values["macs"].detail["fully_counted"] is True
    assert {"macs_fvcore", "macs_thop", "params_thop"}.isdisjoint(values)


def test_a_convolution_and_a_linear_layer_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(4 * 64, 10))
    macs = MultiplyAdds(MultiplyAdds.Params()).compute(deployment(net, 8)).values["macs"].value
    assert macs == 8 * 8 * 4 * 3 * 9 + 4 * 64 * 10
