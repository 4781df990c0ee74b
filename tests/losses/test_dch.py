"""DCH against golden values and the terms as the paper writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.losses.dch import MAX_COSINE, Dch, scaled_distance
from bench.types import HashingTask

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/losses.json").read_text())["dch"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['bits']}b-gamma{case['gamma']:g}")
def test_golden_loss_and_gradient(case):
    params = Dch.Params(gamma=case["gamma"], quantization_weight=case["quantization_weight"])
    loss = Dch(params, HashingTask(case["bits"], len(case["labels"][0]), len(case["u"]), 0))
    codes = torch.tensor(case["u"], dtype=torch.float64, requires_grad=True)
    terms = loss.terms(codes, torch.tensor(case["labels"], dtype=torch.float64), torch.arange(len(codes)))
    value = terms["pairs"] + terms["quantization"]
    value.backward()
    assert value.item() == pytest.approx(case["loss"], abs=1e-5)
    np.testing.assert_allclose(codes.grad.numpy(), case["grad"], atol=1e-5)


def test_pairs_are_the_cross_entropy_of_the_cauchy_similarity():
    torch.manual_seed(0)
    codes = torch.randn(6, 16, dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 1, 2, 2]]
    loss = Dch(Dch.Params(), HashingTask(16, 3, 6, 0))
    expected = 0.0
    for i in range(6):
        for j in range(6):
            cosine = torch.cosine_similarity(codes[i], codes[j], dim=0).clamp(max=MAX_COSINE)
            sigma = 20 / (20 + 8 * (1 - cosine))
            similar = (labels[i] @ labels[j]).item() > 0
            weight = 36 / 12 if similar else 36 / 24
            expected -= weight * torch.log(sigma if similar else 1 - sigma).item() / 36
    pairs = loss.terms(codes, labels, torch.arange(6))["pairs"].item()
    # -log sigma = log(1 + d / gamma); the public code's log(d / gamma) + log(1 + gamma / d) is the same.
    assert pairs == pytest.approx(expected, rel=1e-9)


def test_zero_codes_have_a_value_and_a_finite_gradient():
    """Cosine 0, so log(1 + 8 / 20) of pairs and a tenth of it of quantization; the public code's is NaN."""
    codes = torch.zeros(3, 16, requires_grad=True)
    value = sum(
        Dch(Dch.Params(), HashingTask(16, 1, 3, 0)).terms(codes, torch.ones(3, 1), torch.arange(3)).values()
    )
    value.backward()
    assert value.item() == pytest.approx(0.37011946, abs=5e-8)
    assert torch.isfinite(codes.grad).all()


def test_distance_is_bounded_even_for_zero_codes():
    zero = torch.zeros(2, 16)
    assert torch.equal(scaled_distance(zero, zero), torch.full((2, 2), 8.0))
    one = torch.ones(1, 16)
    assert scaled_distance(one, one).item() == pytest.approx(0.005 * 16)
    assert scaled_distance(one, -one).item() == pytest.approx(16)
