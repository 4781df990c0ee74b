"""The card says what was measured, and nothing of what was not."""

from __future__ import annotations

import pytest

from bench.deployment.card import _costs


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
