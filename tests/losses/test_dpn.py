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


def make(bits=16, classes=3, seed=0, *, images=100, multi_label=False, dataset="", **params):
    return Dpn(Dpn.Params(**params), HashingTask(bits, classes, images, seed, multi_label, dataset))


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


def test_the_first_label_may_decide_alone():
    labels = torch.tensor(LABELS["multi-label"], dtype=torch.float64)
    loss = make(targets="first")
    assert torch.equal(loss.targets(labels), loss.centers[[0, 1, 0, 2]].double())
    assert "warnings" not in loss.summary()
    (sentence,) = make(targets="first", multi_label=True, dataset="coco").summary()["warnings"]
    assert sentence.endswith("published figures for coco do not compare")


@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_ternary_outputs_are_0_within_the_margin_and_keep_the_gradient_of_what_they_stand_for(margin):
    loss = make(bits=4, margin=margin, ternary=True)
    loss.centers[0] = torch.tensor([1.0, 1.0, -1.0, -1.0])
    # Right and beyond; on the margin, which is within; wrong and beyond; wrong and within.
    u = torch.tensor([[1.5, margin, 1.5, 0.1]], dtype=torch.float64, requires_grad=True)
    value = loss.terms(u, torch.eye(3, dtype=torch.float64)[:1], torch.arange(1))["polarization"]
    value.backward()
    assert value.item() == pytest.approx((max(0, margin - 1) + margin + (margin + 1) + margin) / 4)
    assert u.grad.tolist() == [[0, -0.25, 0.25, 0.25]]


def adapted(rows, outputs, margin):
    """Sign of the sum of ternary outputs, class by class and bit by bit."""
    targets = np.zeros((len(rows[0]), len(outputs[0])))
    for label, bit in np.ndindex(targets.shape):
        said = [
            np.sign(u[bit])
            for row, u in zip(rows, outputs, strict=True)
            if row[label] and abs(u[bit]) > margin
        ]
        targets[label, bit] = np.sign(sum(said))
    return targets


@pytest.mark.parametrize("kind", LABELS)
def test_adaptive_targets_are_what_the_outputs_of_the_last_epoch_say(kind):
    generator, rows = np.random.default_rng(2), LABELS[kind]
    loss = make(bits=6, margin=0.5, images=4, adaptive=True, multi_label=kind == "multi-label")
    drawn, labels = loss.centers.clone(), torch.tensor(rows, dtype=torch.float64)
    outputs = generator.normal(size=(4, 6))
    outputs[:, 5] = 0.1  # says nothing
    loss.begin_epoch(0)
    for index in ([2, 0], [3, 1], [3, 1]):  # the last batch came again
        loss.terms(torch.from_numpy(outputs[index]), labels[index], torch.tensor(index))
        assert torch.equal(loss.centers, drawn)
    again = make(bits=6, margin=0.5, images=4, adaptive=True, multi_label=kind == "multi-label")
    again.begin_epoch(0)
    again.load_state_dict(loss.state_dict())
    for one in (loss, again):
        one.begin_epoch(1)
        expected = adapted(rows, outputs, 0.5)
        np.testing.assert_array_equal(one.centers.numpy(), expected)
        # A bit that nothing decides pulls nowhere; where images have several labels, as published, somewhere.
        targets = one.targets(labels)
        assert bool(targets[:, 5].any()) == (kind == "multi-label")
        if kind == "single-label":
            np.testing.assert_array_equal(targets.numpy(), expected[np.argmax(rows, axis=1)])
        assert one.summary()["constant_bits"] >= 1


def test_adaptive_targets_that_have_become_equal_are_told_with_their_cure():
    loss = make(images=3, adaptive=True)
    assert "warnings" not in loss.summary()
    loss.terms(0.1 * torch.ones(3, 16), torch.eye(3), torch.arange(3))  # nothing is beyond the margin
    loss.begin_epoch(1)
    (sentence,) = loss.summary()["warnings"]
    assert sentence.startswith("2 of 3 classes have the center of another class, as too few outputs")


def test_targets_stay_unless_they_are_adaptive():
    loss = make(ternary=True)
    drawn = loss.centers.clone()
    loss.terms(torch.randn(3, 16), torch.eye(3), torch.arange(3))
    loss.begin_epoch(1)
    assert torch.equal(loss.centers, drawn)
    assert loss.state_dict() == {}


def test_odd_lengths_are_refused():
    assert "even" in Dpn.check(15)
    assert Dpn.check(15).endswith("; take 14 or 16")
    assert Dpn.check(1).endswith("; take 2")
    assert "even" in Dpn.check(0)
    assert Dpn.check(48) is None
