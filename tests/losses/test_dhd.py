"""Deep hash distillation against loops over images, classes and bits; what follows what; its proxies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.losses.dhd import Dhd, bit_cross_entropy
from bench.types import HashingTask
from models.layers.heads import CentredHead

LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "multi-label": [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]],
}


def make(bits=16, classes=3, seed=0, **params):
    return Dhd(Dhd.Params(**params), HashingTask(bits, classes, 100, seed))


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


def by_proxies(codes, rows, proxies, temperature):
    costs = []
    for code, row in zip(codes, rows, strict=True):
        logits = [cosine(code, proxy) / temperature for proxy in proxies]
        total = math.log(sum(map(math.exp, logits)))
        costs.append(sum(total - x for x, label in zip(logits, row, strict=True) if label) / max(sum(row), 1))
    return sum(costs) / len(costs)


def by_estimators(codes, deviation):
    """Binary cross-entropy of both estimators, bit by bit, as published."""
    costs = []
    for bit in codes.ravel().tolist():
        for sign in (1, -1):
            estimate = math.exp(-((bit - sign) ** 2) / (2 * deviation**2))
            costs.append(-math.log(estimate) if sign * bit > 0 else -math.log(1 - estimate))
    return 2 * sum(costs) / len(costs)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(("temperature", "deviation"), [(0.2, 0.5), (1.0, 0.3)])
def test_it_is_the_formulas(kind, temperature, deviation):
    rows, raw = LABELS[kind], np.random.default_rng(0).normal(size=(8, 16))
    loss = make(temperature=temperature, deviation=deviation, distillation_weight=2, quantization_weight=3)
    terms = loss.terms(torch.from_numpy(raw), torch.tensor(rows + rows, dtype=torch.float64), None)
    weak, strong = np.tanh(raw[:4]), np.tanh(raw[4:])
    proxies = by_proxies(weak.tolist(), rows, loss.proxies.tolist(), temperature)
    assert terms["proxies"].item() == pytest.approx(proxies, rel=1e-6)
    apart = sum(1 - cosine(*pair) for pair in zip(strong.tolist(), weak.tolist(), strict=True)) / 4
    assert terms["distillation"].item() == pytest.approx(2 * apart, rel=1e-9)
    assert terms["quantization"].item() == pytest.approx(3 * by_estimators(weak, deviation), rel=1e-9)


def test_strong_views_follow_weak_ones_and_not_the_other_way_round():
    codes, labels = torch.randn(8, 16, requires_grad=True), torch.eye(3)[[0, 1, 2, 0] * 2]
    loss = make()
    loss.terms(codes, labels, None)["distillation"].backward()
    assert codes.grad[:4].count_nonzero() == 0
    assert codes.grad[4:].count_nonzero() > 0
    codes.grad = None
    terms = loss.terms(codes, labels, None)
    (terms["proxies"] + terms["quantization"]).backward()
    assert codes.grad[4:].count_nonzero() == 0


def test_gradient_of_strong_views_agrees_with_finite_differences():
    torch.manual_seed(0)
    loss, labels = make(), torch.eye(3, dtype=torch.float64)[[0, 1, 2] * 2]
    weak = torch.randn(3, 16, dtype=torch.float64)
    strong = torch.randn(3, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda u: loss.terms(torch.cat([weak, u]), labels, None)["distillation"], strong
    )


def test_bits_cost_least_at_either_sign_and_both_signs_alike():
    sizes = torch.linspace(0, 1, 11, dtype=torch.float64)
    costs = [bit_cross_entropy(size[None], 0.5).item() for size in sizes]
    assert costs == sorted(costs, reverse=True)
    assert costs == [bit_cross_entropy(-size[None], 0.5).item() for size in sizes]
    assert costs[-1] == pytest.approx(-math.log(1 - math.exp(-8)))


def test_proxies_are_drawn_from_the_seed_and_learnt():
    (proxies,) = make(seed=1).parameters()
    assert torch.equal(proxies, make(seed=1).proxies)
    assert not torch.equal(proxies, make(seed=2).proxies)
    bound = 5 / 3 * math.sqrt(6 / 19)
    assert 0.8 * bound < proxies.abs().max().item() <= bound
    loss = make()
    loss.terms(torch.randn(4, 16), torch.eye(3)[[0, 1] * 2], None)["proxies"].backward()
    assert loss.proxies.grad.count_nonzero() > 0


def test_its_head_is_normalised_over_bits_and_one_bit_is_refused():
    assert isinstance(make().trained_head(torch.nn.Linear(12, 16)), CentredHead)
    assert Dhd.check(1) == "dhd needs 2 bits or more, which it normalises together, not 1"
    assert Dhd.check(2) is None
