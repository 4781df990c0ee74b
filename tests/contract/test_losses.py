"""What every hashing loss must do, run for each one on arrival."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask

BITS, CLASSES, IMAGES = 16, 5, 12


@pytest.fixture(params=LOSSES.names())
def loss(request):
    plugin = LOSSES.get(request.param)
    return plugin(plugin.Params(), HashingTask(BITS, CLASSES, IMAGES, seed=3))


@pytest.fixture(params=["single-label", "multi-label"])
def labels(request):
    generator = np.random.default_rng(0)
    rows = np.eye(CLASSES)[generator.integers(CLASSES, size=IMAGES)]
    if request.param == "multi-label":
        rows = np.maximum(rows, np.eye(CLASSES)[generator.integers(CLASSES, size=IMAGES)])
    return torch.from_numpy(rows)


def total(loss, codes, labels):
    return torch.stack(
        list(loss.terms(codes, labels.to(codes.dtype), torch.arange(len(codes))).values())
    ).sum()


def test_parameters_extend_the_common_ones_and_refuse_unknown_keys(loss):
    assert isinstance(loss.params, HashingParameters)
    with pytest.raises(ValueError, match="extra"):
        type(loss).Params.of({"no_such_key": 1})


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 30.0, 1e4])
def test_finite_from_zero_to_saturation(loss, labels, scale):
    torch.manual_seed(0)
    codes = (scale * torch.randn(IMAGES, BITS)).requires_grad_()
    value = total(loss, codes, labels)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(codes.grad).all()


def test_gradient_agrees_with_finite_differences(loss, labels):
    torch.manual_seed(1)
    codes = torch.randn(IMAGES, BITS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: total(loss, u, labels), codes, eps=1e-6, atol=1e-6)


def test_one_kind_of_pair_only_is_no_problem(loss):
    torch.manual_seed(2)
    codes = torch.randn(4, BITS)
    same = torch.eye(CLASSES)[[1, 1, 1, 1]]
    assert torch.isfinite(total(loss, codes, same))


def test_agreeing_codes_cost_less_than_opposite_ones(loss):
    torch.manual_seed(3)
    labels = torch.eye(CLASSES)[[0, 0, 0, 0]]
    code = torch.randn(1, BITS).sign()
    if hasattr(loss, "targets"):
        code = loss.targets(labels[:1])
    together = code.repeat(4, 1)
    apart = torch.cat([together[:2], -together[:2]])
    assert total(loss, together, labels) < total(loss, apart, labels)


def test_a_few_steps_of_descent_lower_the_loss(loss, labels):
    torch.manual_seed(4)
    codes = torch.randn(IMAGES, BITS, requires_grad=True)
    optimizer = torch.optim.Adam([codes], lr=0.1)
    first = None
    for _ in range(50):
        value = total(loss, codes, labels)
        first = value.item() if first is None else first
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert total(loss, codes, labels).item() < first
