"""Stages: what their keys are made from, and how planning knows of them without running them."""

from __future__ import annotations

import importlib

import pytest

from bench.errors import BenchError
from bench.planning import stage as planning
from bench.planning.stage import Stage, walk

KINDS = sorted(path.stem for path in planning.MODULES.glob("*.py") if "\ndef run(" in path.read_text())


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Makes a module of a stage with these lines; stages are looked for where it is."""
    monkeypatch.setattr(planning, "MODULES", tmp_path)
    planning.version.cache_clear()
    yield lambda kind, *lines: (tmp_path / f"{kind}.py").write_text("\n".join([*lines, ""]))
    planning.version.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_the_version_in_keys_is_the_one_that_the_stage_names(kind):
    assert planning.version(kind) == importlib.import_module(f"bench.stages.{kind}").VERSION


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_says_what_memory_it_needs(kind):
    assert callable(importlib.import_module(f"bench.stages.{kind}").memory)


def test_every_stage_is_known():
    assert {"features", "distill", "finetune", "encode", "measure", "examples"} <= set(KINDS)


def test_another_version_is_another_key(modules):
    keys = set()
    for number in (1, 2):
        modules("sharpen", "import torch", "", f"VERSION = {number}")
        planning.version.cache_clear()
        keys.add(Stage("sharpen", "slug", {}).key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    "lines", [[], ['VERSION = "1"'], ["    VERSION = 1"], ["VERSION = 1", "VERSION = 2"]], ids=str
)
def test_a_stage_without_a_version_is_refused_with_its_file_and_the_cure(modules, lines):
    modules("sharpen", *lines)
    with pytest.raises(BenchError, match=r"sharpen\.py: .*; write one line VERSION = 1"):
        _ = Stage("sharpen", "slug", {}).key


def test_a_kind_without_a_module_is_refused(modules):
    with pytest.raises(BenchError, match=r"sharpen\.py: no stage"):
        planning.version("sharpen")


def test_what_stages_ask_for_is_found_behind_stages_between():
    """Nobody but those who build the graph knows which kinds there are between two others."""
    distill = Stage("distill", "d", {"student": "teacher's own", "method": {}})
    finetune = Stage("finetune", "f", {"student": "small", "loss": {}, "bits": 16}, {"distill": distill})
    rounded = Stage("sharpen", "r", {"bits": 3}, {"finetune": finetune})
    encode = Stage("encode", "e", {"image_size": 8}, {"sharpen": rounded})
    assert encode.settled("image_size") == encode.spec
    assert encode.settled("loss") == encode.settled("student") == finetune.spec
    assert encode.settled("method") == distill.spec
    assert encode.settled("nothing") == {}


def test_the_nearest_stage_settles():
    far = Stage("features", "f", {"seed": 1})
    inputs = {"one": Stage("distill", "d", {}, {"far": far}), "two": Stage("distill", "d", {"seed": 2})}
    assert Stage("finetune", "f", {}, inputs).settled("seed") == {"seed": 2}


def test_inputs_come_before_their_users(make):
    seen = set()
    for stage in make().stages():
        assert all(needed.key in seen for needed in stage.inputs.values())
        seen.add(stage.key)


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
