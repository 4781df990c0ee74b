"""Grids: strict, every fault at once, each with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.planning.config import load_grid, resolve
from bench.registry import LOSSES
from tests.planning.broken import GOOD, load, problems


def test_a_single_value_is_a_list_of_one_and_numbers_are_numbers(tmp_path):
    grid = load(tmp_path, GOOD)
    assert [entry.name for entry in grid.axes.dataset] == ["digits"]
    assert [[teacher.name for teacher in teachers] for teachers in grid.axes.teacher] == [
        ["efficientnet_lite0"],
        ["efficientnet_lite0", "efficientnet_lite1"],
    ]
    assert grid.axes.method[1].params == {"lr": 1e-4}
    assert (grid.axes.bits, grid.axes.seed) == ([[16]], [0])


def test_what_is_not_yaml_is_one_line_with_its_place(tmp_path):
    (found,) = problems(tmp_path, "schema: 1\naxes: [1, 2\n")
    assert found.startswith("grid.yaml:3:1: not valid YAML")
    for text in ("- 1\n", "", "# nothing\n"):
        (found,) = problems(tmp_path, text)
        assert found == "grid.yaml:1:1: a grid is a mapping; see bench/grids/quick.yaml"


def test_a_missing_file_says_which_option_to_pass(tmp_path):
    with pytest.raises(UsageError, match="--grid"):
        load_grid(tmp_path / "absent.yaml")


def test_overrides_replace_values_and_keep_their_own_place(tmp_path):
    grid = load(tmp_path, GOOD, "axes.bits=[32, 64]", "defaults.distill.lr=1e-3", "protocol.k=all")
    assert grid.axes.bits == [[32], [64]]
    assert grid.defaults.distill.lr == 1e-3
    assert grid.protocol.k == "all"
    (found,) = problems(tmp_path, GOOD, "axes.bits=[x]")
    assert found.startswith("--set axes.bits=[x]:1:2: axes.bits")
    for override in ("axes.bits", "=3", "axes..bits=3"):
        with pytest.raises(
            UsageError, match=re.escape(f"--set {override}: write it as --set path.to.key=value")
        ):
            load(tmp_path, GOOD, override)


def test_relative_weight_files_are_relative_to_the_grid(tmp_path):
    text = GOOD.replace("[cukd_v1]", "[{name: cukd_v1, params: {weights: w/trunk.safetensors}}]")
    assert load(tmp_path, text).axes.student[0].params["weights"] == str(tmp_path / "w/trunk.safetensors")
    home = text.replace("w/trunk", "~/trunk")
    assert load(tmp_path, home).axes.student[0].params["weights"] == str(Path.home() / "trunk.safetensors")


def test_a_schedule_spelt_out_may_be_set_for_all(tmp_path):
    (tmp_path / "grid.yaml").write_text(
        "schema: 1\nname: g\ndefaults: {image_size: 16, finetune: {schedule: {fall: cosine, level: 0.5}}}\n"
        "axes: {dataset: [synthetic], student: [cukd_v1], method: [none], loss: [csq],"
        " bits: [16], seed: [0]}\n"
    )
    grid = load_grid(tmp_path / "grid.yaml").grid
    assert resolve(LOSSES, grid.axes.loss[0], grid.defaults.finetune).schedule.level == 0.5
