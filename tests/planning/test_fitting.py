"""What is planned where a trunk stays as it is, and what cannot be fitted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.data import loading
from bench.errors import ConfigError
from bench.planning.advice import few_seeds, training, warnings
from bench.registry import DATASETS, STUDENTS
from tests.planning.conftest import GRID

#: With as many images as pq has centroids.
MANY = GRID.replace("[synthetic]", "[{name: synthetic, params: {per_class: 100}}]")

FITTED = GRID.replace("[csq, dch]", "[pca, lsh]").replace("[16, 32]", "[4, 8]")


def kinds(plan):
    return Counter(stage.kind for stage in plan.stages())


def test_features_are_shared_by_losses_and_lengths(make):
    plan = make(FITTED)
    assert len(plan.cells) == 2 * 2 * 2 * 2
    counts = kinds(plan)
    # Behind step 1, and behind each random start.
    assert counts["trunk"] == 2 * 2
    assert counts["fit"] == counts["encode"] == 16
    assert "finetune" not in counts


@pytest.mark.parametrize(
    ("name", "params"),
    [("synthetic", {}), ("synthetic", {"unseen_classes": 2}), ("digits", {"unseen_classes": 3})],
)
def test_a_trunk_is_asked_about_the_images_of_all_parts(make, name, params):
    parts = loading.load(name, params, Path("data"), None).splits
    plan = make(FITTED.replace("[synthetic]", f"[{{name: {name}, params: {json.dumps(params)}}}]"))
    planned = {stage.images for stage in plan.stages() if stage.kind == "trunk"}
    assert planned == {len(np.unique(np.concatenate([parts.query, parts.database, parts.train, parts.val])))}


def test_heads_learn_from_the_same_features(make):
    heads = GRID.replace("[csq, dch]", "[pca, {name: csq, params: {train: head}}]").replace("[16, 32]", "[8]")
    plan = make(heads)
    assert kinds(plan)["trunk"] == 2 * 2
    for cell in plan.cells:
        encode = cell.leaves["measure/map"].inputs["encode"]
        (trained,) = (stage for role, stage in encode.inputs.items() if role != "trunk")
        assert trained.kind == ("fit" if cell.info.loss == "pca" else "finetune")
        assert trained.inputs["trunk"].key == encode.inputs["trunk"].key
        if cell.info.method == "cukd":
            assert trained.inputs["distill"].key == encode.inputs["trunk"].inputs["distill"].key


def test_training_everything_has_the_key_that_it_always_had(make):
    spelt = GRID.replace("[csq, dch]", "[{name: csq, params: {train: all}}, dch]")
    assert [cell.key for cell in make(spelt).cells] == [cell.key for cell in make().cells]


def test_seeds_that_draw_nothing_are_one_cell(make, monkeypatch):
    plan = make(FITTED)
    # The weights of the student are drawn.
    assert Counter(cell.info.loss for cell in plan.cells) == {"pca": 8, "lsh": 8}
    monkeypatch.setattr(STUDENTS.get("tiny_student"), "weights_id", lambda self: "published")
    plan = make(FITTED)
    seen = Counter((cell.info.method, cell.info.loss) for cell in plan.cells)
    assert seen == {("none", "pca"): 2, ("none", "lsh"): 4, ("cukd", "pca"): 4, ("cukd", "lsh"): 4}
    assert {
        cell.info.seed for cell in plan.cells if cell.info.method == "none" and cell.info.loss == "pca"
    } == {0}
    assert len({cell.key for cell in plan.cells}) == len(plan.cells)
    # One trunk for all seeds where nothing was drawn, and one behind each step 1.
    assert kinds(plan)["trunk"] == 1 + 2
    (line,) = few_seeds(plan)
    assert line.startswith("6 of 6 configurations have 2 seeds")


def test_neither_labels_nor_training_are_asked_for(make, monkeypatch):
    monkeypatch.setattr(DATASETS.get("synthetic"), "labelled", False)
    plan = make(FITTED)
    assert {row["name"] for row in training(plan)} == {"cukd"}
    (line,) = warnings(plan)
    assert line.startswith("loss pca, lsh takes features of tiny_student with random weights")
    with pytest.raises(ConfigError, match="loss 'csq' needs labels"):
        make()


@pytest.mark.parametrize(
    ("loss", "bits", "message"),
    [
        ("pca", "[16]", r"10:10: pca makes at most 12 bits of features of 12 numbers, not 16 "
         r"\(tiny_student\); drop it or add exclude: \[\{loss: pca, bits: 16\}\]"),
        ("sign", "[[8, 16]]", r"10:10: sign makes at most 12 bits .*; drop it"),
        ("itq", "[[4, 8]]", r"10:10: itq turns all bits together: the first of them are no codes by "
         r"themselves; write bits: \[4, 8\], a network for each"),
        ("pca_rotation", "[[4, 8]]", "pca_rotation turns all bits together"),
        ("pq", "[[8, 16]]", r"10:10: pq reads all bits back together: the first of them are no codes by "
         r"themselves; write bits: \[8, 16\], a network for each"),
        ("pq", "[12]", r"10:10: pq stores a byte for each part of a feature, not 12 bits in all; take 8 or "
         r"16; drop it or add exclude: \[\{loss: pq, bits: 12\}\]"),
        ("pq", "[104]", r"10:10: pq cuts features of 12 numbers into at most 12 parts of a byte, 96 bits, "
         r"not 104 \(tiny_student\); drop it"),
        ("rabitq", "[64]", r"10:10: rabitq stores 64 bits of numbers beside its signs, not 64 in all; take "
         r"128"),
        ("rabitq", "[128]", r"10:10: rabitq stores at most 76 bits of features of 12 numbers, not 128"),
        ("{name: pq, params: {epochs: 3}}", "[8]", "unknown key 'epochs' of loss 'pq'"),
        ("{name: csq, params: {train: head, random_views: true}}", "[8]",
         "loss 'csq': train should be all where random_views is true: a head alone sees no views"),
        ("{name: csq, params: {train: haed}}", "[8]", "train of loss 'csq' should be 'all' or 'head'"),
        ("{name: pca, params: {epochs: 3}}", "[8]", "unknown key 'epochs' of loss 'pca'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_place(make, loss, bits, message):
    with pytest.raises(ConfigError, match=message):
        make(GRID.replace("[csq, dch]", f"[{loss}]").replace("[16, 32]", bits))


def test_defaults_that_a_head_cannot_have_are_told(make):
    text = GRID.replace("image_size: 16", "image_size: 16, finetune: {random_views: true}")
    assert make(text)
    with pytest.raises(ConfigError, match="loss 'csq' does not take defaults.finetune"):
        make(text.replace("[csq, dch]", "[{name: csq, params: {train: head}}]"))


def test_longer_codes_than_features_are_drawn(make):
    assert make(GRID.replace("[csq, dch]", "[lsh]"))


def test_images_that_a_set_is_tested_on_are_not_fitted_to(make, monkeypatch):
    monkeypatch.setattr(DATASETS.get("synthetic"), "open_database", False)
    text = FITTED.replace("views: 2", "views: 2, pool: train")
    with pytest.raises(
        ConfigError, match="9:10: loss 'pca' would be fitted to the images that synthetic is te"
    ):
        make(text)
    params = "[{name: pca, params: {pool: train}}, {name: lsh, params: {pool: train}}]"
    assert make(text.replace("[pca, lsh]", params))


def test_codes_that_are_read_back_cost_their_trunk_and_what_they_store(make):
    plan = make(MANY.replace("[csq, dch]", "[none, pq, lsh]"))
    behind = {(c.info.loss, c.info.bits): c.leaves for c in plan.cells if c.info.method == "none"}
    assert behind.keys() == {("none", 0), *((loss, bits) for loss in ("pq", "lsh") for bits in (16, 32))}
    for bits in (16, 32):
        leaves = behind["pq", bits]
        assert leaves["measure/macs"].key == behind["none", 0]["measure/macs"].key
        assert leaves["measure/macs"].place == behind["none", 0]["measure/macs"].place
        assert leaves["measure/weights"].spec["stored_bits"] == bits
        assert "stored_bits" not in behind["lsh", bits]["measure/weights"].spec
        # Metrics of codes, and of an index over vectors, are those of other bytes than are stored.
        assert "measure/search" in behind["none", 0].keys() - leaves.keys()
        assert "measure/distinct_codes" in behind["lsh", bits].keys() - leaves.keys()
        encode = leaves["measure/map"].inputs["encode"]
        assert encode.inputs.keys() == {"fit", "trunk"}
    assert behind["pq", 16]["measure/weights"].key != behind["pq", 32]["measure/weights"].key


def test_what_says_nothing_of_vectors_that_are_read_back_is_told(make):
    text = MANY.replace("[csq, dch]", "[pq]") + "measure: {rescore: {}}\n"
    with pytest.raises(ConfigError, match="metric 'rescore' .*: it needs binary codes of a frozen trunk"):
        make(text)
