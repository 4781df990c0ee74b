"""DPN against a loop over images and bits; its random targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.losses.dpn import Dpn, class_targets
from bench.types import HashingTask

LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "multi-label": [[1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1]],
}


def make(bits=16, classes=3, seed=0, **params):
    return Dpn(Dpn.Params(**params), HashingTask(bits, classes, 100, seed))


@pytest.mark.parametrize("margin", [1.0, 0.5])
@pytest.mark.parametrize("kind", LABELS)
def test_term_is_the_mean_of_a_loop_over_bits(kind, margin):
    u, loss = np.random.default_rng(0).normal(size=(4, 16)), make(margin=margin)
    costs = []
    for i, row in enumerate(LABELS[kind]):
        for bit in range(16):
            vote = sum(loss.centers[label, bit].item() for label in range(3) if row[label])
            target = loss.tie_break[bit].item() if vote == 0 else (1 if vote > 0 else -1)
            costs.append(max(0.0, margin - u[i, bit] * target))
    labels = torch.tensor(LABELS[kind], dtype=torch.float64)
    value = loss.terms(torch.from_numpy(u), labels, torch.arange(4))["polarization"].item()
    assert value == pytest.approx(sum(costs) / len(costs), rel=1e-9)


@pytest.mark.parametrize(("bits", "classes"), [(16, 10), (48, 81), (64, 1000), (8, 70)])
def test_half_of_each_target_is_negative_and_targets_differ(bits, classes):
    targets = class_targets(classes, bits, np.random.default_rng(0))
    assert set(np.unique(targets)) == {-1, 1}
    assert ((targets == -1).sum(axis=1) == bits // 2).all()
    assert len(np.unique(targets, axis=0)) == classes


def test_more_classes_than_codes_use_every_code_equally():
    targets = class_targets(15, 4, np.random.default_rng(0))
    _, counts = np.unique(targets, axis=0, return_counts=True)
    assert sorted(counts) == [2, 2, 2, 3, 3, 3]


def test_shared_targets_are_told():
    assert make(bits=4, classes=15).summary()["repeated_centers"] == 9
    assert "warnings" not in make(bits=4, classes=6).summary()


def test_targets_come_from_the_seed():
    assert torch.equal(make(seed=4).centers, make(seed=4).centers)
    assert not torch.equal(make(seed=4).centers, make(seed=5).centers)


def test_constant_bits_are_reported():
    loss = make(classes=2)
    same = int((loss.centers[0] == loss.centers[1]).sum())
    assert loss.summary() == {"constant_bits": same}


def test_odd_lengths_are_refused():
    assert "even" in Dpn.check(15)
    assert "even" in Dpn.check(0)
    assert Dpn.check(48) is None
