"""What every hashing loss must do, run for each one on arrival."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.planning.search_space import points, range_fault
from bench.planning.tuned import tunable
from bench.registry import LOSSES
from bench.types import HashingParameters, HashingTask
from tests.spaces import within

BITS, CLASSES, IMAGES = 16, 5, 12
#: Losses whose gradient is on purpose not the derivative of their value; their own tests compare it with
#: finite differences of what takes the value's place.
SURROGATE_GRADIENT = {
    "dpsh": "the batch also enters the memory, which has no gradient",
    "greedyhash": "the gradient passes straight through sign, whose derivative is 0",
}
TRAINED = [name for name in LOSSES.names() if LOSSES.get(name).trains]


def make(name):
    plugin = LOSSES.get(name)
    return plugin(plugin.Params(), HashingTask(BITS, CLASSES, IMAGES, seed=3))


@pytest.fixture(params=TRAINED)
def loss(request):
    return make(request.param)


@pytest.fixture(params=["single-label", "multi-label"])
def labels(request):
    generator = np.random.default_rng(0)
    rows = np.eye(CLASSES)[generator.integers(CLASSES, size=IMAGES)]
    if request.param == "multi-label":
        rows = np.maximum(rows, np.eye(CLASSES)[generator.integers(CLASSES, size=IMAGES)])
    return torch.from_numpy(rows)


def total(loss, codes, labels):
    """The sum of the terms; where a step has several views, images look the same in all."""
    views, index = type(loss).views_per_step, torch.arange(len(codes))
    shown = codes.repeat(views, 1), labels.to(codes.dtype).repeat(views, 1), index.repeat(views)
    return torch.stack(list(loss.terms(*shown).values())).sum()


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


@pytest.mark.parametrize("name", [name for name in TRAINED if name not in SURROGATE_GRADIENT])
def test_gradient_agrees_with_finite_differences(name, labels):
    loss = make(name)
    torch.manual_seed(1)
    codes = torch.randn(IMAGES, BITS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: total(loss, u, labels), codes, eps=1e-6, atol=1e-6)


def test_one_kind_of_pair_only_is_no_problem(loss):
    torch.manual_seed(2)
    codes = torch.randn(4, BITS)
    same = torch.eye(CLASSES)[[1, 1, 1, 1]]
    assert torch.isfinite(total(loss, codes, same))


def descend(parameters, value):
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        value().backward()
        optimizer.step()


def test_agreeing_codes_cost_less_than_opposite_ones(loss):
    torch.manual_seed(3)
    classes = [0, 0, 1, 1]
    labels = torch.eye(CLASSES)[classes]
    # One code per class, as the loss wants it: some have targets, some a classifier, some neither.
    raw = torch.randn(2, BITS, requires_grad=True)
    descend([raw], lambda: total(loss, raw[classes], labels))
    together = raw.detach().sign()[classes]
    apart = together * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert total(loss, together, labels) < total(loss, apart, labels)


def test_a_few_steps_of_descent_lower_the_loss(loss, labels):
    torch.manual_seed(4)
    codes = torch.randn(IMAGES, BITS, requires_grad=True)
    first = total(loss, codes, labels).item()
    descend([codes, *loss.parameters()], lambda: total(loss, codes, labels))
    assert total(loss, codes, labels).item() < first


def test_making_a_loss_draws_nothing_from_the_global_generators(loss):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    type(loss)(loss.params, loss.task)
    assert (torch.rand(1), np.random.random()) == expected


def test_the_seed_decides_everything_that_is_drawn(loss, labels):
    codes = torch.linspace(-2, 2, IMAGES * BITS).reshape(IMAGES, BITS)
    again = type(loss)(loss.params, loss.task)
    assert total(loss, codes, labels) == total(again, codes, labels)


@pytest.mark.gpu
def test_a_gpu_finds_the_same_terms_and_gradients(loss, labels):
    torch.manual_seed(6)
    found = []
    codes = torch.randn(IMAGES, BITS)
    for device in ("cpu", "cuda"):
        there = type(loss)(loss.params, loss.task)
        for parameter in there.parameters():
            parameter.data = parameter.data.to(device)
        there.begin_epoch(0)
        outputs = codes.clone().to(device).requires_grad_()
        index = torch.arange(IMAGES, device=device)
        terms = there.terms(outputs, labels.float().to(device), index)
        torch.stack(list(terms.values())).sum().backward()
        found.append([*terms.values(), outputs.grad])
    for one, other in zip(*found, strict=True):
        assert other.device.type == "cuda"
        torch.testing.assert_close(other.cpu(), one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_tuning_searches_are_parameters_with_their_defaults_inside(name):
    plugin = LOSSES.get(name)
    assert {"lr", "head_lr_scale", "weight_decay"} < set(plugin.space), (
        "declare what a tuning searches: space"
    )
    assert set(plugin.space) <= set(tunable(plugin))
    for parameter, searched in plugin.space.items():
        assert range_fault(searched) is None, parameter
        assert within(getattr(plugin.Params(), parameter), searched), f"{parameter}: its default is outside"
        for value in searched[:2]:
            plugin.Params.of({parameter: value})
    for values in points(plugin.space, plugin.Params, 8, 0):
        plugin.Params.of(values)
