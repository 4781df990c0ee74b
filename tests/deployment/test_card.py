"""The card says what was measured, and nothing of what was not."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from bench.deployment.card import _accuracy, _costs, _origin, _what
from bench.results.records import StageInfo


@pytest.mark.parametrize(
    ("kept", "last"),
    [
        ({"params", "latency_ms@1"}, "\nTimings on "),
        ({"params"}, "| parameters | "),
        (set(), "Nothing of it was measured."),
    ],
)
def test_costs_are_those_of_the_record(make_record, kept, last):
    record = make_record()
    assert {"params", "latency_ms@1"} < set(record.metrics)
    metrics = {name: metric for name, metric in record.metrics.items() if name in kept}
    *_, line = _costs(record.model_copy(update={"metrics": metrics}))
    assert line.startswith(last)
    assert ": ." not in line


def test_names_of_classes_are_text(make_record, bundle):
    """They are names of folders, which may hold anything."""
    named = dataclasses.replace(bundle, classes=("a_b", "<img src=x>", "[l](http://x)\n# h"))
    student = SimpleNamespace(dataset=SimpleNamespace(images=SimpleNamespace(classes=3)))
    bare = {"student": {"weights": "none"}, "teachers": [{"weights": "none"}]}
    record = make_record().model_copy(update={"params": bare})
    (line,) = (line for line in _origin(named, student, record) if line.startswith("- 3 classes"))
    assert line == r"- 3 classes: a_b, \<img src=x\>, \[l\](http://x) # h"


@pytest.mark.parametrize(
    ("stages", "said", "trained"),
    [
        (("distill", "finetune", "encode"), "then fine-tuned with the hashing loss csq", True),
        (
            ("trunk", "finetune", "encode"),
            "a hash head, which alone was trained, with the hashing loss",
            True,
        ),
        (("distill", "trunk", "fit", "encode"), "not fine-tuned (its codes, csq, were fitted", True),
        (("trunk", "fit", "encode"), "not fine-tuned (its codes, csq, were fitted", False),
    ],
)
def test_what_was_trained_is_said_of_it_alone(make_record, bundle, stages, said, trained):
    known = {name: StageInfo(key="k", seconds=0.0, cached=False) for name in stages}
    record = make_record(loss="csq").model_copy(update={"stages": known})
    assert said in _what(bundle, record)
    assert any(line.startswith("One training") for line in _accuracy(record, "fp32")) == trained
