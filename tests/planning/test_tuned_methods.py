"""A tuning of methods, in a plan: a step 1 for each trial, at one point with step 2, and what is refused."""

from __future__ import annotations

import pytest

from bench.errors import ConfigError
from bench.planning.advice import training, tuning
from bench.planning.tuned import LAST_SEED
from bench.registry import METHODS
from tests.planning.conftest import GRID

BOTH = GRID.replace("[16, 32]", "[16]") + "tune: {of: [method, loss], trials: 3, studies: 2}\n"
METHOD_AXIS = "[none, {name: cukd, params: {views: 2, epochs: 3}}]"
#: A method whose teacher is trained on the labels first.
PRUNED = BOTH.replace(METHOD_AXIS, "[{name: cdd, params: {epochs: 30}}]").replace(
    "tiny_teacher", "tiny_residual"
)
PRUNED = PRUNED.replace("tiny_student", "tiny_residual")


def of_kind(plan, kind):
    return [stage for stage in plan.stages() if stage.kind == kind]


def test_methods_are_searched_where_tune_says_so_each_trial_with_a_step_1_of_its_own(make):
    plan = make(BOTH)
    assert len(of_kind(plan, "tune")) == 4
    trials = of_kind(plan, "trial")
    assert len(trials) == 4 * 2 * 3
    # Of each loss two seeds of cukd; and six points of it, which the trials of both losses share.
    steps = of_kind(plan, "distill")
    assert len(steps) == 2 * 2 + 6
    own = [stage for stage in steps if "trial" in stage.spec]
    assert {stage.key for stage in own} == {
        stage.inputs["distill"].key for stage in trials if "distill" in stage.inputs
    }
    assert {stage.spec["seed"] for stage in own} == {LAST_SEED - 1, LAST_SEED - 2}
    assert len({stage.spec["method"]["params"]["lr"] for stage in own}) == 6
    for stage in steps:
        assert ("tune" in stage.inputs) == ("study" in stage.spec) == ("trial" not in stage.spec)


def test_without_a_step_1_losses_are_tuned_as_ever(make):
    ever, both = (
        {stage.key for stage in of_kind(make(text), "tune") if "method.lr" not in stage.spec["names"]}
        for text in (BOTH.replace("of: [method, loss], ", ""), BOTH)
    )
    assert len(both) == 2
    assert both < ever


def test_methods_alone_are_tuned_with_losses_as_the_grid_has_them(make):
    plan = make(BOTH.replace("[method, loss]", "method"))
    assert {cell.info.method for cell in plan.cells if "tuning" in cell.params} == {"cukd"}
    assert {stage.spec["loss"]["params"]["lr"] for stage in of_kind(plan, "trial")} == {1e-5}
    assert not [stage for stage in of_kind(plan, "finetune") if "tune" in stage.inputs]
    (cell, *_) = (cell for cell in plan.cells if cell.info.method == "cukd")
    assert [*cell.params["tuning"]["space"]] == ["method.lr", "method.weight_decay"]
    assert "lr" in cell.params["loss"]
    assert "lr" not in cell.params["method"]


def test_step_1_of_a_trial_has_not_seen_what_judges_it(make):
    plan = make(BOTH.replace("views: 2,", "views: 2, hold_out: if_chosen,"))
    for stage in of_kind(plan, "distill"):
        assert ("hold_out" in stage.spec["method"]["params"]) == ("trial" not in stage.spec)
    (one,) = {stage.spec["dataset"]["pool"] for stage in of_kind(plan, "distill") if "trial" in stage.spec}
    (other,) = {stage.spec["dataset"]["pool"] for stage in of_kind(plan, "distill") if "tune" in stage.inputs}
    assert one != other


def test_trials_are_shorter_in_every_step_that_is_searched(make):
    plan = make(BOTH.replace("trials: 3", "trials: 2, epochs_share: 0.34"))
    epochs = {
        (stage.spec["method"]["params"]["epochs"], "trial" in stage.spec)
        for stage in of_kind(plan, "distill")
    }
    assert epochs == {(3, False), (1, True)}
    assert {stage.spec["loss"]["params"]["epochs"] for stage in of_kind(plan, "trial")} == {10}


def test_a_live_teacher_is_trained_as_the_grid_has_it_whatever_is_searched(make):
    text = PRUNED.replace("{image_size", "{distill: {lr: 0.02}, image_size")
    steps = [stage for stage in of_kind(make(text), "distill") if stage.spec["method"]["name"] == "cdd"]
    assert len(steps) == 2 * 2 + 6
    (teacher,) = {stage.inputs["teacher0"].key: stage.inputs["teacher0"] for stage in steps}.values()
    assert teacher.spec["method"]["params"]["lr"] == 0.02


def test_plan_says_which_trainings_of_methods_there_are(make):
    lines = tuning(make(BOTH))
    assert [line.partition(":")[0] for line in lines] == ["csq", "dch", "cukd and csq", "cukd and dch"]
    assert "6 trainings of both steps in all" in lines[2]
    assert "method.lr 1e-05 to 0.03 (log)" in lines[2]
    (row,) = [row for row in training(make(BOTH)) if row["name"] == "cukd"]
    assert (row["lr"], row["weight_decay"], row["epochs"]) == ("tuned", "tuned", 3)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("[method, loss]", "[method, method]"), "name each of method and loss once"),
        (("[method, loss]", "[student]"), "of"),
        (("trials: 3", "space: {method: {cukb: {lr: [0.1, 1, log]}}}"), "did you mean 'cukd'"),
        (("trials: 3", "space: {method: {rkd: {lr: [0.1, 1, log]}}}"), "no method that this grid trains is"),
        (("trials: 3", "space: {method: {none: {lr: [0.1, 1, log]}}}"), "'none' has nothing that can"),
        (("trials: 3", "space: {method: {cukd: {views: [2, 4]}}}"), "nothing that can be searched"),
        (("trials: 3", "space: {method: {cukd: {lr: [-1.0, 1, linear]}}}"), "method 'cukd' should be"),
        (("of: [method, loss], trials: 3", "space: {method: {cukd: {lr: [1, 2]}}}"), "write of: [m"),
        (("of: [method, loss], trials: 3", "of: method, space: {loss: {csq: {lr: [1, 2]}}}"), "no loss: of"),
        ((METHOD_AXIS, "[none]"), "write of: [loss]"),
        (("views: 2,", "views: 2, lr: 1, weight_decay: 0,"), "'cukd' has no parameters left to search"),
        (("views: 2,", "views: 2, schedule: {fall: cosine, final_lr: 1.0e-4},"), "is above the least lr"),
    ],
)  # fmt: skip
def test_what_cannot_be_tuned_of_methods_is_refused_with_its_place(make, edit, message):
    assert edit[0] in BOTH
    with pytest.raises(ConfigError) as error:
        make(BOTH.replace(*edit))
    assert message in str(error.value)
    assert "grid.yaml:" in str(error.value)


def test_trials_too_short_for_a_method_are_refused(make):
    with pytest.raises(ConfigError, match=r"or raise tune.epochs_share: trials of cdd have 15 epochs"):
        make(PRUNED.replace("trials: 3", "trials: 2, epochs_share: 0.5"))


def test_what_a_method_from_elsewhere_declares_is_looked_at_too(make, monkeypatch):
    monkeypatch.setattr(METHODS.get("cukd"), "space", {"lr": (1.0, 0.1, "log")})
    with pytest.raises(ConfigError, match="what method 'cukd' declares as its space is wrong: lr: the first"):
        make(BOTH)


def test_a_rate_that_is_searched_is_not_held_to_a_schedule_before_it_is_drawn(make):
    text = BOTH.replace("views: 2,", "views: 2, schedule: {fall: cosine, final_lr: 1.0e-3},")
    space = "space: {method: {cukd: {lr: [1.0e-2, 0.1, log]}}}, trials: 3"
    assert len(make(text.replace("trials: 3", space)).cells) == 8


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.01, "grid.yaml:12:53: epochs_share 0.01 of the 3 epochs of method .cukd. is less"),
        (0.33, "write 0.334 or more$"),
        (0.01, "write 0.334 or more$"),
    ],
)
def test_trials_of_less_than_an_epoch_are_refused_with_the_least_share(make, share, message):
    with pytest.raises(ConfigError, match=message):
        make(BOTH.replace("trials: 3", f"trials: 2, epochs_share: {share}"))
    make(BOTH.replace("trials: 3", "trials: 2, epochs_share: 0.334"))


def test_epochs_of_what_is_not_searched_are_no_trials(make):
    """A step 1 that all trials share is as long as that of cells."""
    text = BOTH.replace("of: [method, loss], ", "").replace("trials: 3", "trials: 2, epochs_share: 0.04")
    make(text)
    fewer = text.replace("loss: [csq, dch]", "loss: [csq, {name: dch, params: {epochs: 10}}]")
    with pytest.raises(ConfigError, match="0.04 of the 10 epochs of loss 'dch' .*; write 0.1 or more"):
        make(fewer)
