"""A tuning whose trials are drawn one after the other: what the plan knows of them, and what it refuses."""

from __future__ import annotations

import importlib.util
import pickle

import pytest

from bench.errors import ConfigError
from bench.planning.advice import tuning
from bench.planning.optuna_points import MOST_TRIALS
from bench.planning.stage import EARLIER
from tests.planning.test_tuned import ALONE, TUNED, of_kind

IN_TURN = ALONE.replace("trials: 3,", "trials: 3, sampler: optuna,")


def test_a_trial_is_made_from_the_one_before_and_studies_from_none_of_each_other(make):
    plan = make(IN_TURN)
    assert len(of_kind(plan, "trial")) == 2 * 2 * 3
    for tune in of_kind(plan, "tune"):
        for study in range(2):
            trials = [tune.inputs[f"study{study:02d}/trial{i:04d}"] for i in range(3)]
            assert [trial.inputs.get(EARLIER) for trial in trials] == [None, *trials[:-1]]
            assert [trial.spec["search"]["trial"] for trial in trials] == [0, 1, 2]
            assert {trial.spec["search"]["study"] for trial in trials} == {study}


def test_trials_know_what_is_searched_and_no_value_of_it(make):
    for trial in of_kind(make(IN_TURN), "trial"):
        assert trial.spec["search"]["space"]["lr"] == [1e-5, 3e-2, "log"]
        assert not trial.spec["search"]["space"].keys() & trial.spec["loss"]["params"].keys()
        assert trial.spec["loss"]["params"]["epochs"] == 30


def test_trials_of_samplers_that_know_nothing_of_results_stay_what_they_are(make):
    for trial in of_kind(make(ALONE), "trial"):
        assert "search" not in trial.spec
        assert EARLIER not in trial.inputs


def test_a_longer_tuning_begins_with_the_trials_of_a_shorter_one(make):
    short, long = (make(IN_TURN.replace("trials: 3", f"trials: {n}")) for n in (3, 6))
    assert {one.key for one in of_kind(short, "trial")} < {one.key for one in of_kind(long, "trial")}


def test_another_space_makes_other_trials(make):
    space = "studies: 2, space: {loss: {csq: {lr: [0.001, 0.1, log]}}}"
    one, other = make(IN_TURN), make(IN_TURN.replace("studies: 2", space))
    keys = [
        {t.key for t in of_kind(plan, "trial") if t.spec["loss"]["name"] == "csq"} for plan in (one, other)
    ]
    assert not keys[0] & keys[1]


def test_step_1_is_that_of_all_trials(make):
    trials = of_kind(make(TUNED.replace("trials: 3", "trials: 3, sampler: optuna")), "trial")
    assert len({trial.inputs["distill"].key for trial in trials if "distill" in trial.inputs}) == 1
    assert {trial.settled("method")["method"]["name"] for trial in trials if "distill" in trial.inputs} == {
        "cukd"
    }


def test_the_longest_study_can_be_sent_elsewhere(make):
    tune = of_kind(make(IN_TURN.replace("trials: 3", f"trials: {MOST_TRIALS}")), "tune")[0]
    last = tune.inputs[f"study01/trial{MOST_TRIALS - 1:04d}"]
    sent = pickle.loads(pickle.dumps(last))
    del vars(sent)["key"]
    assert sent.key == last.key


def test_plan_says_who_draws(make):
    assert tuning(make(IN_TURN))[0].startswith(
        "csq: tuned in 2 studies of 3 trials that optuna draws, 6 trainings in all, by validation mAP alone"
    )


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("{trials", "{of: [method, loss], trials"), "write sampler: quasirandom, or of: loss"),
        (("{trials", "{of: method, trials"), "write sampler: quasirandom, or of: loss"),
        (("trials: 3", "trials: 101"), "and not 101; write 100 or fewer, or sampler: quasirandom"),
        (("optuna", "optima"), "should be 'quasirandom' or 'optuna'"),
    ],
)
def test_what_cannot_be_drawn_in_turn_is_refused_with_its_place(make, edit, message):
    text = TUNED.replace("trials: 3,", "trials: 3, sampler: optuna,")
    with pytest.raises(ConfigError, match=message) as error:
        make(text.replace(*edit))
    assert "grid.yaml:" in str(error.value)


def test_values_that_cannot_be_together_are_refused_before_any_is_drawn(make):
    text = IN_TURN.replace("[16]", "[12]").replace("trials: 3", "trials: 8")
    space = "studies: 2, space: {loss: {orthohash: {centers: [bernoulli, hadamard]}}}"
    with pytest.raises(ConfigError, match="Hadamard centers need a power of two"):
        make(text.replace("[csq, dch]", "[orthohash]").replace("studies: 2", space))


def test_another_release_of_optuna_makes_other_trials(make, monkeypatch):
    before = {stage.key for stage in of_kind(make(IN_TURN), "trial")}
    assert before == {stage.key for stage in of_kind(make(IN_TURN), "trial")}
    monkeypatch.setattr("bench.planning.optuna_points.release", lambda: "99.0")
    assert before.isdisjoint(stage.key for stage in of_kind(make(IN_TURN), "trial"))


def test_without_optuna_the_plan_says_how_to_get_it(make, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "optuna" else find(name, *rest)
    )
    assert make(IN_TURN).missing == [
        "tune.sampler: optuna needs an optional package; run: pip install 'hash-pareto[optuna]'"
    ]
    assert make(ALONE).missing == []
