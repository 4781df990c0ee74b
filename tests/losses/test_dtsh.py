"""DTSH against a loop over triplets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.losses.dtsh import Dtsh
from bench.types import HashingTask

LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]],
    # The last image but one has no positive, the last no negative among the labelled ones.
    "multi-label": [[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]],
    "no negative": [[1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "no positive": [[0, 0, 0]] * 5,
}


def make(**params):
    return Dtsh(Dtsh.Params(**params), HashingTask(16, 3, 100, 0))


def oracle(u, rows, margin):
    anchors = []
    for a in range(len(u)):
        positive = [i for i in range(len(u)) if np.dot(rows[a], rows[i]) > 0]
        negative = [i for i in range(len(u)) if np.dot(rows[a], rows[i]) == 0]
        costs = []
        for p in positive:
            for n in negative:
                lead = float(u[a] @ u[p]) - float(u[a] @ u[n]) - margin
                costs.append(math.log1p(math.exp(-min(max(lead, -100), 50))))
        if costs:
            anchors.append(sum(costs) / len(costs))
    return sum(anchors) / len(anchors) if anchors else 0.0


# At scale 5 most arguments are beyond the bounds.
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("kind", LABELS)
def test_terms_are_those_of_a_loop_over_triplets(kind, scale):
    u = scale * np.random.default_rng(0).normal(size=(5, 16))
    labels = torch.tensor(LABELS[kind], dtype=torch.float64)
    terms = make().terms(torch.from_numpy(u), labels, torch.arange(5))
    assert terms["triplets"].item() == pytest.approx(oracle(u, LABELS[kind], 5.0), rel=1e-9)
    assert terms["quantization"].item() == pytest.approx(np.square(u - np.sign(u)).mean(), rel=1e-9)


def test_margin_and_weight_are_parameters():
    u = np.random.default_rng(1).normal(size=(5, 16))
    labels = torch.tensor(LABELS["single-label"], dtype=torch.float64)
    terms = make(margin=2.0, quantization_weight=0.5).terms(torch.from_numpy(u), labels, torch.arange(5))
    assert terms["triplets"].item() == pytest.approx(oracle(u, LABELS["single-label"], 2.0), rel=1e-9)
    assert terms["quantization"].item() == pytest.approx(0.5 * np.square(u - np.sign(u)).mean(), rel=1e-9)


def test_a_code_of_zeros_is_its_own_sign():
    codes = torch.zeros(2, 16, dtype=torch.float64, requires_grad=True)
    term = make().terms(codes, torch.eye(3, dtype=torch.float64)[:2], torch.arange(2))["quantization"]
    term.backward()
    assert term.item() == 0
    assert not codes.grad.any()


def test_an_image_is_its_own_positive():
    # Two classes of one image each: the only triplets are (a, a, n).
    u = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    value = make().terms(u, torch.eye(3, dtype=torch.float64)[:2], torch.arange(2))["triplets"].item()
    assert value == pytest.approx(math.log1p(math.exp(-(2 - 0 - 5))), rel=1e-9)
