"""HashNet against golden values and a loop over pairs; beta's steps."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.losses.hashnet import HashNet
from bench.types import HashingTask

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/losses.json").read_text())["hashnet"]
LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]],
    "multi-label": [[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [1, 1, 1]],
    "all similar": [[1, 0, 0]] * 5,
    "all dissimilar": [[0, 0, 0]] * 5,
}


def make(bits=16, classes=3, **params):
    return HashNet(HashNet.Params(**params), HashingTask(bits, classes, 100, 0))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['bits']}b-beta{case['scale']}")
def test_golden_loss_and_gradient(case):
    loss = make(case["bits"], len(case["labels"][0]), alpha=case["alpha"])
    loss.begin_epoch(20 * (case["scale"] ** 2 - 1))
    codes = torch.tensor(case["u"], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor(case["labels"], dtype=torch.float64)
    value = sum(loss.terms(codes, labels, torch.arange(len(codes))).values())
    value.backward()
    assert value.item() == pytest.approx(case["loss"], rel=1e-9)
    np.testing.assert_allclose(codes.grad.numpy(), case["grad"], rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("kind", LABELS)
def test_terms_are_the_means_of_a_loop_over_pairs(kind):
    u = np.random.default_rng(0).normal(size=(5, 16))
    loss = make()
    loss.begin_epoch(45)
    costs = {"similar": [], "dissimilar": []}
    for i in range(5):
        for j in range(5):
            theta = 0.1 * float(np.tanh(math.sqrt(3) * u[i]) @ np.tanh(math.sqrt(3) * u[j]))
            s = int(np.dot(LABELS[kind][i], LABELS[kind][j]) > 0)
            costs["similar" if s else "dissimilar"].append(math.log(1 + math.exp(theta)) - s * theta)
    labels = torch.tensor(LABELS[kind], dtype=torch.float64)
    terms = loss.terms(torch.from_numpy(u), labels, torch.arange(5))
    for name, values in costs.items():
        assert terms[name].item() == pytest.approx(np.mean(values) if values else 0.0, rel=1e-9)


def test_beta_makes_a_step_every_period():
    loss = make(period=20)
    assert loss.beta == 1
    for epoch, beta in [(0, 1), (19, 1), (20, math.sqrt(2)), (60, 2), (149, math.sqrt(8))]:
        loss.begin_epoch(epoch)
        assert loss.beta == pytest.approx(beta)
