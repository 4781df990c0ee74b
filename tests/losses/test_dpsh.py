"""DPSH against a loop over batch and memory, batch after batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.losses.dpsh import Dpsh
from bench.types import HashingTask

LABELS = {
    "single-label": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]],
    "multi-label": [[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0]],
}


def make(images=8, **params):
    return Dpsh(Dpsh.Params(**params), HashingTask(16, 3, images, 0))


def oracle(u, rows, memory, memory_labels):
    """The pair term for codes ``u`` and their label rows against a memory that holds them already."""
    total = 0.0
    for code, row in zip(u, rows, strict=True):
        for other, other_row in zip(memory, memory_labels, strict=True):
            theta = float(code @ other) / 2
            s = int(np.dot(row, other_row) > 0)
            total += max(theta, 0) + math.log1p(math.exp(-abs(theta))) - s * theta
    return total / (len(u) * len(memory))


@pytest.mark.parametrize("kind", LABELS)
def test_terms_are_those_of_a_loop_over_the_memory(kind):
    generator, rows = np.random.default_rng(0), np.array(LABELS[kind], dtype=float)
    loss, memory, memory_labels = make(), np.zeros((8, 16)), np.zeros((8, 3))
    # The second batch meets images of the first again: their new codes count.
    for index, chosen in [([6, 1, 3], [0, 1, 2]), ([3, 0, 6], [3, 4, 5])]:
        u = generator.normal(size=(3, 16))
        memory[index], memory_labels[index] = u, rows[chosen]
        terms = loss.terms(torch.from_numpy(u), torch.from_numpy(rows[chosen]), torch.tensor(index))
        expected = oracle(u, rows[chosen], memory, memory_labels)
        assert terms["pairs"].item() == pytest.approx(expected, rel=1e-9)
        quantization = 0.1 * np.square(u - np.sign(u)).mean()
        assert terms["quantization"].item() == pytest.approx(quantization, rel=1e-9)


@pytest.mark.parametrize("kind", LABELS)
def test_gradient_is_that_with_the_memory_held_fixed(kind):
    generator, rows = np.random.default_rng(1), np.array(LABELS[kind], dtype=float)
    u, index = generator.normal(size=(6, 16)), [5, 0, 7, 2, 1, 6]
    loss = make(quantization_weight=0.0)
    codes = torch.tensor(u, requires_grad=True)
    loss.terms(codes, torch.from_numpy(rows), torch.tensor(index))["pairs"].backward()
    memory, memory_labels = np.zeros((8, 16)), np.zeros((8, 3))
    memory[index], memory_labels[index] = u, rows
    for i, bit in [(0, 0), (3, 7), (5, 15)]:
        step = np.zeros_like(u)
        step[i, bit] = 1e-5
        difference = oracle(u + step, rows, memory, memory_labels) - oracle(
            u - step, rows, memory, memory_labels
        )
        assert codes.grad[i, bit].item() == pytest.approx(difference / 2e-5, abs=1e-9)


def test_values_by_hand():
    """Two images of two classes at theta 2 and 0; the gradient of the first is by its own side alone."""
    codes = torch.tensor([[1.0, 1, 1, 1], [1, 1, -1, -1]], dtype=torch.float64, requires_grad=True)
    loss = Dpsh(Dpsh.Params(quantization_weight=0.0), HashingTask(4, 2, 2, 0))
    value = sum(loss.terms(codes, torch.eye(2, dtype=torch.float64), torch.arange(2)).values())
    value.backward()
    assert value.item() == pytest.approx(0.41003760, abs=5e-9)
    assert codes.grad[0].tolist() == pytest.approx([0.0476, 0.0476, -0.0774, -0.0774], abs=5e-5)


def test_a_code_of_zeros_is_its_own_sign():
    codes = torch.zeros(2, 16, dtype=torch.float64, requires_grad=True)
    term = make().terms(codes, torch.eye(3, dtype=torch.float64)[:2], torch.arange(2))["quantization"]
    term.backward()
    assert term.item() == 0
    assert not codes.grad.any()


def test_images_not_seen_yet_contribute_log_2():
    codes, labels = torch.randn(4, 16, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0]]
    index = torch.arange(4)
    seen = make(images=4).terms(codes, labels, index)["pairs"].item()
    among_unseen = make(images=100).terms(codes, labels, index)["pairs"].item()
    assert among_unseen == pytest.approx((4 * seen + 96 * math.log(2)) / 100, rel=1e-9)


def test_memory_keeps_no_graph_and_follows_the_codes():
    loss = make()
    codes = torch.randn(2, 16, dtype=torch.float64, requires_grad=True)
    first = sum(loss.terms(codes, torch.eye(3, dtype=torch.float64)[:2], torch.tensor([4, 2])).values())
    loss.terms(codes + 1, torch.eye(3, dtype=torch.float64)[:2], torch.tensor([4, 3]))
    first.backward()
    memory = loss.memory[0]
    assert memory.dtype == torch.float64
    assert not memory.requires_grad
    assert torch.equal(memory[[4, 2, 3]], torch.stack([codes[0] + 1, codes[1], codes[1] + 1]).detach())
    assert not memory[[0, 1, 5, 6, 7]].any()
