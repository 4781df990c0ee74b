"""Step 1: what it sees, and views that are cached or asked for in every epoch."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.data import loading
from bench.methods import whiten_mtd
from tests.layouts import write_svd
from tests.left import artifacts, loaded


def test_step_one_never_looks_at_query_or_validation_images(done, folder):
    data = loading.load("synthetic", {}, Path("data"), None)
    for part in ("database", "train"):
        pool = set(data.pool(part, 1.0, "always").indices)
        assert not pool & (set(data.splits.query) | set(data.splits.val))
    assert len(data.pool("database", 1.0, "always").indices) == 160 - 20 - 16


def test_where_no_epoch_is_chosen_step_one_sees_all_but_the_queries():
    data = loading.load("synthetic", {}, Path("data"), None)
    parts = data.splits
    assert len(parts.val) == 16
    learnt = {part: data.pool(part, 1.0, "if_chosen").indices for part in ("train", "database")}
    np.testing.assert_array_equal(learnt["train"], np.union1d(parts.train, parts.val))
    np.testing.assert_array_equal(learnt["database"], np.setdiff1d(np.arange(160), parts.query))
    # Lists may have training images that are not searched.
    apart = dataclasses.replace(parts, database=np.setdiff1d(parts.database, learnt["train"]))
    data = dataclasses.replace(data, splits=apart)
    np.testing.assert_array_equal(data.pool("database", 1.0, "if_chosen").indices, learnt["database"])
    assert len(data.pool("database", 1.0, "always").indices) == 160 - 20 - 16


def test_validation_images_are_held_out_for_the_losses_that_choose_by_them(tiny, folder):
    """One grid, one step 1 on all images, and one that leaves out those that an epoch is chosen by."""
    edit = ("[csq, dch]", "[{name: csq, params: {select: val}}, dch]")
    only = ("--only", "method=cukd", "--set", "defaults.distill.hold_out=if_chosen")
    assert tiny("run", *only, edit=edit).code == 0
    trained = {record.cell.loss: record for record in loaded(Path("results/tiny"))}
    assert all(record.status == "ok" for record in trained.values())
    made = [json.loads((path / "artifact.json").read_text()) for path in artifacts(folder, "distill")]
    seen = {index["key"]: index["summary"]["images"] for index in made}
    images = {loss: seen[record.stages["distill"].key] for loss, record in trained.items()}
    assert images == {"csq": 160 - 20 - 16, "dch": 160 - 20}


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


def test_of_videos_step_one_is_shown_one_frame_each(tiny, folder, monkeypatch):
    write_svd(folder / "data")
    asked, right = [], whiten_mtd.one_of_each

    def spy(videos, generator):
        asked.append((videos, right(videos, generator)))
        return asked[-1][1]

    monkeypatch.setattr(whiten_mtd, "one_of_each", spy)
    params = "{pool: train, pairs: videos, epochs: 3, batch_size: 8, embedding: null}"
    axes = {
        "axes.dataset": "[{name: svd, params: {side: 16}}]",
        "axes.method": f"[{{name: whiten_mtd, params: {params}}}]",
        "axes.loss": "[none]",
    }
    sets = [part for name, value in axes.items() for part in ("--set", f"{name}={value}")]
    assert tiny("run", *sets).code == 0
    assert len(asked) >= 3
    for videos, shown in asked:
        assert sorted(np.unique(videos, return_counts=True)[1].tolist()) == [2, 2, 3, 4]
        assert len(shown) == len(np.unique(videos[shown])) == 4


BUDGETS = (
    "dataset: [synthetic]",
    "dataset: [{name: synthetic, params: {train_per_class: 5, val_per_class: 0}}, "
    "{name: synthetic, params: {train_per_class: 20, val_per_class: 0}}]",
)


def test_budgets_of_labels_share_step_one(tiny, folder):
    """Two budgets cost two trainings of step 2 a loss, and one of step 1; each finds what it finds alone."""
    assert tiny("run", "--only", "method=cukd", edit=BUDGETS).code == 0
    assert (len(artifacts(folder, "distill")), len(artifacts(folder, "finetune"))) == (1, 4)
    both = {record.cell_key: record for record in loaded(Path("results/tiny"))}
    assert [record.status for record in both.values()] == ["ok"] * 4
    shutil.rmtree(folder / "cache")
    few = (BUDGETS[0], BUDGETS[1].partition("}, ")[0] + "}]")
    assert tiny("run", "--only", "method=cukd", "--out", "alone", edit=few).code == 0
    alone = {record.cell_key: record for record in loaded(Path("alone"))}
    assert len(alone) == 2
    for key, record in alone.items():
        assert record.metrics["map@all:expected:relevant"] == both[key].metrics["map@all:expected:relevant"]
