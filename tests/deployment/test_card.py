"""The card says what was measured, and nothing of what was not."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from bench.deployment.card import _costs, _origin


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
