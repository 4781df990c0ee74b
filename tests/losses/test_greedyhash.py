"""GreedyHash against a loop over images and classes; straight-through gradient; its classifier is trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.losses.greedyhash import GreedyHash
from bench.types import HashingTask

LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "multi-label": [[1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]],
}


def make(seed=0, multi_label=False, **params):
    return GreedyHash(GreedyHash.Params(**params), HashingTask(16, 3, 100, seed, multi_label))


def cross_entropy(binary, rows, weights, single):
    """Softmax cross-entropy per image, or binary cross-entropy per image and class, in plain loops."""
    costs = []
    for code, row in zip(binary, rows, strict=True):
        logits = [float(np.dot(weight, code)) for weight in weights]
        if single:
            costs.append(math.log(sum(math.exp(x) for x in logits)) - logits[row.index(1)])
        else:
            costs += [math.log(1 + math.exp(x)) - y * x for x, y in zip(logits, row, strict=True)]
    return sum(costs) / len(costs)


@pytest.mark.parametrize("kind", LABELS)
def test_terms_and_gradient_of_the_surrogate(kind):
    rows, single = LABELS[kind], kind == "single-label"
    u = np.random.default_rng(0).normal(size=(4, 16))
    loss = make(multi_label=not single)
    weights = loss.classifier.detach().double().numpy()
    codes = torch.tensor(u, requires_grad=True)
    terms = loss.terms(codes, torch.tensor(rows, dtype=torch.float64), torch.arange(4))
    binary = np.sign(u)
    expected = cross_entropy(binary, rows, weights, single)
    assert terms["classes"].item() == pytest.approx(expected, rel=1e-9)
    cubes = [abs(abs(x) - 1) ** 3 for x in u.ravel()]
    assert terms["quantization"].item() == pytest.approx(0.1 * sum(cubes) / len(cubes), rel=1e-9)
    # Straight through: the gradient by u is that by the binary code.
    terms["classes"].backward()
    for i, bit in [(0, 0), (1, 5), (2, 9), (3, 15)]:
        step = np.zeros_like(u)
        step[i, bit] = 1e-5
        difference = cross_entropy(binary + step, rows, weights, single) - cross_entropy(
            binary - step, rows, weights, single
        )
        assert codes.grad[i, bit].item() == pytest.approx(difference / 2e-5, abs=1e-9)


@pytest.mark.parametrize("kind", LABELS)
def test_gradient_of_the_quantization_term(kind):
    labels = torch.tensor(LABELS[kind], dtype=torch.float64)
    codes = torch.randn(4, 16, dtype=torch.float64, requires_grad=True)
    loss = make()
    assert torch.autograd.gradcheck(lambda u: loss.terms(u, labels, torch.arange(4))["quantization"], codes)


def test_the_classifier_sees_exact_bits_at_any_scale():
    loss, labels = make(), torch.eye(3)[[0]]
    value = loss.terms(torch.full((1, 16), 1e4), labels, torch.arange(1))["classes"]
    assert value == loss.terms(torch.ones(1, 16), labels, torch.arange(1))["classes"]
    # sign(0) = +1, as codes are stored.
    assert value == loss.terms(torch.zeros(1, 16), labels, torch.arange(1))["classes"]


def test_the_classifier_is_trained_and_drawn_from_the_seed():
    loss = make(seed=1)
    (parameter,) = loss.parameters()
    assert torch.equal(parameter, make(seed=1).classifier)
    assert not torch.equal(parameter, make(seed=2).classifier)
    # As the training stage places it: in place, before any step.
    parameter.data = parameter.data.double()
    codes, labels = torch.randn(4, 16, dtype=torch.float64), torch.tensor(LABELS["single-label"])
    sum(loss.terms(codes, labels.double(), torch.arange(4)).values()).backward()
    assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize(("dataset", "multi_label"), [("coco", True), ("coco", False), ("my_own", True)])
def test_rows_that_published_figures_are_not_of_say_so(dataset, multi_label):
    task = HashingTask(16, 3, 100, 0, multi_label, dataset)
    warned = GreedyHash(GreedyHash.Params(), task).summary().get("warnings", [])
    assert len(warned) == (dataset == "coco" and multi_label)
    assert all(
        "by binary cross-entropy, in the public code on their first label alone" in one for one in warned
    )


def test_the_task_says_which_cross_entropy_and_no_single_batch():
    codes, single = torch.randn(4, 16), torch.tensor(LABELS["single-label"]).float()
    loss = make(multi_label=True)
    weights = loss.classifier.detach().numpy()
    binary = cross_entropy(codes.sign().numpy(), LABELS["single-label"], weights, single=False)
    assert loss.terms(codes, single, torch.arange(4))["classes"].item() == pytest.approx(binary, rel=1e-5)
