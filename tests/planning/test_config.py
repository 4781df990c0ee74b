"""Grids: strict, every fault at once, each with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigError, UsageError
from bench.planning import yaml_nodes
from bench.planning.config import load_grid
from bench.planning.schema import json_schema

ROOT = Path(__file__).parents[2]

GOOD = """\
schema: 1
name: good
axes:
  dataset: digits
  teacher: [efficientnet_lite0, [efficientnet_lite0, efficientnet_lite1]]
  student: [cukd_v1]
  method: [none, {name: cukd, params: {lr: 1e-4}}]
  loss: [csq]
  bits: 16
"""


def load(tmp_path: Path, text: str, *overrides: str):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return load_grid(path, overrides).grid


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_a_single_value_is_a_list_of_one_and_numbers_are_numbers(tmp_path):
    grid = load(tmp_path, GOOD)
    assert [entry.name for entry in grid.axes.dataset] == ["digits"]
    assert [[teacher.name for teacher in teachers] for teachers in grid.axes.teacher] == [
        ["efficientnet_lite0"],
        ["efficientnet_lite0", "efficientnet_lite1"],
    ]
    assert grid.axes.method[1].params == {"lr": 1e-4}
    assert (grid.axes.bits, grid.axes.seed) == ([16], [0])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: good", "nmae: good", "grid.yaml:2:1: unknown key 'nmae'; did you mean 'name'?"),
        ("bits: 16", "bits: [16, 32.5]", "grid.yaml:9:14: axes.bits should be a valid integer, not 32.5"),
        ("bits: 16", "bits: ['16']", 'grid.yaml:9:10: axes.bits should be a valid integer, not "16"'),
        ("bits: 16", "bits: [true]", "grid.yaml:9:10: axes.bits should be a valid integer, not true"),
        (
            "loss: [csq]",
            "loss: [cqs]",
            "grid.yaml:8:10: unknown loss 'cqs'; did you mean 'csq'? (choices: csq, dch",
        ),
        (
            "{lr: 1e-4}",
            "{lr: -1}",
            "grid.yaml:7:44: lr of method 'cukd' should be greater than 0, not -1",
        ),
        (
            "{lr: 1e-4}",
            "{epoch: 3}",
            "grid.yaml:7:40: unknown key 'epoch' of method 'cukd'; did you mean 'epochs'?",
        ),
        ("schema: 1", "schema: 0", "grid.yaml:1:9: schema should be 1, not 0"),
        ("schema: 1\n", "", "grid.yaml:1:1: missing key 'schema'; write schema: 1"),
        ("bits: 16", "image_size: 16", "grid.yaml:9:3: unknown key 'image_size'; it belongs in defaults"),
        (
            "name: good",
            "name: good\nlr: 1",
            "grid.yaml:3:1: unknown key 'lr'; it belongs in defaults.distill or",
        ),
        ("[csq]", "[{lr: 1}]", "grid.yaml:8:10: missing key 'name' in axes.loss"),
        ("[csq]", "[3]", "grid.yaml:8:10: write a name, or {name: ..., params: {...}}, not 3"),
        ("[csq]", "[cukd]", "grid.yaml:8:10: unknown loss 'cukd', which is a method (choices: csq"),
        ("[csq]", "{name: csq, params: 3}", "grid.yaml:8:29: axes.loss.params should be a mapping, not 3"),
        ("[cukd_v1]", "[resnet18]", "grid.yaml:6:13: unknown student 'resnet18'; a network of a library is"),
        (
            "[cukd_v1]",
            "[tmm:resnet18]",
            "grid.yaml:6:13: unknown student 'tmm:resnet18'; did you mean 'timm:res",
        ),
        ("bits: 16", "bits: 16\n  bits: 32", "grid.yaml:10:3: duplicate key 'bits'; remove one of them"),
        ("bits: 16", "bits: []", "grid.yaml:9:9: axes.bits should have at least 1 item, not []"),
        (
            "bits: 16",
            "bits: 16\ninclude: [{teacher: []}]",
            "grid.yaml:10:21: include.teacher should have at le",
        ),
        ("bits: 16", "bits: 16\nexclude: [{loss: cqs}]", "grid.yaml:10:18: unknown loss 'cqs'; did you mean"),
        (
            "bits: 16",
            "bits: 16\nmeasure: {latncy: false}",
            "grid.yaml:10:19: unknown metric 'latncy'; did you",
        ),
        (
            "bits: 16",
            "bits: 16\nmeasure: {latency: true}",
            "grid.yaml:10:20: measure.latency should be a mapping or false, not true",
        ),
        (
            "bits: 16",
            "bits: 16\nexclude: [{image_size: 32}]",
            "grid.yaml:10:12: unknown key 'image_size' (known: bits, dataset",
        ),
        ("bits: 16", "bits: 16\nreport: {pareto: map}", "grid.yaml:10:18: report.pareto should be a list"),
        ("name: good", "name: ../up", "grid.yaml:2:7: name should be letters, digits, '.', '_' and '-'"),
        ("name: good", "name: !!python/name:os.system x", "grid.yaml:2:7: tag"),
    ],
)
def test_a_fault_names_its_place_and_cure(tmp_path, old, new, expected):
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(problem.startswith(expected) for problem in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "schema: 1\nname: good",
            "schema: 2\nnew: key",
            "1:9: schema 2 is newer than 1, the newest this version reads; update hash-pareto",
        ),
        ("name: good", "nmae: good", "2:1: unknown key 'nmae'; did you mean 'name'?"),
        ("[csq]", "[{nam: csq}]", "8:11: unknown key 'nam'; did you mean 'name'?"),
        (
            "[csq]",
            "[{name: csq, lr: 1e-3}]",
            "8:22: 'lr' is a parameter of loss 'csq' and belongs in params: {name: csq, params: {lr: 0.001}}",
        ),
        (
            "[csq]",
            "{name: csq, lr: 1e-3}",
            "8:21: 'lr' is a parameter of loss 'csq' and belongs in params: {name: csq, params: {lr: 0.001}}",
        ),
        (
            "[csq]",
            "[{name: csq, lrr: 1e-3}]",
            "8:22: unknown key 'lrr'; did you mean 'lr'? It belongs in params: "
            "{name: csq, params: {lr: 0.001}}",
        ),
        (
            "[cukd_v1]",
            "[{name: timm:resnet18, weights: none}]",
            "6:35: 'weights' is a parameter of student 'timm:resnet18' and belongs in params: "
            "{name: timm:resnet18, params: {weights: none}}",
        ),
        (
            "[csq]",
            "[csq: {lr: 1}]",
            "8:10: a loss is a name, or a mapping with a name; write {name: csq, params: {lr: 1}}",
        ),
        ("[cukd_v1]", "[timm: resnet18]", "6:13: write timm:resnet18 without a blank behind the colon"),
    ],
)
def test_one_fault_is_told_once(tmp_path, old, new, expected):
    assert old in GOOD
    assert problems(tmp_path, GOOD.replace(old, new)) == [f"grid.yaml:{expected}"]


def test_all_faults_are_reported_at_once_in_file_order(tmp_path):
    text = GOOD.replace("name: good", "nmae: good").replace("[csq]", "[cqs]").replace("16", "x")
    found = problems(tmp_path, text)
    assert [problem.split(":")[1] for problem in found] == sorted(problem.split(":")[1] for problem in found)
    assert {problem.split(":")[1] for problem in found} >= {"2", "8", "9"}


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
    assert grid.axes.bits == [32, 64]
    assert grid.defaults.distill.lr == 1e-3
    assert grid.protocol.k == "all"
    (found,) = problems(tmp_path, GOOD, "axes.bits=[x]")
    assert found.startswith("--set axes.bits=[x]:1:2: axes.bits")
    for override in ("axes.bits", "=3", "axes..bits=3"):
        with pytest.raises(
            UsageError, match=re.escape(f"--set {override}: write it as --set path.to.key=value")
        ):
            load(tmp_path, GOOD, override)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("axs.bits=[16]", "unknown key 'axs'; did you mean 'axes'?"),
        ("axes.studnet=[x]", "unknown key 'studnet'; did you mean 'student'?"),
        ("defaults.finetun.lr=1", "unknown key 'finetun'; did you mean 'finetune'?"),
        ("bits=16", "unknown key 'bits'; it belongs in axes"),
        ("axes.bits=", "axes.bits should be a valid integer, not null"),
        (
            "axes.bits.0=3",
            "axes.bits is no mapping, and parts of it cannot be set; give all of it: axes.bits=...",
        ),
        ("axes.loss=cqs", "unknown loss 'cqs'; did you mean 'csq'? (choices: csq"),
        ("schema=2", "schema 2 is newer than 1"),
    ],
)
def test_faults_of_an_override_are_told_of_the_override(tmp_path, override, expected):
    (found,) = problems(tmp_path, GOOD, override)
    assert found.startswith(f"--set {override}:1:1: {expected}")


def test_aliases_that_contain_themselves_or_multiply_are_refused(tmp_path):
    assert "alias" in problems(tmp_path, "name: &a [*a]\n")[0]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    assert "far too many values" in problems(tmp_path, bomb)[0]


def test_relative_weight_files_are_relative_to_the_grid(tmp_path):
    text = GOOD.replace("[cukd_v1]", "[{name: cukd_v1, params: {weights: w/trunk.safetensors}}]")
    assert load(tmp_path, text).axes.student[0].params["weights"] == str(tmp_path / "w/trunk.safetensors")
    home = text.replace("w/trunk", "~/trunk")
    assert load(tmp_path, home).axes.student[0].params["weights"] == str(Path.home() / "trunk.safetensors")


# JSON writes characters beyond 16 bits as surrogate pairs, which mean nothing to YAML, and a key of more than
# 1,024 characters is none.
_TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=60)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=20,
    )
)
def test_plain_values_survive_a_round_trip(value):
    # PyYAML writes what YAML 1.1 would misread in quotes; JSON has only one way to write anything.
    assert yaml_nodes.parse(json.dumps(value), "x").value == value
    if isinstance(value, dict | list):
        document = yaml_nodes.parse(yaml.safe_dump(value, allow_unicode=True), "x")
        assert not [problem for problem in document.problems if "duplicate" in problem.message]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("on", "on"),
        ("yes", "yes"),
        ("010", "010"),
        ("1.10", 1.1),
        ("~", None),
        ("1_000", "1_000"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    assert yaml_nodes.parse(text, "x").value == value


@pytest.mark.parametrize("path", sorted((ROOT / "bench/grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_grids_are_valid(path):
    assert load_grid(path).grid.name == path.stem


def test_the_default_grid_is_the_quick_grid_and_the_schema_is_current():
    strip = lambda path: path.read_text().split("\n", 1)[1]  # noqa: E731
    assert strip(ROOT / "grid.yaml") == strip(ROOT / "bench/grids/quick.yaml")
    shipped = json.loads((ROOT / "bench/grids/grid.schema.json").read_text())
    assert shipped == json_schema(), "run: make schema"
