"""Parameters, multiply-adds, sizes and latency: expected values, agreement, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bench.metrics.latency import Latency
from bench.metrics.macs import MultiplyAdds
from bench.metrics.params import ParameterCount
from bench.metrics.weights import WeightsSize
from bench.registry import STUDENTS
from bench.types import Deployment
from models.heads import hash_network


def deployment(net: nn.Module, size: int, bits: int = 16) -> Deployment:
    return Deployment(net.eval(), size, torch.device("cpu"), "fp32", bits)


def student(name: str, size: int, bits: int = 16) -> Deployment:
    plugin = STUDENTS.get(name)
    network = plugin(plugin.Params(weights="none"))
    return deployment(hash_network(network.build(), network.feature_dim(size), bits), size, bits)


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


def test_a_convolution_and_a_linear_layer_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(4 * 64, 10))
    macs = MultiplyAdds(MultiplyAdds.Params()).compute(deployment(net, 8)).values["macs"].value
    assert macs == 8 * 8 * 4 * 3 * 9 + 4 * 64 * 10


class _Fails(nn.Module):
    def forward(self, images):
        raise RuntimeError("no forward")


@pytest.mark.parametrize("fails", [False, True])
def test_the_measured_net_is_left_as_it_was(fails):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if fails:
        net.append(_Fails())
    net.train()
    net[1].eval()
    before = copy.deepcopy(net.state_dict())
    subject = Deployment(net, 16, torch.device("cpu"), "fp32", 16)
    for metric in (MultiplyAdds, ParameterCount, WeightsSize):
        if fails and metric is MultiplyAdds:
            with pytest.raises(RuntimeError, match="no forward"):
                metric(metric.Params()).compute(subject)
        else:
            metric(metric.Params()).compute(subject)
    assert list(net.state_dict()) == list(before)
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())
    assert [module.training for module in (net, net[0], net[1])] == [True, True, False]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_sizes_in_bytes():
    net = nn.Sequential(nn.Linear(10, 12), nn.BatchNorm1d(12))
    values = WeightsSize(WeightsSize.Params()).compute(deployment(net, 16, bits=12)).values
    # 132 + 24 parameters, 24 running statistics in float32, and one int64 counter.
    assert values["weights_mb"].value == pytest.approx((132 + 24 + 24) * 4e-6 + 8e-6)
    assert values["code_bytes"].value == 2


def test_latency_keeps_samples_and_conditions():
    params = Latency.Params(batch_sizes=(1, 2), samples=6, warmup_seconds=0.1)
    values = Latency(params).compute(student("cukd_v1", 32)).values
    assert set(values) == {"latency_ms@1", "throughput_ips@1", "latency_ms@2", "throughput_ips@2"}
    latency = values["latency_ms@2"]
    assert len(latency.samples) == 6
    assert min(latency.samples) <= latency.value <= latency.detail["p95_ms"] <= max(latency.samples)
    assert latency.detail["batch_size"] == 2
    assert values["throughput_ips@2"].value == pytest.approx(2e3 / latency.value)


@pytest.mark.gpu
def test_cuda_events_time_the_device():
    subject = student("cukd_v1", 64)
    subject = Deployment(subject.net.cuda(), 64, torch.device("cuda"), "bf16", 16)
    values = Latency(Latency.Params(batch_sizes=(1,))).compute(subject).values
    assert 0 < values["latency_ms@1"].value < 100
