"""What records say of a tuning: the expected best of n by its definition, winners, and budgets in words."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import tuning
from bench.results.names import Names
from bench.results.records import StageInfo
from bench.results.tuning import Trial, expected_best, studies_of, study_of, unequal
from tests.recorded import make_record

SPACE = {"lr": [1e-5, 1e-2, "log"], "targets": ["majority", "first"]}
BUDGET = {"trials": 16, "studies": 3, "sampler": "quasirandom", "epochs_share": 1.0, "space": SPACE}
SCORES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5)


def tuned(loss="csq", scores=((0.2, 0.9, 0.9),), seed=0, **budget):
    """A record of a cell that was tuned; of each study the scores of its trials."""
    record = make_record(
        loss=loss, seed=seed, params={"loss": {"epochs": 30}, "tuning": {**BUDGET, **budget}}
    )
    studies = [
        study_of([Trial(values={"lr": 10.0**-i}, val_map=one, seconds=2.0) for i, one in enumerate(some)])
        for some in scores
    ]
    summary = {"studies": [study.model_dump(mode="json") for study in studies]}
    stage = StageInfo(key="k", seconds=0.0, cached=False, summary=summary)
    return record.model_copy(update={"stages": {"tune": stage}})


@given(SCORES)
def test_expected_best_is_the_mean_over_all_ways_to_draw(scores):
    for n, found in enumerate(expected_best(scores), start=1):
        draws = [max(drawn) for drawn in itertools.product(scores, repeat=n)]
        assert found == pytest.approx(math.fsum(draws) / len(draws), abs=1e-9)


@given(SCORES)
def test_expected_best_begins_at_the_mean_and_never_falls(scores):
    found = expected_best(scores)
    assert len(found) == len(scores)
    assert found[0] == pytest.approx(sum(scores) / len(scores), abs=1e-9)
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(found))
    assert found[-1] <= max(scores) + 1e-9


def test_of_equal_trials_the_first_wins():
    (study,) = studies_of(tuned())
    assert study.winner == 1


def test_what_is_no_tuning_is_none():
    plain = make_record()
    assert studies_of(plain) == []
    broken = tuned()
    broken.stages["tune"].summary["studies"] = [{"winner": "x"}]
    assert studies_of(broken) == []
    broken.stages["tune"].summary["studies"] = 3
    assert studies_of(broken) == []
    broken = tuned()
    broken.stages["tune"].summary["studies"][0]["winner"] = 7
    assert studies_of(broken) == []
    strange = tuned(space={"lr": 5, "targets": ["a", "b", "log"]}, studies="x")
    assert (
        tuning.in_brief(strange.params)["tuning"] == "tuned in x studies of 16 trials (targets a to b (log))"
    )


def test_budgets_that_differ_are_told():
    plain = make_record(params={"loss": {"lr": 1e-5}})
    assert unequal([plain], [make_record(loss="dch")]) == ""
    assert unequal([tuned()], [tuned("dch")]) == ""
    assert unequal([make_record(loss="none", params={"loss": {}})], [tuned()]) == ""
    assert unequal([plain], [tuned()]) == "A was not tuned, B was tuned in 3 studies of 16 trials"
    shorter = unequal([tuned(studies=1, scores=((0.5,),), epochs_share=0.25)], [tuned("dch")])
    assert shorter.startswith("A was tuned in 1 study of 16 trials, each for 25 % of the epochs, B was")
    # Losses have parameters of their own; the same loss has the same.
    other = {"lr": [1e-3, 1e-2, "log"]}
    assert unequal([tuned()], [tuned("dch", space=other)]) == ""
    assert unequal([tuned()], [tuned(space=other)]) == "A and B were tuned in other search spaces"


def test_another_sampler_is_another_budget():
    drawn = tuned("dch", sampler="optuna")
    words = "tuned in 3 studies of 16 trials"
    assert unequal([tuned()], [drawn]) == f"A was {words}, B was {words} that optuna draws"
    assert unequal([drawn], [drawn]) == ""
    assert tuning.note([drawn]).startswith(f"Every loss that trains was {words} that optuna draws, by")
    assert tuning.note([tuned(), drawn]).endswith(f"csq {words}; dch {words} that optuna draws.")
    names = Names([tuned(), tuned(sampler="optuna")])
    assert names(tuned(sampler="optuna")).loss == "csq[tuned=3 x 16 optuna]"


def test_of_trials_in_turn_the_best_so_far_stands_for_a_smaller_budget():
    trials = [Trial(values={}, val_map=one) for one in (0.2, 0.1, 0.6, 0.6, 0.3)]
    study = study_of(trials, sequential=True)
    assert (study.winner, study.expected_best) == (2, [0.2, 0.2, 0.6, 0.6, 0.6])


def test_a_note_says_what_the_rows_of_a_table_were_tuned_with():
    plain = make_record(params={"loss": {"lr": 1e-5}})
    assert tuning.note([plain, plain]) == ""
    alike = tuning.note([tuned(), tuned("dch"), make_record(loss="none", params={"loss": {}})])
    assert alike.startswith("Every loss that trains was tuned in 3 studies of 16 trials, by validation mAP")
    mixed = tuning.note([plain, tuned("dch")])
    assert mixed.startswith("Rows had unequal budgets")
    assert mixed.endswith("csq not tuned; dch tuned in 3 studies of 16 trials.")


def test_names_tell_a_tuned_loss_from_the_same_loss_as_it_is():
    plain = make_record(params={"loss": {"epochs": 30, "lr": 1e-5, "targets": "majority"}})
    names = Names([plain, tuned()])
    assert names(plain).loss == "csq"
    assert names(tuned()).loss == "csq[tuned=3 x 16]"
    assert Names([tuned(), tuned(seed=1)])(tuned()).loss == "csq"


def test_names_tell_tunings_apart_by_what_they_differ_in():
    narrow = tuned(space={**SPACE, "lr": [1e-3, 1e-2, "log"]})
    names = Names([tuned(), narrow])
    assert names(tuned()).loss == "csq[lr_space=1e-05 to 0.01 (log)]"
    assert names(narrow).loss == "csq[lr_space=0.001 to 0.01 (log)]"
    given = tuned(space={"targets": SPACE["targets"]})
    given.params["loss"]["lr"] = 0.002
    names = Names([tuned(), given])
    assert (names(tuned()).loss, names(given).loss) == ("csq", "csq[lr=0.002]")
    shorter = tuned(epochs_share=0.5)
    names = Names([tuned(), shorter])
    assert names(tuned()).loss != names(shorter).loss == "csq[epochs_share=0.5]"


def test_a_tuning_in_few_words():
    shown = tuning.in_brief(tuned().params)
    assert (
        shown["tuning"]
        == "tuned in 3 studies of 16 trials (lr 1e-05 to 0.01 (log), targets majority or first)"
    )
    assert shown["loss"] == {"epochs": 30, "lr": "searched", "targets": "searched"}
    assert tuning.in_brief(make_record().params) == make_record().params
    record = tuned(scores=((0.2, 0.9), (0.4, 0.1)))
    words = tuning.told(record.stages["tune"].summary, studies_of(record))
    assert words == {
        "study 0": "trial 1 of 2, validation mAP 0.900",
        "study 1": "trial 0 of 2, validation mAP 0.400",
    }


BOTH = {**SPACE, "method.lr": [1e-5, 1e-2, "log"], "method.weight_decay": [0.0, 1e-4]}
STEP_1 = {name: searched for name, searched in BOTH.items() if name.startswith("method.")}
UNTUNED = {"method": {"lr": 1e-4, "weight_decay": 0.0, "epochs": 30}, "loss": {"lr": 1e-5, "epochs": 30}}


def distilled(space=None, method="cukd", loss="csq", **budget):
    """A record of a cell with a step 1, of which what ``space`` has was tuned."""
    tuning_block = {"tuning": {**BUDGET, **budget, "space": space}} if space else {}
    params = {
        axis: {k: v for k, v in given.items() if k not in tuning.part(space or {}, axis)}
        for axis, given in UNTUNED.items()
    }
    return make_record(loss=loss, method=method, params={**params, **tuning_block})


def test_what_is_searched_of_both_steps_stands_in_one_space():
    values = tuning.joint({"loss": {"lr": 1}, "method": {"lr": 2}})
    assert values == {"lr": 1, "method.lr": 2}
    assert tuning.part(values, "loss") == {"lr": 1}
    assert tuning.part(values, "method") == {"lr": 2}


def test_budgets_of_step_1_that_differ_are_told():
    both, alone, plain = distilled(BOTH), distilled(SPACE), distilled()
    assert unequal([both], [both]) == ""
    # What has no step 1 has nothing to tune there; another loss and another method have spaces of their own.
    none = make_record(method="none", params={"method": {}, "loss": {}, "tuning": {**BUDGET, "space": SPACE}})
    assert unequal([none], [both]) == ""
    other = distilled({"lr": [1e-3, 1.0, "log"], "method.lr": [1e-3, 1.0, "log"]}, "rkd", "dch")
    assert unequal([other], [both]) == ""
    words = "A was not tuned, B was tuned in 3 studies of 16 trials"
    assert unequal([alone], [both]) == f"in step 1, {words}"
    assert unequal([distilled(STEP_1)], [both]) == f"in step 2, {words}"
    assert unequal([plain], [both]) == f"in steps 1 and 2, {words}"
    assert unequal([plain], [alone]) == words
    wider = distilled({**BOTH, "method.lr": [1e-5, 1.0, "log"]}, loss="dch")
    assert unequal([wider], [both]) == "in step 1, A and B were tuned in other search spaces"


def test_all_that_budgets_differ_in_is_told():
    many, few, alone = distilled(BOTH), distilled(BOTH, trials=8), distilled(SPACE, trials=8)
    words = "A was tuned in 3 studies of 16 trials, B was tuned in 3 studies of 8 trials"
    assert unequal([many], [few]) == f"in steps 1 and 2, {words}"
    untuned = "A was tuned in 3 studies of 16 trials, B was not tuned"
    said = f"in step 1, {untuned}, and in step 2, {words}"
    assert unequal([many], [alone]) == unequal([many, distilled(BOTH, loss="dch")], [alone]) == said


def test_a_note_says_which_step_of_the_rows_was_tuned():
    both, alone = distilled(BOTH), distilled(STEP_1)
    words = "that trains was tuned in 3 studies of 16 trials, by validation mAP"
    words += "; a cell has the winner of its study."
    none = make_record(method="none", params={"method": {}, "loss": {}, "tuning": {**BUDGET, "space": SPACE}})
    assert tuning.note([both, none]) == f"Every loss and method {words}"
    assert tuning.note([alone, alone]) == f"Every method {words}"
    mixed = tuning.note([both, distilled(SPACE, "rkd")])
    assert mixed.endswith(
        "cukd tuned in 3 studies of 16 trials; rkd not tuned; csq tuned in 3 studies of 16 trials."
    )


def test_names_tell_a_tuned_method_from_the_same_method_as_it_is():
    both, alone = distilled(BOTH), distilled(SPACE)
    names = Names([both, alone])
    assert (names(both).method, names(alone).method) == ("cukd[tuned=3 x 16]", "cukd")
    assert names(both).loss == names(alone).loss == "csq"
    assert Names([both, distilled(BOTH, loss="dch")])(both).method == "cukd"
    other = distilled({**BOTH, "method.lr": [1e-3, 1e-2, "log"]})
    assert "space" in Names([both, other])(other).method


def test_what_is_searched_of_a_method_hangs_on_it_where_cells_are_compared():
    found = tuning.by_part(distilled(BOTH).params)
    assert found["method"] == {
        "epochs": 30, "lr": "searched, 1e-05 to 0.01 (log)", "weight_decay": "searched, 0.0 or 0.0001",
    }  # fmt: skip
    assert found["tuning"]["space"] == SPACE
    alone = tuning.by_part(distilled(STEP_1).params)
    assert alone["method"]["tuning"] == "tuned in 3 studies of 16 trials"
    assert "tuning" not in alone
    assert tuning.by_part(distilled(SPACE).params) == distilled(SPACE).params


def test_a_note_says_that_more_seeds_than_studies_share_winners():
    params = {"tuning": {**BUDGET, "space": SPACE}, "loss": {}, "method": {}}
    three, five = ([make_record(params=params, seed=seed) for seed in range(n)] for n in (3, 5))
    words = "; 5 seeds have the winners of 3 studies between them, "
    words += "so their spread has less of the luck of tuning in it."
    assert tuning.note(three).endswith("a cell has the winner of its study.")
    assert tuning.note(five).endswith(f"a cell has the winner of its study{words}")
    other = make_record(params={**params, "tuning": {**params["tuning"], "trials": 9}}, loss="dch")
    assert tuning.note([*five, other]).endswith(words)
    shorter = [make_record(params=params, bits=8, seed=seed) for seed in (3, 4, 5)]
    assert tuning.note([*three, *shorter]) == tuning.note(three)
