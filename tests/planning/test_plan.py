"""Plans: which stages, shared by what, under which keys."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import environment, registry
from bench.data import loading
from bench.errors import ConfigError, UsageError
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.points import Choice
from bench.planning.stage import walk
from bench.registry import DATASETS
from tests.conftest import PLUGINS

GRID = """\
schema: 1
name: grid
defaults: {image_size: 16}
axes:
  dataset: [synthetic]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [none, {name: cukd, params: {views: 2, epochs: 3}}]
  loss: [csq, dch]
  bits: [16, 32]
  seed: [0, 1]
"""


@pytest.fixture
def make(tmp_path: Path):
    """Build the plan of a grid text."""
    registry.include(PLUGINS / "tiny.py")

    def build(text: str = GRID, hardware: str = "here", **choice):
        path = tmp_path / "grid.yaml"
        path.write_text(text)
        return build_plan(load_grid(path), tmp_path, hardware, Choice(**choice))

    return build


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


def test_inputs_come_before_their_users(make):
    seen = set()
    for stage in make().stages():
        assert all(needed.key in seen for needed in stage.inputs.values())
        seen.add(stage.key)


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


def test_filters_exclude_and_include(make):
    assert len(make(only=["loss=csq", "bits=16"]).selected) == 4
    assert len(make(skip=["method=c*"]).selected) == 8
    assert len(make(GRID + "exclude: [{loss: csq, bits: 32}]\n").cells) == 12
    extra = make(GRID + "include: [{student: tiny_teacher, method: none, seed: 7}]\n")
    assert [cell.info.student for cell in extra.cells[16:]] == ["tiny_teacher"] * 4
    embedded = GRID.replace("[csq, dch]", "[csq, none]")
    assert {cell.info.loss for cell in make(embedded, only=["bits=float"]).selected} == {"none"}
    with pytest.raises(ConfigError, match="leaves no cell"):
        make(GRID + "exclude: [{dataset: synthetic}]\n")


@pytest.mark.parametrize("option", ["only", "skip"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bits", "write it as bits=PATTERN"),
        ("bits:17", "write it as bits=PATTERN"),
        (
            "x",
            "write it as KEY=PATTERN (keys: dataset, teacher, student, method, loss, bits, seed, image_size)",
        ),
        ("studnet=x", "unknown key 'studnet'; did you mean 'student'? (keys: dataset, teacher, student"),
        ("bits=17", "no cell of this grid has bits '17' (the grid has: 16, 32)"),
        ("loss=csq,dhc", "no cell of this grid has loss 'dhc'; did you mean 'dch'? (the grid has: csq, dch)"),
        ("loss=csq,", "no cell of this grid has loss '' (the grid has: csq, dch)"),
        ("student=cukd_*", "no cell of this grid has student 'cukd_*' (the grid has: tiny_student)"),
        ("teacher=none", "no cell of this grid has teacher 'none' (the grid has: tiny_teacher)"),
    ],
)
def test_a_filter_that_matches_nothing_says_what_there_is(make, option, text, expected):
    with pytest.raises(UsageError, match=re.escape(f"--{option} {text}: {expected}")):
        make(**{option: [text]})


def test_filters_are_judged_one_by_one_and_together(make):
    assert make(only=["loss=csq"], skip=["loss=dch", "bits=32"])
    many = GRID.replace("[0, 1]", str(list(range(20))))
    with pytest.raises(UsageError, match=r"\(the grid has: 0, 1, .* 10, 11 and 8 more\)"):
        make(many, only=["seed=20"])
    with pytest.raises(UsageError, match="each matches some, but no cell passes all of them"):
        make(only=["loss=csq"], skip=["loss=c*"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "[16, 32]",
            "[16, 48]",
            "grid.yaml:10:14: csq needs a power of two .* not 48; drop it or add exclude",
        ),
        ("[tiny_teacher]", "[[tiny_teacher, tiny_teacher]]", "grid.yaml:8:18: method 'cukd' takes 1 teacher"),
        (
            "[synthetic]",
            "[{name: synthetic, params: {per_class: 10}}]",
            "grid.yaml:5:13: synthetic: class 0 has 10 images",
        ),
    ],
)
def test_combinations_that_cannot_work_are_refused_at_their_place(make, old, new, expected):
    with pytest.raises(ConfigError, match=expected):
        make(GRID.replace(old, new))


def test_a_data_set_says_whether_step_1_may_look_at_its_database(make, monkeypatch):
    plugin = DATASETS.get("synthetic")
    monkeypatch.setattr(plugin, "judged_by", "cameras")
    with pytest.raises(ConfigError, match="would learn from the images that synthetic is tested on"):
        make()
    assert make(GRID.replace("views: 2", "views: 2, pool: train"))
    monkeypatch.setattr(plugin, "open_database", True)
    assert make()


def test_without_a_method_that_takes_a_teacher_none_has_to_be_named(make):
    without = GRID.replace("  teacher: [tiny_teacher]\n", "")
    alone = without.replace("[none, {name: cukd, params: {views: 2, epochs: 3}}]", "[none]")
    assert [cell.key for cell in make(alone).cells] == [
        cell.key for cell in make().cells if cell.info.method == "none"
    ]
    retrieval = alone.replace("[none]", "{name: retrieval, params: {pool: train}}")
    assert {tuple(cell.info.teachers) for cell in make(retrieval).cells} == {()}
    later = alone + "include: [{teacher: tiny_teacher, method: cukd}]\n"
    assert len(make(later).cells) == 16
    with pytest.raises(ConfigError) as caught:
        make(without)
    message = "method 'cukd' takes 1 teacher, and the grid names none; add teacher: [...] to the axes"
    assert [problem.message for problem in caught.value.problems] == [message]
    with pytest.raises(
        ConfigError, match=r"'cukd' takes 1 teacher, this combination has 2; change or exclude"
    ):
        make(GRID.replace("[tiny_teacher]", "[[tiny_teacher, tiny_residual]]"))


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

    def without(*asked):
        loaded = right(*asked)
        return replace(loaded, splits=replace(loaded.splits, val=np.empty(0, np.int64)))

    monkeypatch.setattr(loading, "load", without)
    assert make()
    chosen = GRID.replace("[csq, dch]", "[{name: csq, params: {select: val}}, dch]")
    with pytest.raises(ConfigError, match="grid.yaml:9:10: synthetic has no validation .*select: last"):
        make(chosen)


def test_a_walk_meets_every_stage_once_after_its_inputs(make):
    plan = make()
    met = list(walk(leaf for cell in plan.cells for leaf in cell.leaves.values()))
    assert met == [stage.key for stage in plan.stages()]
    assert len(met) == len(set(met))
    for place, stage in enumerate(plan.stages()):
        assert {needed.key for needed in stage.inputs.values()} <= set(met[:place])


def test_below_what_is_there_a_walk_meets_nothing(make):
    leaves = [leaf for cell in make().cells for leaf in cell.leaves.values()]
    asked = []
    found = walk(leaves, lambda stage: asked.append(stage.key) or stage.kind == "encode").values()
    assert {stage.kind for stage in found} == {"measure", "examples"}
    assert len(asked) == len(set(asked)) == len(found) + 16


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
