"""CSQ against golden values, its centers, and the identity that keeps it finite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.losses.csq import Csq, hash_centers
from bench.types import HashingTask

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/losses.json").read_text())["csq"]


def make(bits=16, classes=10, seed=0, **params):
    return Csq(Csq.Params(**params), HashingTask(bits, classes, 100, seed))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['bits']}b-{case['num_classes']}c")
def test_golden_centers_loss_and_gradient(case):
    loss = make(case["bits"], case["num_classes"], quantization_weight=case["quantization_weight"])
    np.testing.assert_array_equal(loss.centers.numpy(), case["centers"])
    codes = torch.tensor(case["u"], dtype=torch.float64, requires_grad=True)
    terms = loss.terms(codes, torch.tensor(case["labels"], dtype=torch.float64), torch.arange(len(codes)))
    value = terms["center"] + terms["quantization"]
    value.backward()
    assert value.item() == pytest.approx(case["loss"], abs=1e-5)
    np.testing.assert_allclose(codes.grad.numpy(), case["grad"], atol=1e-5)


def test_logits_of_2u_equal_the_published_form():
    torch.manual_seed(0)
    codes, labels = torch.randn(8, 16, dtype=torch.float64), torch.eye(10, dtype=torch.float64)[:8]
    loss = make()
    published = torch.nn.functional.binary_cross_entropy(
        (codes.tanh() + 1) / 2, (loss.targets(labels) + 1) / 2
    )
    assert loss.terms(codes, labels, torch.arange(8))["center"].item() == pytest.approx(
        published.item(), rel=1e-9
    )


@pytest.mark.parametrize(("bits", "classes"), [(16, 10), (16, 32), (16, 80), (32, 100)])
def test_centers_are_far_apart(bits, classes):
    centers = hash_centers(classes, bits, np.random.default_rng(0)).astype(int)
    assert set(np.unique(centers)) == {-1, 1}
    distances = (bits - centers @ centers.T)[np.triu_indices(classes, 1)] / 2
    assert distances.min() > 0
    if classes <= 2 * bits:
        assert distances.min() >= bits / 2


@pytest.mark.parametrize(
    ("bits", "classes", "constant"), [(16, 10, 1), (32, 10, 2), (64, 10, 4), (32, 21, 1), (64, 21, 2)]
)
def test_constant_bits_are_reported(bits, classes, constant):
    assert make(bits, classes).summary() == {"constant_bits": constant}


class Counting:
    """A generator that counts draws and keeps the last."""

    def __init__(self, seed):
        self.generator, self.draws = np.random.default_rng(seed), 0

    def permuted(self, rows, axis):
        self.draws += 1
        self.last = self.generator.permuted(rows, axis=axis)
        return self.last


@pytest.mark.parametrize(("bits", "classes", "seed"), [(32, 70, 0), (32, 70, 1), (32, 66, 2), (16, 80, 0)])
def test_rows_beyond_hadamard_are_redrawn_until_far_apart_20_times_at_most(bits, classes, seed):
    generator = Counting(seed)
    centers = hash_centers(classes, bits, generator).astype(int)
    distances = (bits - centers @ centers.T)[np.triu_indices(classes, 1)] / 2
    assert (centers[2 * bits :].sum(axis=1) == 0).all()
    if bits == 16:  # no balanced row of 16 bits is more than 4 away from all of [H; -H]
        assert generator.draws == 20
        return
    assert generator.draws < 20
    assert distances.min() > bits / 4
    assert distances.mean() >= bits / 2
    np.testing.assert_array_equal(centers[2 * bits :], generator.last)


def test_labels_vote_and_even_votes_take_one_fixed_code():
    loss = make(classes=4, seed=5)
    labels = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    targets = loss.targets(labels)
    votes = loss.centers[0] + loss.centers[1]
    assert torch.equal(targets[0][votes != 0], votes[votes != 0].sign())
    assert torch.equal(targets[0][votes == 0], loss.tie_break[votes == 0])
    assert torch.equal(targets[1], loss.centers[0])


@pytest.mark.parametrize("bits", [12, 48, 0, 1])
def test_other_lengths_than_powers_of_two_are_refused(bits):
    assert "power of two" in Csq.check(bits)
    assert Csq.check(64) is None
