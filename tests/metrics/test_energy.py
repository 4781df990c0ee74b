"""Joules per image, with a GPU that is not there played by a counter."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bench.errors import BenchError, MissingPackageError
from bench.metrics.energy import Energy
from bench.types import Deployment


class _Counts(nn.Module):
    """Runs where it is, and draws 3 joules per image."""

    def __init__(self, meter: dict[str, int]) -> None:
        super().__init__()
        self.meter = meter

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.meter["millijoules"] += 3000 * len(images)
        return images


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Let NVML and torch see a GPU that is a number."""
    pynvml = pytest.importorskip("pynvml")
    state = {"millijoules": 10**9, "open": 0}

    def count(change: int) -> Any:
        return lambda: state.__setitem__("open", state["open"] + change)

    monkeypatch.setattr(pynvml, "nvmlInit", count(1))
    monkeypatch.setattr(pynvml, "nvmlShutdown", count(-1))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: state["millijoules"])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid="x"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    real = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape, **where: real(*shape))
    return state


def deployment(meter: dict[str, int], device: str) -> Deployment:
    return Deployment(_Counts(meter).eval(), 8, torch.device(device), "fp32", 16)


def test_the_warm_up_is_not_counted(meter: dict[str, int]) -> None:
    params = Energy.Params(batch_sizes=(2, 5), seconds=1)
    values = Energy(params).compute(deployment(meter, "cuda:0")).values
    assert {name: value.value for name, value in values.items()} == {"energy_j@2": 3, "energy_j@5": 3}
    value = values["energy_j@5"]
    assert value.detail["images"] % 5 == 0
    assert value.detail["watts"] == pytest.approx(3 * value.detail["images"] / value.detail["seconds"])
    assert meter["open"] == 0


def test_a_gpu_without_a_counter(meter: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def refuse(handle: object) -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    with pytest.raises(BenchError, match="no energy counter on this GPU .Not Supported.; drop it"):
        Energy(Energy.Params()).compute(deployment(meter, "cuda:0"))
    assert meter["open"] == 0


def test_a_counter_that_stands_still(meter: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: 10**9)
    with pytest.raises(BenchError, match="energy counter did not move"):
        Energy(Energy.Params(seconds=1)).compute(deployment(meter, "cuda:0"))


def test_on_a_cpu() -> None:
    with pytest.raises(BenchError, match="energy is measured on NVIDIA GPUs, not on 'cpu'"):
        Energy(Energy.Params()).compute(deployment({}, "cpu"))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hash-pareto\[energy\]'"):
        Energy(Energy.Params())


def test_a_plan_says_what_is_missing_before_any_work(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pynvml" else find(name, *rest)
    )
    result = tiny("run", edit=("measure: {", "measure: {energy: {}, "))
    assert result.code == 2
    assert "the metric 'energy' needs an optional package" in result.err


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    net = nn.Conv2d(3, 64, 7).cuda().eval()
    subject = Deployment(net, 224, torch.device("cuda"), "fp32", 16)
    value = Energy(Energy.Params(batch_sizes=(64,), seconds=2)).compute(subject).values["energy_j@64"]
    assert 0 < value.value < 10
    assert 20 < value.detail["watts"] < 2000
