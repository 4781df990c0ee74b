"""Supervised contrastive training: its loss against a loop, and who meets whom."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from bench.methods.supcon import SupCon, contrast
from tests.tasks import batch, noise, task

SINGLE = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 0, 1, 3]]
MULTI = SINGLE.clone()
MULTI[0, 2] = 1
kinds = pytest.mark.parametrize("labels", [SINGLE, MULTI], ids=["single-label", "multi-label"])


def make(labels, **params):
    return SupCon(SupCon.Params(**params), task(width=6, labels=np.eye(max(labels) + 1)[labels]))


def by_loop(features, labels, index, temperature):
    rows = [row / np.linalg.norm(row) for row in features.numpy()]
    costs = []
    for i, anchor in enumerate(rows):
        powers = {j: math.exp(anchor @ row / temperature) for j, row in enumerate(rows) if j != i}
        positives = [j for j in powers if float(labels[i] @ labels[j]) > 0 or index[i] == index[j]]
        if positives:
            logs = [math.log(powers[j] / sum(powers.values())) for j in positives]
            costs.append(-sum(logs) / len(logs))
    return sum(costs) / len(costs) if costs else 0.0


@kinds
@pytest.mark.parametrize("index", [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 2]])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_against_a_loop(labels, index, temperature):
    features = 3 * noise(6, 5)
    found = contrast(features, labels, torch.tensor(index), temperature)
    assert float(found) == pytest.approx(by_loop(features, labels, index, temperature))


@kinds
def test_gradient_agrees_with_finite_differences(labels):
    features = noise(6, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: contrast(x, labels, torch.arange(6), 0.5), features)


def test_images_without_a_positive_cost_nothing():
    features = noise(3, 5).requires_grad_()
    loss = contrast(features, torch.eye(3, dtype=torch.float64), torch.arange(3), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()


def test_every_image_meets_another_of_its_label_once_an_epoch():
    labels = np.repeat(np.arange(4), [1, 2, 5, 8])
    method, partners = make(list(labels), batch_size=8), set()
    for epoch in range(40):
        halves = [np.split(positions, 2) for positions in method.batches(epoch)]
        assert sorted(itertools.chain.from_iterable(images for images, _ in halves)) == list(range(16))
        for images, others in halves:
            assert (labels[images] == labels[others]).all()
            assert ((images == others) == (labels[images] == 0)).all()
            partners |= set(zip(images, others, strict=True))
    assert len(partners) == 1 + 2 + 5 * 4 + 8 * 7


def test_terms_are_those_of_the_batch():
    method = make([0, 1, 2, 0, 1, 3], temperature=0.3)
    features = noise(6, 5)
    terms = method.terms(features, batch(labels=SINGLE))
    assert set(terms) == {"contrast"}
    assert float(terms["contrast"]) == pytest.approx(by_loop(features, SINGLE, range(6), 0.3))
