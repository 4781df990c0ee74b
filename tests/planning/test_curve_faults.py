"""Curves that a grid cannot make are refused before any work, at their place and with a cure."""

import json

import pytest

from bench.errors import ConfigError
from bench.execution.opening import open_folder
from bench.results.folder import load_results
from tests.planning.conftest import GRID

LABELS = """\
  dataset:
    - {name: synthetic, params: {train_per_class: 8}}
    - {name: synthetic, params: {train_per_class: 20}}
"""
SEVERAL = GRID.replace("  dataset: [synthetic]\n", LABELS)


def curves(*pairs):
    return f"report: {{curves: [{', '.join(f'[{accuracy}, {path}]' for accuracy, path in pairs)}]}}\n"


def test_what_a_grid_wants_drawn_is_in_its_plan_and_in_the_results(make, tmp_path):
    asked = [("map", "dataset.train_per_class"), ("map", "bits")]
    plan, plain = make(SEVERAL + curves(*asked)), make(SEVERAL)
    assert plan.curves == asked
    open_folder(plan, tmp_path / "out", replace=False, add=False)
    index = json.loads((tmp_path / "out/grid.json").read_text())
    assert index["curves"] == [list(pair) for pair in asked]
    assert load_results(tmp_path / "out").curves == asked
    # They change neither cells nor stages.
    assert [cell.record_key for cell in plan.cells] == [cell.record_key for cell in plain.cells]
    assert [stage.key for stage in plan.stages()] == [stage.key for stage in plain.stages()]


@pytest.mark.parametrize(
    ("asked", "place", "message"),
    [
        (
            ("map", "train_per_class"),
            25,
            "no cell has a number 'train_per_class'; did you mean 'dataset.train_per_class'?",
        ),
        (("map", "dataset.train_per_clas"), 25, "did you mean 'dataset.train_per_class'?"),
        (("map", "loss.select"), 25, "no cell has a number 'loss.select'; what differs between cells: bits"),
        (
            ("map", "dataset.noise"),
            25,
            "0.5 is the only value of dataset.noise, and a curve takes two; what differs between cells: bits",
        ),
        (("macs", "bits"), 20, "'macs' is no accuracy; write the accuracy first"),
        (("distinct_codes", "bits"), 20, "'distinct_codes' is no accuracy; write the accuracy first"),
        (("mpa", "bits"), 20, "no metric gives 'mpa'; did you mean 'map'"),
    ],
)
def test_a_curve_that_no_cells_make_is_refused_at_its_place(make, asked, place, message):
    text = SEVERAL + curves(asked)
    with pytest.raises(ConfigError) as refused:
        make(text)
    (problem,) = refused.value.problems
    line = text.splitlines().index(curves(asked).strip()) + 1
    assert (problem.line, problem.column) == (line, place)
    assert message in problem.message


def test_numbers_that_go_along_in_one_split_may_be_others_in_another(make):
    """As the report draws them: a split each."""
    loss = "  loss: [{name: csq, params: {epochs: %d, lr: %g}}, {name: csq, params: {epochs: %d, lr: %g}}]"
    text = SEVERAL + curves(("map", "loss.epochs"))
    assert "  loss: [" in text, text
    start = text.index("  loss: [")
    end = text.index("\n", start)
    include = """\
include:
  - dataset: {name: synthetic, params: {train_per_class: 30}}
    loss: [{name: csq, params: {epochs: 1, lr: 0.03}}, {name: csq, params: {epochs: 2, lr: 0.01}}]
"""
    text = text[:start] + loss % (1, 0.01, 2, 0.02) + text[end:]
    make(text.replace("report:", include + "report:"))


def test_a_number_that_never_differs_alone_is_refused(make):
    text = SEVERAL.replace("train_per_class: 8}", "train_per_class: 8, multi_label: true}")
    with pytest.raises(ConfigError, match=r"no two cells differ in dataset\.train_per_class alone"):
        make(text + curves(("map", "dataset.train_per_class")))


def test_other_queries_are_refused_when_planning(make):
    text = SEVERAL.replace("train_per_class", "query_per_class")
    with pytest.raises(ConfigError, match=r"with dataset\.query_per_class queries or database become others"):
        make(text + curves(("map", "dataset.query_per_class")))


@pytest.mark.parametrize("value", ["map", "[map, bits]", "[[map]]", "[[map, bits, macs]]", "[[map, 3]]"])
def test_curves_are_pairs_of_names(make, value):
    with pytest.raises(ConfigError, match=r"grid.yaml:12:\d+: report\.curves"):
        make(f"{GRID}report: {{curves: {value}}}\n")


def test_other_unseen_classes_are_refused_when_planning(make):
    some = SEVERAL.replace("train_per_class: 8", "classes: 6, unseen_classes: 2").replace(
        "train_per_class: 20", "classes: 6, unseen_classes: 3"
    )
    with pytest.raises(ConfigError, match="with dataset.unseen_classes unseen classes become others"):
        make(some + curves(("map", "dataset.unseen_classes")))
