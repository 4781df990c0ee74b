"""OrthoHash against loops over images and classes; its centers; the head that is folded after training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.losses.orthohash import OrthoHash
from bench.types import HashingTask
from models.layers.heads import BalancedHead

LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "multi-label": [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]],
}


def make(bits=16, classes=3, seed=0, **params):
    return OrthoHash(OrthoHash.Params(**params), HashingTask(bits, classes, 100, seed))


def naive(codes, rows, centers, margin, scale):
    """The mean over images, in plain loops."""
    costs = []
    for code, row in zip(codes, rows, strict=True):
        logits = []
        for center, label in zip(centers, row, strict=True):
            product = sum(a * b for a, b in zip(code, center, strict=True))
            length = math.sqrt(sum(a * a for a in code)) * math.sqrt(len(center))
            logits.append(scale * (product / length - margin * label))
        total = math.log(sum(math.exp(x) for x in logits))
        costs.append(sum(total - x for x, label in zip(logits, row, strict=True) if label) / max(sum(row), 1))
    return sum(costs) / len(costs)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(("margin", "scale"), [(0.2, 8.0), (0.0, 1.0), (0.5, 20.0)])
def test_it_is_the_formula(kind, margin, scale):
    rows, codes = LABELS[kind], np.random.default_rng(0).normal(size=(4, 16))
    loss = make(margin=margin, scale=scale)
    (value,) = loss.terms(
        torch.from_numpy(codes), torch.tensor(rows, dtype=torch.float64), torch.arange(4)
    ).values()
    expected = naive(codes.tolist(), rows, loss.centers.tolist(), margin, scale)
    assert value.item() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.permutations(range(6)))
def test_neither_the_length_of_a_code_nor_the_order_of_images_or_bits_counts(seed, factor, order):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(6, 16, generator=generator, dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)[torch.randint(3, (6,), generator=generator)]
    loss, index = make(), torch.arange(6)
    value = loss.terms(codes, labels, index)["centers"].item()
    turned = loss.terms(factor * codes[order], labels[order], index)["centers"].item()
    assert turned == pytest.approx(value, rel=1e-9)
    bits = torch.randperm(16, generator=generator)
    loss.centers = loss.centers[:, bits]
    assert loss.terms(codes[:, bits], labels, index)["centers"].item() == pytest.approx(value, rel=1e-9)


def test_the_margin_asks_more_of_the_right_class():
    codes, labels = torch.randn(4, 16), torch.tensor(LABELS["single-label"]).float()
    values = [make(margin=m).terms(codes, labels, torch.arange(4))["centers"].item() for m in (0.0, 0.2, 0.5)]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_random_centers_are_drawn_from_the_seed_and_differ():
    assert torch.equal(make(seed=1).centers, make(seed=1).centers)
    assert not torch.equal(make(seed=1).centers, make(seed=2).centers)
    centers = make(bits=48, classes=200).centers
    assert set(centers.unique().tolist()) == {-1.0, 1.0}
    assert abs(centers.mean().item()) < 0.05
    assert len(make(bits=8, classes=200).centers.unique(dim=0)) == 200
    assert make(bits=4, classes=20).summary()["repeated_centers"] == 4


def test_hadamard_centers_are_orthogonal_and_need_a_power_of_two():
    loss = make(bits=16, classes=16, centers="hadamard")
    assert torch.equal(loss.centers @ loss.centers.T, 16 * torch.eye(16))
    task = HashingTask(48, 10, 100, 0)
    refusal = OrthoHash.check_task(OrthoHash.Params(centers="hadamard"), task)
    assert refusal == "Hadamard centers need a power of two as code length, not 48; use bernoulli"
    assert OrthoHash.check_task(OrthoHash.Params(), task) is None
    assert OrthoHash.check(48) is None


def test_normalisation_is_trained_and_folded_where_it_is_asked_for():
    linear = torch.nn.Linear(12, 16)
    assert make(batch_norm=False).trained_head(linear) is linear
    head = make().trained_head(linear)
    assert isinstance(head, BalancedHead)
    assert type(head.folded()) is torch.nn.Linear
