"""Parameters, multiply-adds, sizes and latency: expected values, agreement, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from bench.metrics.latency import Latency
from bench.metrics.macs import MultiplyAdds
from bench.metrics.params import ParameterCount
from bench.metrics.peak_memory import PeakMemory
from bench.metrics.weights import WeightsSize
from bench.types import Deployment
from tests.metrics.deployments import deployment, student


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


@pytest.mark.parametrize("size", [0, -1])
@pytest.mark.parametrize("metric", [Latency, PeakMemory])
def test_batches_have_an_image_at_least(metric, size):
    with pytest.raises(ValidationError):
        metric.Params(batch_sizes=(1, size))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch's compiler
def test_on_a_gpu():
    subject = student("cukd_v1", 64)
    subject = Deployment(subject.net.cuda(), 64, torch.device("cuda"), "bf16", 16)
    variants = ("fp32", "bf16", "channels_last", "compile")
    values = Latency(Latency.Params(batch_sizes=(1,), variants=variants)).compute(subject).values
    assert all(0 < values[f"latency_ms@1{end}"].value < 100 for end in ("", *(f":{v}" for v in variants)))
    memory = PeakMemory(PeakMemory.Params(batch_sizes=(1, 64))).compute(subject).values
    assert 13 < memory["peak_memory_mb@1"].value < memory["peak_memory_mb@64"].value
