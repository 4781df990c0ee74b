"""CSQ against golden values, its centers, and the identity that keeps it finite."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.losses._centers import smallest_distance
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


def test_saturated_codes_still_have_their_gradient():
    """The public code takes log(0) for -100 here, and its gradient is 0."""
    codes = torch.full((1, 4), -10.0, requires_grad=True)
    terms = make(4, 4).terms(codes, torch.eye(4)[:1], torch.arange(1))
    value = terms["center"] + terms["quantization"]
    value.backward()
    assert value.item() == pytest.approx(20.0)
    assert codes.grad.tolist() == [pytest.approx([-0.5] * 4)]


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
    assert len(np.unique(centers, axis=0)) == classes
    if classes <= 2 * bits:
        assert distances.min() >= bits / 2


def test_80_classes_have_centers_of_their_own_in_16_bits_whatever_the_seed():
    for seed in range(30):
        assert len(np.unique(hash_centers(80, 16, np.random.default_rng(seed)), axis=0)) == 80


@pytest.mark.parametrize(
    ("bits", "classes", "constant"), [(16, 10, 1), (32, 10, 2), (64, 10, 4), (32, 21, 1), (64, 21, 2)]
)
def test_constant_bits_are_reported(bits, classes, constant):
    assert make(bits, classes).summary() == {"constant_bits": constant}


@pytest.mark.parametrize(
    ("bits", "classes", "codes"), [(16, 576, 576), (8, 40, 40), (8, 100, 100), (8, 256, 256), (8, 576, 256)]
)
def test_no_two_classes_share_a_center_as_long_as_there_are_others(bits, classes, codes):
    centers = hash_centers(classes, bits, np.random.default_rng(0))
    assert set(np.unique(centers)) == {-1, 1}
    _, counts = np.unique(centers, axis=0, return_counts=True)
    assert len(counts) == codes
    assert counts.max() - counts.min() <= 1
    imbalance = abs(centers[2 * bits :].astype(int).sum(axis=1))
    if bits == 16:  # of 12,870 balanced codes there are enough
        assert not imbalance.any()
    if classes == 100:  # 70 are balanced, so 112 that differ by one come next
        assert sorted(set(imbalance)) == [0, 2]


@pytest.mark.parametrize(
    ("bits", "classes", "seed", "digest", "following"),
    [
        (16, 80, 0, "4f4d43f28f33", 919),
        (16, 100, 3, "eda311b67bb4", 301),
        (32, 576, 1, "daa057ce38b9", 407),
        (64, 1041, 0, "00936ade455a", 425),
    ],
)
def test_centers_that_were_distinct_have_stayed_and_so_has_what_is_drawn_after_them(
    bits, classes, seed, digest, following
):
    """Values of version 1, which kept equal centers where none of 20 draws was without."""
    generator = np.random.default_rng(seed)
    centers = hash_centers(classes, bits, generator)
    assert hashlib.sha256(centers.tobytes()).hexdigest()[:12] == digest
    assert generator.integers(1000) == following


def test_shared_centers_are_told(caplog):
    summary = make(8, 576).summary()
    assert summary["repeated_centers"] == 320
    (sentence,) = summary["warnings"]
    assert sentence.startswith("320 of 576 classes have the center of another class, which 8-bit codes")
    assert sentence in caplog.messages
    assert "repeated_centers" not in make(16, 576).summary()


@pytest.mark.parametrize("bits", [16, 64])
def test_thousands_of_classes_take_little_time_and_memory(bits):
    hash_centers(70, bits, np.random.default_rng(0))
    tracemalloc.start()
    start = time.process_time()
    centers = hash_centers(4000, bits, np.random.default_rng(0))
    took = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(np.unique(centers, axis=0)) == 4000
    assert took < 2, "it is a tenth of that on two ordinary cores"
    assert peak < 40e6, "a matrix of all distances alone would be 128 MB"


@given(st.integers(1, 5), st.integers(2, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_smallest_distance_is_that_of_a_loop(words, classes, seed):
    centers = np.random.default_rng(seed).choice([-1, 1], (classes, 30 * words)).astype(np.int8)
    pairs = itertools.combinations(centers, 2)
    assert smallest_distance(centers) == min(int((one != two).sum()) for one, two in pairs)


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


def test_the_first_label_may_decide_alone():
    loss = make(classes=4, targets="first")
    labels = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    assert torch.equal(loss.targets(labels), loss.centers[[1, 2]])
    assert not torch.equal(make(classes=4).targets(labels)[0], loss.centers[1])


@pytest.mark.parametrize(
    ("dataset", "targets", "warned"),
    [
        ("nuswide_21", "majority", None),
        (
            "nuswide_21m",
            "first",
            "their first label alone, in the public code on the majority of the centers",
        ),
        (
            "mirflickr",
            "majority",
            "the majority of the centers of all their labels, in the public code on their",
        ),
        ("nuswide_81", "first", None),
        ("my_own", "first", None),
    ],
)
def test_rows_that_published_figures_are_not_of_say_so(dataset, targets, warned):
    for multi_label in (True, False):
        task = HashingTask(16, 10, 100, 0, multi_label, dataset)
        warnings = Csq(Csq.Params(targets=targets), task).summary().get("warnings", [])
        if warned is None or not multi_label:
            assert not warnings
        else:
            (sentence,) = warnings
            assert warned in sentence
            assert sentence.endswith(f"published figures for {dataset} do not compare")


@pytest.mark.parametrize("bits", [12, 48, 0, 1])
def test_other_lengths_than_powers_of_two_are_refused(bits):
    assert "power of two" in Csq.check(bits)
    assert Csq.check(64) is None


@pytest.mark.parametrize(("bits", "nearest"), [(72, "64 or 128"), (12, "8 or 16"), (3, "2 or 4"), (1, "2")])
def test_the_nearest_lengths_are_named(bits, nearest):
    assert Csq.check(bits).endswith(f"; take {nearest}")
