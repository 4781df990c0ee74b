"""Which stages make a cell, shared by what, under which keys."""

from __future__ import annotations

from collections import Counter

import pytest

from bench import environment
from tests.planning.conftest import GRID


def kinds(plan) -> Counter[str]:
    return Counter(stage.kind for stage in plan.stages())


def test_stages_are_shared_as_far_as_they_can_be(make):
    plan = make()
    assert len(plan.cells) == 2 * 2 * 2 * 2
    counts = kinds(plan)
    # Features: one teacher, two views. Step 1: one per seed. Network costs: one per code length.
    assert counts["features"] == 2
    assert counts["distill"] == 2
    assert counts["finetune"] == counts["encode"] == 16
    assert counts["measure"] == 16 * 8 + 2 * 5


def test_cells_without_a_teacher_are_not_repeated_per_teacher(make):
    two = GRID.replace(
        "[tiny_teacher]", "[tiny_teacher, {name: torchvision:resnet18, params: {weights: none}}]"
    )
    plan = make(two)
    assert Counter(cell.info.method for cell in plan.cells) == {"none": 8, "cukd": 16}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("epochs: 3", "epochs: 4", {"distill", "finetune", "encode"}),
        ("views: 2", "views: 1", {"distill", "finetune", "encode"}),
        ("loss: [csq, dch]", "loss: [csq, {name: dch, params: {gamma: 10}}]", {"finetune", "encode"}),
        ("image_size: 16", "image_size: 32", {"distill", "finetune", "encode"}),
        ("image_size: 16", "image_size: 16, precision: bf16", {"features", "distill", "finetune", "encode"}),
        (
            "[synthetic]",
            "[{name: synthetic, params: {split_seed: 1}}]",
            {"features", "distill", "finetune", "encode"},
        ),
        ("name: grid", "name: renamed", set()),
    ],
)
def test_a_change_reaches_exactly_the_stages_that_depend_on_it(make, old, new, changed):
    before, after = (
        {stage.key: stage.kind for stage in make(text).stages() if stage.kind not in {"measure", "examples"}}
        for text in (GRID, GRID.replace(old, new))
    )
    assert {after[key] for key in after.keys() - before.keys()} == changed


def test_the_hardware_is_in_the_keys_of_timings_and_nowhere_else(make):
    here, there = make(hardware="here"), make(hardware="there")
    changed = {stage.key for stage in here.stages()} - {stage.key for stage in there.stages()}
    timed = {stage.spec["metric"]["name"] for stage in here.stages() if stage.key in changed}
    assert timed == {"latency", "peak_memory", "search"}
    assert [cell.key for cell in here.cells] == [cell.key for cell in there.cells]
    assert here.cells[0].record_key != there.cells[0].record_key


def test_another_version_of_what_is_timed_makes_timings_new_and_nothing_else(make, monkeypatch):
    old = make()
    monkeypatch.setattr(environment, "timed_packages", lambda: {"torch": "99.0"})
    new = make()
    changed = {stage.key for stage in new.stages()} - {stage.key for stage in old.stages()}
    assert {stage.spec["metric"]["name"] for stage in new.stages() if stage.key in changed} == {
        "latency",
        "peak_memory",
        "search",
    }
    assert [cell.key for cell in new.cells] == [cell.key for cell in old.cells]


def test_parameters_of_a_timing_make_another_cell_and_the_machine_does_not(make):
    other = make(GRID + "measure: {search: {k: 7}}\n")
    assert other.cells[0].key != make().cells[0].key
    assert other.cells[0].params["measure"]["search"]["k"] == 7
    assert other.cells[0].params["measure"]["latency"]["batch_sizes"] == [1, 64]


def test_keys_are_the_same_in_another_process_and_another_day(make):
    # A key that moves without a reason makes every user compute everything again.
    from bench.planning.stage import Stage

    stage = Stage("encode", "x", {"a": 1, "b": [1.5, None, "t"]}, {"in": Stage("distill", "y", {})})
    assert stage.key == "c71710902188a52591080b67e588914af07c901bf51b286327818a81b8f55660"
