"""Relational distillation against loops over pairs and triples."""

from __future__ import annotations

import math

import pytest
import torch

from bench.methods.rkd import Rkd, angles, scaled_distances
from tests.tasks import batch, noise, rotation, task

STUDENT, TEACHER = noise(5, 4, seed=1), noise(5, 7, seed=2)


def make(**params):
    return Rkd(Rkd.Params(**params), task([TEACHER.half()], 4))


def huber(a, b):
    difference = abs(a - b)
    return difference**2 / 2 if difference < 1 else difference - 1 / 2


def distances(rows):
    """By pair, in units of the mean over pairs of different images."""
    found = {(i, j): math.dist(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows)}
    mean = sum(found.values()) / (len(rows) * (len(rows) - 1))
    return {pair: distance / mean for pair, distance in found.items()}


def cosine(i, j, k):
    """Of the angle at j; 0 where two of the points are one, which has no direction."""
    first, second = ([a - b for a, b in zip(point, j, strict=True)] for point in (i, k))
    lengths = math.hypot(*first) * math.hypot(*second)
    return sum(a * b for a, b in zip(first, second, strict=True)) / lengths if lengths else 0.0


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_distance_term_against_a_loop_over_pairs(scale):
    # Scaled rows: the Huber loss is linear where differences are large.
    student = STUDENT * torch.tensor([1.0, 1, 1, 1, scale])[:, None]
    own, wanted = distances(student.tolist()), distances(TEACHER.tolist())
    expected = sum(huber(own[pair], wanted[pair]) for pair in own) / 25
    term = make(distance_weight=3.0).terms(student, batch(TEACHER))["distance"]
    assert float(term) == pytest.approx(3 * expected, rel=1e-6)


def test_angle_term_against_a_loop_over_triples():
    own, wanted = STUDENT.tolist(), TEACHER.tolist()
    triples = [(i, j, k) for i in range(5) for j in range(5) for k in range(5)]
    expected = sum(
        huber(cosine(own[i], own[j], own[k]), cosine(wanted[i], wanted[j], wanted[k])) for i, j, k in triples
    )
    term = make(angle_weight=2.0).terms(STUDENT, batch(TEACHER))["angle"]
    assert float(term) == pytest.approx(2 * expected / 125)


def test_gradient_agrees_with_finite_differences():
    method, given = make(), batch(TEACHER)
    for name in ("distance", "angle"):
        student = STUDENT.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, name=name: method.terms(x, given)[name], student), name


def test_any_similar_figure_is_as_good_as_the_teacher():
    # Moved, turned and enlarged, with room for more dimensions.
    moved = torch.cat([TEACHER, torch.zeros(5, 2, dtype=torch.float64)], dim=1) @ rotation(9)
    terms = make().terms(3 * moved + noise(1, 9, seed=4), batch(TEACHER))
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {"distance": 0, "angle": 0}, abs=1e-9
    )


def test_equal_images_are_finite():
    student = torch.ones(5, 4, requires_grad=True)
    total = sum(make().terms(student, batch(TEACHER.float())).values())
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(student.grad).all()


def test_axes_and_scale():
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(angles(square)[0, 1, 2]) == pytest.approx(0)
    assert float(angles(square)[1, 0, 2]) == pytest.approx(math.sqrt(1 / 2))
    found = scaled_distances(square)
    assert float(found.sum() / 6) == pytest.approx(1)
    assert float(found[1, 2] / found[0, 1]) == pytest.approx(math.sqrt(2))
