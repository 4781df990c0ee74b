"""A tuning in a plan: its trials, what they are made from, and what a grid may not ask for."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from pydantic import Field

from bench.errors import ConfigError
from bench.planning import tuned
from bench.planning.advice import training, tuning, warnings
from bench.planning.stage import walk
from bench.planning.tuned import LAST_SEED
from bench.registry import LOSSES
from tests.planning.conftest import GRID

TUNED = GRID.replace("[16, 32]", "[16]") + "tune: {trials: 3, studies: 2}\n"
ALONE = TUNED.replace("[none, {name: cukd, params: {views: 2, epochs: 3}}]", "[none]")


def of_kind(plan, kind):
    return [stage for stage in plan.stages() if stage.kind == kind]


def test_cells_of_all_seeds_share_one_tuning_for_each_configuration(make):
    plan = make(TUNED)
    assert len(plan.cells) == 8
    # Two methods and two losses.
    assert len(of_kind(plan, "tune")) == 4
    assert len(of_kind(plan, "trial")) == 4 * 2 * 3
    assert len(of_kind(plan, "finetune")) == 8
    # Two seeds of cukd, and the one that all trials of both losses share.
    assert len(of_kind(plan, "distill")) == 3


def test_trials_are_drawn_once_for_their_loss_and_planned_once_for_all_seeds(make, monkeypatch):
    calls = Counter()

    def counted(name):
        right = getattr(tuned, name)
        monkeypatch.setattr(tuned, name, lambda *args: calls.update([name]) or right(*args))

    for name in ("tuning_of", "tuning_stage"):
        counted(name)
    make(TUNED.replace("[16]", "[16, 32]"))
    # Two methods and two losses, and each at two lengths.
    assert calls == {"tuning_of": 4, "tuning_stage": 8}
    calls.clear()
    make(TUNED.replace("[16]", "[[16, 32]]"))
    assert calls == {"tuning_of": 4, "tuning_stage": 4}


def test_without_tune_nothing_changes(make):
    plan = make(ALONE.partition("tune:")[0])
    assert not of_kind(plan, "tune")
    assert all("study" not in stage.spec and "tuning" not in cell.params for cell in plan.cells
               for stage in walk(cell.leaves.values()).values())  # fmt: skip


def test_trials_have_seeds_of_their_own_and_never_see_what_judges_them(make):
    text = TUNED.replace("views: 2,", "views: 2, hold_out: if_chosen,")
    plan = make(text)
    seeds = {cell.info.seed for cell in plan.cells}
    trials = of_kind(plan, "trial")
    assert {stage.spec["seed"] for stage in trials} == {LAST_SEED - 1, LAST_SEED - 2}
    assert not seeds & {stage.spec["seed"] for stage in trials}
    steps = {stage.inputs["distill"].key: stage.inputs["distill"] for stage in trials if stage.inputs}
    assert [stage.spec["seed"] for stage in steps.values()] == [LAST_SEED]
    (step,) = steps.values()
    assert "hold_out" not in step.spec["method"]["params"]
    others = [stage for stage in of_kind(plan, "distill") if stage.key != step.key]
    assert {stage.spec["method"]["params"]["hold_out"] for stage in others} == {"if_chosen"}


def test_a_seed_takes_the_winner_of_its_study(make):
    plan = make(ALONE.replace("[0, 1]", "[0, 1, 2, 7]"))
    studies = {stage.spec["seed"]: stage.spec["study"] for stage in of_kind(plan, "finetune")}
    assert studies == {0: 0, 1: 1, 2: 0, 7: 1}


def test_what_is_searched_stands_in_no_parameter_of_the_cell(make):
    (cell, *_) = make(ALONE).cells
    assert cell.params["tuning"]["trials"] == 3
    assert cell.params["tuning"]["space"]["lr"] == [1e-5, 3e-2, "log"]
    assert not cell.params["tuning"]["space"].keys() & cell.params["loss"].keys()
    assert cell.params["loss"]["epochs"] == 30


def test_what_an_entry_sets_itself_is_not_searched(make):
    plan = make(ALONE.replace("[csq, dch]", "[{name: csq, params: {lr: 0.02}}, dch]"))
    csq, dch = ({cell.info.loss: cell.params for cell in plan.cells}[name] for name in ("csq", "dch"))
    assert csq["loss"]["lr"] == 0.02
    assert "lr" not in csq["tuning"]["space"]
    assert "lr" in dch["tuning"]["space"]


def test_a_space_of_the_grid_takes_the_place_of_what_the_loss_declares(make):
    space = "{loss: {csq: {lr: [0.01, 0.1, log], targets: [majority, first]}}}"
    asked = f"{{trials: 2, epochs_share: 0.4, space: {space}}}"
    plan = make(ALONE.replace("{trials: 3, studies: 2}", asked))
    trials = [stage for stage in of_kind(plan, "trial") if stage.spec["loss"]["name"] == "csq"]
    values = [stage.spec["loss"]["params"] for stage in trials]
    assert all(0.01 <= one["lr"] <= 0.1 and one["epochs"] == 12 for one in values)
    assert {one.get("targets", "majority") for one in values} == {"majority", "first"}
    assert {one["quantization_weight"] for one in values} == {1e-4}
    final = [stage for stage in of_kind(plan, "finetune") if stage.spec["loss"]["name"] == "csq"]
    assert {stage.spec["loss"]["params"]["epochs"] for stage in final} == {30}


def test_heads_of_frozen_trunks_are_tuned_on_features_that_no_cell_has(make):
    plan = make(TUNED.replace("[csq, dch]", "[{name: csq, params: {train: head}}, lsh]"))
    trunks = {stage.key for stage in of_kind(plan, "trunk")}
    used = {stage.inputs["trunk"].key for stage in of_kind(plan, "trial")}
    # One behind the tuning's own step 1, and of each study one with random weights.
    assert len(used) == 3
    assert len(trunks) == 3 + 4
    assert all("trunk" in stage.inputs and "tune" in stage.inputs for stage in of_kind(plan, "finetune"))
    assert ["tuning" in cell.params for cell in plan.cells] == [
        cell.info.loss == "csq" for cell in plan.cells
    ]


def everything(plan):
    """Every stage as whoever needs it has it, the same one several times."""
    found, more = [], [leaf for cell in plan.cells for leaf in cell.leaves.values()]
    while more:
        found += more
        more = [needed for stage in more for needed in stage.inputs.values()]
    return found


@pytest.mark.parametrize(
    "losses",
    ["[csq, {name: csq, params: {train: head}}, lsh]", "[{name: csq, params: {lr: 0.1, head_lr_scale: 1}}]"],
)
@pytest.mark.parametrize("space", ["", ", space: {loss: {csq: {targets: [majority, first]}}}"])
def test_what_has_one_key_lies_in_one_place(make, losses, space):
    """Else what one stage leaves there, another looks for elsewhere."""
    text = TUNED.replace("[csq, dch]", losses).replace("studies: 2", f"studies: 2{space}")
    places = {}
    for stage in everything(make(text)):
        assert places.setdefault(stage.key, stage.place) == stage.place


def test_losses_that_train_nothing_are_not_tuned(make):
    plan = make(ALONE.replace("[csq, dch]", "[csq, none]"))
    assert ["tuning" in cell.params for cell in plan.cells if cell.info.loss == "none"] == [False, False]


def test_a_longer_tuning_shares_the_trials_of_a_shorter_one(make):
    short, long = (make(ALONE.replace("trials: 3", f"trials: {n}")) for n in (3, 6))
    assert {one.key for one in of_kind(short, "trial")} < {one.key for one in of_kind(long, "trial")}
    assert not {one.key for one in of_kind(short, "tune")} & {one.key for one in of_kind(long, "tune")}


def test_nested_lengths_are_tuned_together(make):
    plan = make(TUNED.replace("bits: [16]", "bits: [[8, 16]]"))
    assert len(of_kind(plan, "tune")) == 4
    assert all(stage.spec["nested"] == [8, 16] for stage in of_kind(plan, "trial"))


@pytest.mark.parametrize(
    ("seeds", "warning"),
    [
        ("[0, 1]", None),
        ("[4, 7]", None),
        ("[0]", "a seed takes the winner of study seed mod 2, so 1 of 2 are of use; .* or write studies: 1"),
        ("[0, 1, 2]", "3 seeds have the winners of 2 studies between them, .*; write studies: 3"),
        ("[0, 2]", "2 seeds have the winner of 1 study between them, .*; write studies: 2"),
    ],
)
def test_a_grid_has_as_many_studies_as_seeds_or_is_told(make, seeds, warning):
    found = [line for line in warnings(make(ALONE.replace("[0, 1]", seeds))) if "tuning of" in line]
    assert len(found) == (2 if warning else 0)  # csq and dch
    assert all(re.match(f"tuning of (csq|dch): {warning}$", line) for line in found)


def test_plan_says_what_is_tuned(make):
    lines = tuning(make(ALONE))
    assert lines[0].startswith(
        "csq: tuned in 2 studies of 3 trials, 6 trainings in all, by validation mAP alone"
    )
    assert "lr 1e-05 to 0.03 (log)" in lines[0]
    assert len(lines) == 2
    rows = {row["name"]: row for row in training(make(ALONE))}
    assert rows["csq"]["lr"] == "tuned"
    assert rows["csq"]["batch_size"] == 64


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("trials: 3", "trials: 1"), "greater than or equal to 2"),
        (("trials: 3", "trails: 3"), "did you mean 'trials'"),
        (("trials: 3", "space: {loss: {cqs: {lr: [0.1, 1, log]}}}"), "did you mean 'csq'"),
        (
            ("trials: 3", "space: {loss: {dpn: {lr: [0.1, 1, log]}}}"),
            "no loss that this grid trains is called dpn",
        ),
        (("trials: 3", "space: {loss: {csq: {l: [0.1, 1, log]}}}"), "'l' is nothing that can be searched"),
        (
            ("trials: 3", "space: {loss: {csq: {epochs: [3, 9, log]}}}"),
            "'epochs' is nothing that can be searched",
        ),
        (("trials: 3", "space: {loss: {csq: {lr: [0, 1, log]}}}"), "should begin above 0"),
        (("trials: 3", "space: {loss: {csq: {lr: [.nan, 1, log]}}}"), "should be numbers"),
        (("trials: 3", "space: {loss: {csq: {lr: [1, x, log]}}}"), "should be numbers"),
        (("trials: 3", 'space: {loss: {"c\\nq": {lr: [1, 2]}}}'), "unknown loss"),
        (
            ("trials: 3", "space: {loss: {csq: {lr: [-1.0, 1, linear]}}}"),
            "lr of loss 'csq' should be greater than 0, not -1.0",
        ),
        (("trials: 3", "space: {loss: {csq: {lr: [1e-4, 1e-2, lg]}}}"), "'lg' is none; did you mean 'log'?"),
        (
            ("trials: 3", "space: {loss: {csq: {lr: [1e-4, 1e-2, ten]}}}"),
            "'ten' is none; write log or linear",
        ),
        (
            ("trials: 3", "space: {loss: {csq: {lr: [1e-3, 1e-2, 0.1, log]}}}"),
            "a range of two numbers, not of 3; write \\[0.001, 0.1, log\\], or leave 'log' out to choose",
        ),
        (("trials: 3", "space: {loss: {csq: {lr: [1e-3, log]}}}"), "numbers; write \\[low, high, log\\]$"),
        (("trials: 3", "space: {loss: {csq: {lr: [1e-3, fast]}}}"), 'should be a valid number, not "fast"'),
        (
            ("trials: 3", "space: {loss: {csq: {targets: [frist, majority]}}}"),
            "should be 'majority' or 'first'",
        ),
        (
            ("trials: 3", "space: {loss: {itq: {turns: [1, 2]}}}"),
            "loss 'itq' has nothing that can be searched",
        ),
        (("trials: 3", "space: {loss: {csq: {}}}"), "name what is searched of csq"),
        (("[0, 1]", "[0, 4294967294]"), "is one of those that trials have"),
        (("[csq, dch]", "[none]"), "nothing to tune"),
        (
            ("[csq, dch]", "[{name: dpn, params: {lr: 1, head_lr_scale: 1, weight_decay: 0, margin: 1}}]"),
            "loss 'dpn' has no parameters left to search",
        ),
        (
            ("[synthetic]", "[{name: synthetic, params: {val_per_class: 0}}]"),
            "no validation images to tune with",
        ),
        (
            ("[csq, dch]", "[{name: csq, params: {schedule: {fall: cosine, final_lr: 1.0e-4}}}]"),
            "schedule.final_lr 0.0001 is above the least lr that is searched",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_with_its_place(make, edit, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")) as error:
        make(ALONE.replace(*edit))
    assert "grid.yaml:" in str(error.value)


def test_a_value_that_is_given_and_searched_is_refused(make):
    text = ALONE.replace("[csq, dch]", "[{name: csq, params: {lr: 0.1}}]")
    with pytest.raises(ConfigError, match=r"lr is given here and searched by tune; leave it out there"):
        make(text.replace("trials: 3", "space: {loss: {csq: {lr: [0.1, 1, log]}}}"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("orthohash: {centers: [bernoulli, hadamard]}", "Hadamard centers need a power of two .* not 12"),
        ("dpn: {ternary: [0, 1, linear]}", "ternary of loss 'dpn' should be a valid boolean"),
        ("csq: {lr: [0.1, 0.01, 0.001]}", "schedule.final_lr 0.002 is above the least lr"),
    ],
)
def test_what_only_some_trial_cannot_be_is_refused_before_any_is_made(make, space, message):
    rates = "{image_size: 16, finetune: {lr: 0.1, schedule: {fall: cosine, final_lr: 2.0e-3}}}"
    text = ALONE.replace("{image_size: 16}", rates).replace("[16]", "[12]").replace("trials: 3", "trials: 8")
    text = text.replace("[csq, dch]", f"[{space.partition(':')[0]}]")
    if "csq" not in space:
        text = text.replace(rates, "{image_size: 16}")
    with pytest.raises(ConfigError, match=message):
        make(text.replace("studies: 2", f"studies: 2, space: {{loss: {{{space}}}}}"))


def test_a_default_that_is_searched_anyway_is_held_to_nothing(make):
    """Of csq the rate is 1e-5, which never could fall to this."""
    text = ALONE.replace(
        "{image_size: 16}", "{image_size: 16, finetune: {schedule: {fall: cosine, final_lr: 1.0e-4}}}"
    )
    space = "{loss: {csq: {lr: [0.001, 0.1, log]}, dch: {lr: [0.001, 0.1, log]}}}"
    assert make(text.replace("studies: 2", f"studies: 2, space: {space}")).cells


def test_defaults_that_a_tuned_loss_cannot_have_are_told_as_ever(make):
    text = ALONE.replace("{image_size: 16}", "{image_size: 16, finetune: {random_views: true}}")
    with pytest.raises(ConfigError, match="does not take defaults.finetune"):
        make(text.replace("[csq, dch]", "[{name: csq, params: {train: head}}]"))


class Declaring(LOSSES.get("dpn")):
    """Of somebody's own."""

    class Params(LOSSES.get("dpn").Params):
        memory: int | None = Field(None, ge=1)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"memry": (1, 2, "linear")}, "declares as its space is wrong: memry: .* did you mean 'memory'"),
        ({"memory": (5, 1, "linear")}, "memory: the first bound should be below the second one"),
        ({"memory": (1, 50, "linear")}, "a trial of loss 'declaring' cannot be: memory"),
    ],
)
def test_a_space_that_a_plug_in_declares_is_checked_like_one_of_the_grid(make, monkeypatch, space, message):
    monkeypatch.setattr(Declaring, "space", space)
    LOSSES.register_as("declaring")(Declaring)
    with pytest.raises(ConfigError, match=message):
        make(ALONE.replace("[csq, dch]", "[declaring]"))


def test_faults_of_a_tuning_and_all_others_are_told_at_once(make):
    text = ALONE.replace("[csq, dch]", "[pq]").replace("[16]", "[20]")
    with pytest.raises(ConfigError) as error:
        make(text)
    told = [str(problem).rpartition("grid.yaml:")[2] for problem in error.value.problems]
    assert [line.partition(";")[0] for line in told] == [
        "10:10: pq stores a byte for each part of a feature, not 20 bits in all",
        "12:7: no loss of this grid trains, so there is nothing to tune",
    ]
    with pytest.raises(ConfigError) as error:
        make(f"{text.replace('[20]', '[8]').replace('[pq]', '[itq]')}report: {{pareto: [[map, nothing]]}}\n")
    told = [str(problem).rpartition("grid.yaml:")[2] for problem in error.value.problems]
    assert [line.partition(":")[0] for line in told] == ["12", "13"]
