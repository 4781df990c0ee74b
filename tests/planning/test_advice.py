"""What a plan says of its trainings, and of what is likely not meant."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy import stats

from bench import registry
from bench.planning import advice
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from bench.planning.points import Choice
from tests.conftest import PLUGINS

GRID = """\
schema: 1
name: grid
defaults: {image_size: 16, finetune: {epochs: 3}}
axes:
  dataset: [synthetic]
  teacher: [tiny_teacher]
  student: [{name: timm:test_resnet, params: {weights: none}}, tiny_student]
  method: [none, {name: cukd, params: {views: 2, epochs: 4, lr: 1e-3}}]
  loss: [csq, {name: dch, params: {lr: 1e-4}}]
  bits: [16]
  seed: [0, 1, 2]
"""
BOTH = "timm:test_resnet, tiny_student"


@pytest.fixture
def make(tmp_path):
    """Build the plan of a grid text."""
    registry.include(PLUGINS / "tiny.py")

    def build(text: str = GRID, **choice):
        path = tmp_path / "grid.yaml"
        path.write_text(text)
        return build_plan(load_grid(path), tmp_path, "here", Choice(**choice))

    return build


def test_trainings_are_listed_once_with_what_is_in_force(make):
    shown = [(row["step"], row["name"], row["epochs"], row["optimizer"], row["lr"]) for row in
             advice.training(make())]  # fmt: skip
    assert shown == [
        (1, "cukd", 4, "adam", 1e-3),
        (2, "csq", 3, "rmsprop", 1e-5),
        (2, "dch", 3, "rmsprop", 1e-4),
    ]
    assert advice.training(make(GRID.replace("loss: [csq, {name: dch, params: {lr: 1e-4}}]", "loss: none"),
                                only=["method=none"])) == []  # fmt: skip


def test_teachers_that_are_trained_first_are_listed_too(make):
    text = GRID.replace("tiny_teacher", "tiny_residual").replace(
        "[{name: timm:test_resnet, params: {weights: none}}, tiny_student]", "[tiny_residual]"
    )
    cdd = re.sub(r"method: .*", "method: {name: cdd, params: {epochs: 30, teacher_epochs: 7}}", text)
    assert [(row["name"], row["epochs"]) for row in advice.training(make(cdd))][:2] == [
        ("retrieval", 7),
        ("cdd", 30),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", [f"csq trains {BOTH} from random weights at its default rate for fine-tuning, 1e-05 ("]),
        ("csq,", "{name: csq, params: {lr: 2e-5}},", [f"csq trains {BOTH} from random weights at the rate"]),
        ("csq,", "{name: csq, params: {lr: 1e-4}},", []),
        (
            "csq,",
            "{name: csq, params: {optimizer: sgd, lr: 9e-3}},",
            [f"csq trains {BOTH} from random weights at the rate 0.009 (sgd); set defaults.finetune.lr or "
             "params: {lr: 1e-2}"],
        ),
        ("csq,", "{name: csq, params: {optimizer: sgd, lr: 1e-2}},", []),
        ("epochs: 3", "epochs: 3, lr: 1e-3", []),
        ("[none, ", "[", []),
        ("loss: [csq,", "loss: [{name: dpn, params: {lr: 1e-3}},", []),
        ("lr: 1e-4", "lr: 1e-6", [f"csq trains {BOTH}", f"dch trains {BOTH}"]),
    ],
)  # fmt: skip
def test_random_networks_at_rates_for_fine_tuning_are_warned_of(make, old, new, expected):
    found = advice.warnings(make(GRID.replace(old, new, 1) if old else GRID))
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"loss {start}")
        assert re.search(r"; set defaults\.finetune\.lr or params: \{lr: (3e-4|1e-2)\}$", line)


def test_features_of_random_networks_that_nothing_trains_are_warned_of(make):
    losses = "loss: [none, itq, {name: csq, params: {train: head, random_views: false, lr: 1e-3}}, dch]"
    text = re.sub("loss: .*", losses, GRID).replace("epochs: 3", "epochs: 3, lr: 1e-3")
    text = text.replace("bits: [16]", "bits: [8]")
    assert advice.warnings(make(text)) == [
        f"loss none, itq, csq (train: head) takes features of {student} with random weights that nothing "
        "trains; give it weights or a method that trains it, or exclude them"
        for student in BOTH.split(", ")
    ]
    assert advice.warnings(make(text, skip=["method=none"])) == []
    assert advice.warnings(make(text, only=["loss=dch"])) == []


def test_published_weights_may_be_fine_tuned_slowly(make):
    text = GRID.replace(
        "[{name: timm:test_resnet, params: {weights: none}}, tiny_student]", "[efficientnet_lite0]"
    )
    assert advice.warnings(make(text)) == []
    assert advice.warnings(make(re.sub("loss: .*", "loss: [none, itq]", text))) == []


def test_exclusions_without_effect_are_warned_of(make):
    quick = GRID.replace("epochs: 3", "epochs: 3, lr: 1e-3")
    excludes = "exclude: [{loss: csq, method: none}, {bits: 17}, {loss: dpn}, {}]\n"
    idle = "this exclusion matches no cell of the grid; correct or drop it"
    assert [line.rpartition("grid.yaml:")[2] for line in advice.warnings(make(quick + excludes))] == [
        f"12:38: {idle}",
        f"12:50: {idle}",
        f"12:63: {idle}",
    ]


def test_few_seeds_are_told_with_the_reason(make):
    assert advice.few_seeds(make()) == []
    assert advice.few_seeds(make(only=["seed=0"])) == []  # the others may be run elsewhere
    (one,) = advice.few_seeds(make(GRID.replace("[0, 1, 2]", "[5]")))
    assert one.startswith("8 of 8 configurations have 1 seed: ")
    (two,) = advice.few_seeds(make(GRID.replace("[0, 1, 2]", "[0, 1]")))
    assert two.startswith(
        "8 of 8 configurations have 2 seeds: a 95 % interval over two is 12.7 times as wide as "
    )
    assert two.endswith("; name 3 or more")
    mixed = GRID + "include: [{loss: dpn, seed: [0, 1]}]\n"
    (some,) = advice.few_seeds(make(mixed))
    assert some.startswith("4 of 12 configurations have 2 seeds: ")
    # Nothing is drawn: seeds change nothing.
    fixed = GRID.replace(
        "[{name: timm:test_resnet, params: {weights: none}}, tiny_student]", "[efficientnet_lite0]"
    )
    still = re.sub(r"method: .*", "method: none", re.sub(r"loss: .*", "loss: none", fixed))
    assert advice.few_seeds(make(still)) == []


def test_an_interval_over_two_is_as_wide_as_it_is_said_to_be():
    scores = np.array([0.61, 0.64])
    low, high = stats.t.interval(0.95, 1, scores.mean(), stats.sem(scores))
    assert (high - low) / np.ptp(scores) == pytest.approx(12.7, abs=0.05)


def test_plan_and_run_say_so(tiny):
    slow = (
        "finetune: {epochs: 2, batch_size: 32, lr: 1.0e-3",
        "finetune: {epochs: 2, batch_size: 32, lr: 1.0e-5",
    )
    warning = "warning: loss csq trains tiny_student from random weights at "
    planned = tiny("plan", edit=slow)
    assert warning in planned.err
    assert "Seeds: 4 of 4 configurations have 1 seed" in planned.out
    assert re.search(r"2 +csq +2 +32 +adamw +1e-05 +constant", planned.out)
    summary = json.loads(tiny("plan", "--json", edit=slow).out)
    assert [line[:26] for line in summary["warnings"]] == [
        "loss csq trains tiny_stude",
        "loss dch trains tiny_stude",
        "4 of 4 configurations have",
    ]
    assert {row["name"]: row["lr"] for row in summary["training"]} == {"cukd": 1e-3, "csq": 1e-5, "dch": 1e-5}
    only = ("--only", "method=none", "--only", "loss=csq")
    assert warning in tiny("run", *only, edit=slow).err
    assert warning not in tiny("plan").err
