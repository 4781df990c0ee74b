"""Parameters, multiply-adds, sizes and latency: expected values, agreement, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from pydantic import ValidationError
from torch import nn

from bench.errors import BenchError
from bench.metrics.latency import Latency
from bench.metrics.macs import MultiplyAdds
from bench.metrics.params import ParameterCount
from bench.metrics.peak_memory import PeakMemory
from bench.metrics.weights import WeightsSize
from bench.registry import STUDENTS
from bench.types import Deployment
from models.layers.heads import hash_network


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
    params = Latency.Params(batch_sizes=(1, 2), samples=6, warmup_seconds=0.1, budget_seconds=0.5)
    values = Latency(params).compute(student("cukd_v1", 32)).values
    assert set(values) == {"latency_ms@1", "throughput_ips@1", "latency_ms@2", "throughput_ips@2"}
    latency = values["latency_ms@2"]
    assert len(latency.samples) == latency.detail["taken"] >= 6
    assert min(latency.samples) <= latency.value <= latency.detail["p95_ms"] <= max(latency.samples)
    assert latency.detail["batch_size"] == 2
    assert values["throughput_ips@2"].value == pytest.approx(2e3 / latency.value)


def test_variants_deploy_copies():
    subject = student("cukd_v1", 32)
    before = copy.deepcopy(subject.net.state_dict())
    params = Latency.Params(
        batch_sizes=(1,), budget_seconds=0.2, variants=("bf16", "fp32", "channels_last", "bf16")
    )
    values = Latency(params).compute(subject).values
    precisions = {
        name.partition("@1")[2]: value.detail["precision"]
        for name, value in values.items()
        if name.startswith("latency_ms")
    }
    assert precisions == {"": "fp32", ":bf16": "bf16", ":fp32": "fp32", ":channels_last": "fp32"}
    after = subject.net.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(tensor.dtype == before[name].dtype for name, tensor in after.items())


COMPILE = Latency.Params(batch_sizes=(2,), budget_seconds=0.2, variants=("compile",))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_variant():
    values = Latency(COMPILE).compute(student("cukd_v1", 32)).values
    assert values["latency_ms@2:compile"].value > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_every_network_and_batch_size_is_compiled(monkeypatch):
    """Dynamo gives up silently after some recompilations of one code object, in whatever network."""
    compiled, build = [], torch.compile

    def count(graph, inputs):
        compiled.append(inputs)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda net, **options: build(net, backend=count, **options))
    params = Latency.Params(batch_sizes=(1, 2), budget_seconds=0.05, variants=("compile",))
    for width in range(3, 12):
        net = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(width * 36, 4))
        Latency(params).compute(deployment(net, 8))
    assert len(compiled) == 9 * 2


@pytest.mark.parametrize("size", [0, -1])
@pytest.mark.parametrize("metric", [Latency, PeakMemory])
def test_batches_have_an_image_at_least(metric, size):
    with pytest.raises(ValidationError):
        metric.Params(batch_sizes=(1, size))


def test_a_network_that_does_not_compile(monkeypatch):
    def refuse(net, **options):
        def call(images):
            raise RuntimeError("no C++ compiler\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(
        BenchError, match=r"cannot build the network .no C.. compiler.; install a C.."
    ) as error:
        Latency(COMPILE).compute(student("cukd_v1", 32))
    assert "\n" not in str(error.value)


class _Doubles(nn.Module):
    def forward(self, images):
        return torch.cat([images, images]).relu()


def test_peak_memory_by_hand():
    """The batch, twice the batch, and its copy by the ReLU are alive together."""
    values = PeakMemory(PeakMemory.Params(batch_sizes=(1, 4))).compute(deployment(_Doubles(), 64)).values
    for batch in (1, 4):
        size = batch * 3 * 64 * 64 * 4 / 1e6
        assert values[f"peak_memory_mb@{batch}"].value == pytest.approx(5 * size, rel=1e-3)


def test_peak_memory_counts_what_is_released_as_released():
    deep = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(20)])
    value = PeakMemory(PeakMemory.Params(batch_sizes=(1,))).compute(deployment(deep, 64)).values
    assert value["peak_memory_mb@1"].value < 5 * 3 * 64 * 64 * 4 / 1e6


@pytest.mark.gpu
def test_on_a_gpu():
    subject = student("cukd_v1", 64)
    subject = Deployment(subject.net.cuda(), 64, torch.device("cuda"), "bf16", 16)
    variants = ("fp32", "bf16", "channels_last", "compile")
    values = Latency(Latency.Params(batch_sizes=(1,), variants=variants)).compute(subject).values
    assert all(0 < values[f"latency_ms@1{end}"].value < 100 for end in ("", *(f":{v}" for v in variants)))
    memory = PeakMemory(PeakMemory.Params(batch_sizes=(1, 64))).compute(subject).values
    assert 13 < memory["peak_memory_mb@1"].value < memory["peak_memory_mb@64"].value
