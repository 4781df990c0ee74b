"""Regression of features: mean squared error, and a projection where widths differ."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.methods.cukd import Cukd
from tests.tasks import batch, noise, task


def make(width, teacher_width):
    return Cukd(Cukd.Params(), task([noise(10, teacher_width).half()], width))


def test_mean_over_batch_and_dimensions():
    student, teacher = noise(4, 6, seed=1), noise(4, 6, seed=2)
    expected = sum((student[i, d] - teacher[i, d]) ** 2 for i in range(4) for d in range(6)) / (4 * 6)
    (term,) = make(6, 6).terms(student, batch(teacher)).values()
    assert float(term) == pytest.approx(float(expected))


def test_gradient_agrees_with_finite_differences():
    given = batch(noise(4, 6, seed=2))
    student = noise(4, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: make(6, 6).terms(x, given)["mse"], student)


def test_no_error_at_the_teacher():
    teacher = noise(4, 6)
    assert float(make(6, 6).terms(teacher.clone(), batch(teacher))["mse"]) == 0


def test_one_width_needs_no_projection():
    method = make(6, 6)
    assert method.network() is method.task.trunk
    assert method.summary() == {"projection": False}


def test_a_projection_bridges_widths_and_is_dropped():
    method = make(6, 9)
    net = method.network()
    assert net(torch.randn(4, 6)).shape == (4, 9)
    assert any(isinstance(module, nn.Linear) and module.out_features == 9 for module in net.modules())
    assert method.summary() == {"projection": True}
    student, architecture = method.student()
    assert student is method.task.trunk
    assert architecture == {}
    assert student(torch.randn(4, 6)).shape == (4, 6)
