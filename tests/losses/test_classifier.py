"""The classifier against a loop over images and classes, its code words, and what it counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.losses.classifier import Classifier
from bench.types import HashingTask
from models.layers.heads import CodeWords

ROWS = [0, 0, 1, 2]
LABELS = torch.eye(3, dtype=torch.float64)[ROWS]


def make(bits=16, classes=3, seed=0, multi_label=False, **params):
    return Classifier(Classifier.Params(**params), HashingTask(bits, classes, 100, seed, multi_label, "mine"))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_it_is_the_formula(smoothing):
    logits = np.random.default_rng(0).normal(size=(4, 3))
    costs = []
    for row, label in zip(logits.tolist(), ROWS, strict=True):
        total = math.log(sum(map(math.exp, row)))
        target = [smoothing / 3 + (1 - smoothing) * (k == label) for k in range(3)]
        costs.append(sum(share * (total - x) for share, x in zip(target, row, strict=True)))
    (value,) = (
        make(label_smoothing=smoothing).terms(torch.from_numpy(logits), LABELS, torch.arange(4)).values()
    )
    assert value.item() == pytest.approx(sum(costs) / 4, rel=1e-9)


@pytest.mark.parametrize(
    ("bits", "classes"), [(1, 2), (2, 4), (7, 100), (8, 256), (16, 10), (48, 10), (32, 300)]
)
def test_every_class_has_a_code_word_of_its_own(bits, classes):
    words = make(bits, classes).words
    assert words.shape == (classes, bits)
    assert set(words.unique().tolist()) == {-1.0, 1.0}
    assert len(words.unique(dim=0)) == classes
    assert torch.equal(words, make(bits, classes).words)


def test_what_it_cannot_tell_is_refused():
    def refusal(**task):
        return Classifier.check_task(Classifier.Params(), make(**task).task)

    assert refusal(bits=4, classes=16) is None
    assert refusal(bits=4, classes=17) == "there are 16 code words, and 17 classes; take 5 bits or more"
    assert refusal(multi_label=True) == (
        "it tells one class of an image, and those of mine have several; "
        "exclude it, or use greedyhash, which classifies by its code"
    )


def test_it_counts_what_it_tells_rightly_in_an_epoch():
    loss = make()
    loss.begin_epoch(0)
    loss.terms(-LABELS, LABELS, torch.arange(4))
    loss.begin_epoch(1)
    for logits in (LABELS, LABELS.roll(1, dims=0)):  # one of four is still right after the shift
        loss.terms(logits, LABELS, torch.arange(4))
    assert loss.summary()["train_accuracy"] == pytest.approx(5 / 8)
    again = make()
    again.begin_epoch(1)
    again.load_state_dict(loss.state_dict())
    assert again.summary() == loss.summary()


def test_the_head_gives_logits_in_training_and_code_words_afterwards():
    torch.manual_seed(0)
    loss = make()
    head = loss.trained_head(torch.nn.Linear(12, 16))
    assert isinstance(head, CodeWords)
    features = torch.randn(40, 12)
    logits = head(features)
    assert logits.shape == (40, 3)
    assert logits.requires_grad
    assert torch.equal(head.eval()(features), loss.words[logits.argmax(dim=1)])
    assert sum(parameter.numel() for parameter in head.parameters()) == 12 * 3 + 3
