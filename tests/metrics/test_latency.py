"""Timings of a forward pass: samples, conditions, variants."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bench.errors import BenchError
from bench.metrics.latency import Latency
from tests.metrics.deployments import deployment, student


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
