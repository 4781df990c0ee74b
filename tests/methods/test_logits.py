"""Soft targets against plain loops and timm's own distillation task."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.methods.logits import Logits
from tests.tasks import batch, noise, task

CLASSES = 5


def make(temperature=4.0, width=6):
    return Logits(Logits.Params(temperature=temperature), task([noise(8, CLASSES).half()], width))


def kl(teacher, student, temperature):
    """T^2 times the mean over images of the divergence of their class probabilities."""
    sums = 0.0
    for wanted, own in zip(teacher.tolist(), student.tolist(), strict=True):
        p, q = ([math.exp(one / temperature) for one in row] for row in (wanted, own))
        p, q = [one / sum(p) for one in p], [one / sum(q) for one in q]
        sums += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * sums / len(teacher)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_against_plain_loops(temperature):
    student, teacher = 3 * noise(7, CLASSES, seed=1), 3 * noise(7, CLASSES, seed=2)
    term = make(temperature).terms(student, batch(teacher))["kl"]
    assert float(term) == pytest.approx(kl(teacher, student, temperature))


class Classifier(nn.Module):
    """As timm wants it: with the normalisation of its pretraining."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, CLASSES))
        self.num_classes, self.in_chans = CLASSES, 3
        self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_against_timm(temperature):
    distillation = pytest.importorskip("timm.task")
    student, teacher, images = Classifier(1), Classifier(2), torch.randn(6, 3, 2, 2)
    reference = distillation.LogitDistillationTask(
        student, teacher, nn.CrossEntropyLoss(), temperature=temperature, device=torch.device("cpu")
    )
    expected = reference(images, torch.zeros(6, dtype=torch.int64))["kd_loss"]
    found = make(temperature).terms(student(images), batch(teacher(images).detach()))["kl"]
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, list(student.parameters())) for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_gradient_agrees_with_finite_differences():
    given, method = batch(noise(4, CLASSES, seed=2)), make(2.0)
    student = noise(4, CLASSES, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: method.terms(x, given)["kl"], student)


def test_no_loss_at_the_teachers_probabilities():
    teacher = noise(4, CLASSES)
    # Logits that differ by a constant per image are the same probabilities.
    student = teacher + noise(4, 1, seed=3)
    assert float(make().terms(student, batch(teacher))["kl"]) == pytest.approx(0, abs=1e-12)
    assert float(make().terms(student + noise(4, CLASSES, seed=4), batch(teacher))["kl"]) > 0.01


def test_the_classifier_is_for_the_teachers_classes_and_is_dropped():
    method = make(width=6)
    assert method.network()(torch.randn(3, 6)).shape == (3, CLASSES)
    student, architecture = method.student()
    assert student is method.task.trunk
    assert architecture == {}
