"""Peak memory against tensors whose sizes are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.metrics.peak_memory import PeakMemory
from tests.metrics.deployments import deployment


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
