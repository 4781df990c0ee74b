"""Plans: which stages, shared by what, under which keys."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import registry
from bench.data import loading
from bench.errors import ConfigError, DataError
from bench.stages.context import Context
from tests.layouts import write_svd
from tests.planning.conftest import GRID


def test_missing_data_and_weights_are_listed_not_raised(make):
    text = GRID.replace("[synthetic]", "[fashion_mnist]").replace(
        "[tiny_teacher]", "[{name: resnet50, params: {weights: absent.safetensors}}]"
    )
    plan = make(text)
    assert len(plan.missing) == 2
    assert any("fashion_mnist" in line for line in plan.missing)
    assert any(
        re.match("teacher resnet50: no such weights file: .*absent.safetensors", line)
        for line in plan.missing
    )
    published = make(GRID.replace("[tiny_student]", "[{name: cukd_v1, params: {weights: default}}]"))
    assert published.missing == [
        "student cukd_v1: no weights are published for this network; set weights to 'none' or the path of a "
        "state dict"
    ]


def test_what_only_cells_that_are_not_selected_miss_is_not_missed(make):
    text = GRID.replace("[synthetic]", "[synthetic, fashion_mnist]")
    assert make(text).missing
    assert make(text, only=["dataset=synthetic"]).missing == []


def test_networks_of_one_kind_of_weights_keep_their_own(make):
    # Random weights have one fingerprint in all networks, and not all have a parameter that asks for them.
    text = GRID.replace("[tiny_student]", "[{name: timm:test_resnet, params: {weights: none}}, tiny_student]")
    for swapped in (text, text.replace("[tiny_teacher]", "[{name: timm:test_vit, params: {weights: none}}]")):
        plan = make(swapped)
        assert plan.weights["timm:test_resnet", "none"] == "none"
        assert plan.weights["tiny_student", "none"] is None


def test_without_validation_images_no_epoch_can_be_chosen(make, monkeypatch):
    right = loading.load

    def without(*asked, **how):
        loaded = right(*asked, **how)
        return replace(loaded, splits=replace(loaded.splits, val=np.empty(0, np.int64)))

    monkeypatch.setattr(loading, "load", without)
    assert make()
    chosen = GRID.replace("[csq, dch]", "[{name: csq, params: {select: val}}, dch]")
    with pytest.raises(ConfigError, match="grid.yaml:9:10: synthetic has no validation .*select: last"):
        make(chosen)


@pytest.mark.parametrize(
    ("dataset", "cure"),
    [
        ("{name: synthetic, params: {val_per_class: 0}}", "val_per_class: 1 or more"),
        ("{name: coco, params: {val_share: 0}}", "val_share: 0.1"),  # known although the data are missing
        ("veri776", "val_share: 0.1"),
        ("msmt17", "validation: true"),
    ],
)
def test_whoever_wants_to_choose_by_images_that_nobody_holds_out_is_told(make, dataset, cure):
    text = GRID.replace("dataset: [synthetic]", f"dataset: [{dataset}]")
    text = text.replace("method: [none, {name: cukd, params: {views: 2, epochs: 3}}]", "method: [none]")
    name = make(text).cells[0].info.dataset
    message = f"{name} has no validation images to choose an epoch with; set select: last or {cure}$"
    with pytest.raises(ConfigError, match=message):
        make(text.replace("[csq, dch]", "[{name: csq, params: {select: val}}]"))


def test_of_videos_one_frame_each_is_to_come(make, tmp_path):
    write_svd(tmp_path)
    text = GRID.replace("[synthetic]", "[svd]").replace("loss: [csq, dch]", "loss: [none]")
    for pairs, images in (("views", 11), ("videos", 4)):
        method = f"[{{name: whiten_mtd, params: {{pool: train, epochs: 3, pairs: {pairs}}}}}]"
        plan = make(text.replace("[none, {name: cukd, params: {views: 2, epochs: 3}}]", method))
        assert {stage.images for stage in plan.stages() if stage.kind == "distill"} == {3 * images}


def test_images_of_step_one_are_those_that_it_will_see(make):
    data = loading.load("synthetic", {}, Path("data"), None)
    for pool in ("train", "database"):
        for way in ("always", "if_chosen"):
            plan = make(GRID.replace("views: 2,", f"views: 1, pool: {pool}, hold_out: {way},"))
            (asked,) = (stage for stage in plan.stages() if stage.kind == "features")
            assert asked.images == len(data.pool(pool, 1.0, way).indices)


def test_a_limit_is_in_the_record_and_in_the_keys(make):
    limited = make(limit=8)
    assert limited.cells[0].info.protocol["limit"] == 8
    assert not {stage.key for stage in limited.stages() if stage.kind == "finetune"} & {
        stage.key for stage in make().stages()
    }


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("mine", r"grid.yaml:\d+:\d+: no metric gives 'mine' \(known: map, "),
        ("mac", "no metric gives 'mac'; did you mean .*'macs'"),
        ("latency@1", "no metric gives 'latency@1'; did you mean .*'latency_ms'"),
    ],
)
def test_an_axis_that_no_metric_gives_is_refused_before_any_work(make, axis, message):
    with pytest.raises(ConfigError, match=message):
        make(f"{GRID}\nreport: {{pareto: [[map, {axis}]]}}\n")


def test_axes_may_be_what_a_metric_of_ones_own_gives(make, monkeypatch):
    """Nobody knows before it runs what the values of another's metric are called."""

    class Own(registry.METRICS.get("params")):
        version = 1

    monkeypatch.setitem(registry.METRICS._registered, "own", Own)
    plan = make(f"{GRID}\nmeasure: {{own: {{}}}}\nreport: {{pareto: [[map, mine]]}}\n")
    assert plan.pareto == [("map", "mine")]


def test_what_is_kept_of_the_results_makes_no_other_cell(make):
    plain, kept = make(), make(f"{GRID}report: {{keep: front}}\n")
    assert (plain.keep, kept.keep) == ("none", "front")
    assert [cell.record_key for cell in plain.cells] == [cell.record_key for cell in kept.cells]
    assert [stage.key for stage in plain.stages()] == [stage.key for stage in kept.stages()]


def test_a_pool_that_is_no_longer_that_of_the_plan_is_refused(make, tmp_path):
    (asked, *_) = (stage for stage in make().stages() if stage.kind == "features")
    context = Context(None, tmp_path, None, {}, "here")
    assert context.pool(asked).digest == asked.spec["dataset"]["pool"]
    other = replace(asked, spec={**asked.spec, "dataset": {**asked.spec["dataset"], "pool": "another"}})
    with pytest.raises(DataError, match="step 1 would not see what this run began with; run it again"):
        context.pool(other)
