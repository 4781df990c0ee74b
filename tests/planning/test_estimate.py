"""What stages will cost, from what earlier ones have cost."""

from __future__ import annotations

import pytest

from bench.planning.estimate import estimate
from bench.planning.stage import Stage
from bench.storage.store import Store


def keep(store, stage, size):
    """An artifact of so many bytes, made on this processor."""
    about = {"kind": stage.kind, "cost_class": stage.cost_class, "images": stage.images, "hardware": "this"}
    with store.write(store.path(*stage.place), about) as (folder, _):
        (folder / "weights").write_bytes(bytes(size))


def test_estimates_come_from_stages_of_the_same_class(tmp_path):
    store = Store(tmp_path)
    keep(store, Stage("distill", "x", {"a": 1}, images=100, cost_class="net/32"), 1000)
    longer = Stage("distill", "y", {"a": 2}, images=300, cost_class="net/32")
    other = Stage("distill", "z", {"a": 3}, images=300, cost_class="net/64")
    costs = estimate([longer, other], store, "this")
    assert costs[longer.key].bytes == pytest.approx(3000)
    assert costs[longer.key].seconds is not None
    assert costs[other.key].seconds is None
    elsewhere = estimate([longer], store, "another processor")[longer.key]
    assert (elsewhere.seconds, elsewhere.bytes) == (None, pytest.approx(3000))


def test_while_data_are_missing_nothing_is_known_of_stages_that_look_at_them(tmp_path):
    store = Store(tmp_path)
    keep(store, Stage("distill", "x", {"a": 1}, images=100, cost_class="net/32"), 1000)
    keep(store, Stage("measure", "m", {"a": 1}, cost_class="map/digits"), 200)
    uncounted = Stage("distill", "y", {"a": 2}, images=0, cost_class="net/32")
    metric = Stage("measure", "n", {"a": 2}, cost_class="map/digits")
    costs = estimate([uncounted, metric], store, "this")
    assert (costs[uncounted.key].seconds, costs[uncounted.key].bytes) == (None, None)
    assert costs[metric.key].bytes == 200
