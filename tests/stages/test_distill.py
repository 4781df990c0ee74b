"""Step 1: what it sees, and views that are cached or asked for in every epoch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.left import artifacts, loaded


def test_step_one_never_looks_at_query_or_validation_images(done, folder):
    from bench.data import loading
    from bench.stages import features

    data = loading.load("synthetic", {}, Path("data"), None)
    for part in ("database", "train"):
        pool = set(features.pool(data, part, 1.0))
        assert not pool & (set(data.splits.query) | set(data.splits.val))
    assert len(features.pool(data, "database", 1.0)) == 160 - 20 - 16


ONLINE = ("views: 2", "views: online")


def test_online_views_ask_the_teacher_in_every_epoch(tiny, folder):
    assert tiny("run", "--only", "method=cukd", edit=ONLINE).code == 0
    assert not (folder / "cache" / "features").exists()
    (distill,) = artifacts(folder, "distill")
    index = json.loads((distill / "artifact.json").read_text())
    assert index["cost_class"].endswith("/tiny_teacher/cukd")
    assert index["summary"]["teacher_queries"] == 2 * 32 * (index["summary"]["images"] // 32)
    assert all(record.status == "ok" for record in loaded(Path("results/tiny")))


def test_cached_and_online_training_are_the_same_where_views_are(tiny, folder, monkeypatch):
    """With the crops of the cache, a live teacher teaches what it taught once, but for half precision."""
    from bench.training import views

    only = ("--only", "method=cukd", "--only", "loss=csq")
    assert tiny("run", *only).code == 0
    (cached,) = artifacts(folder, "distill")
    monkeypatch.setattr(views, "STUDENT_STREAM", views.DISTILL_STREAM)
    assert tiny("run", *only, "--out", "online", edit=ONLINE).code == 0
    (live,) = (path for path in artifacts(folder, "distill") if path != cached)
    histories = [
        json.loads((path / "artifact.json").read_text())["summary"]["history"] for path in (cached, live)
    ]
    for first, second in zip(*histories, strict=True):
        assert first["mse"] == pytest.approx(second["mse"], rel=1e-3)


def test_a_value_of_views_that_means_nothing_is_refused_with_its_place(tiny):
    result = tiny("run", edit=("views: 2", "views: onlin"))
    assert result.code == 2
    wrong = "grid.yaml:11:47: views of method 'cukd' should be a valid integer or 'online', not \"onlin\""
    assert result.err == f"error: {wrong}\n"
